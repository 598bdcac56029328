"""Invoices over HTTP: the verbs of ``flatfare invoices``, and what teams are charged."""

import csv
import io
from uuid import UUID

import msgspec
from starlette.responses import Response

from flatfare.core.currency import parse_in
from flatfare.core.errors import BadInput
from flatfare.core.money import decimal_text
from flatfare.service.invoicing import favour, issuing, rendering
from flatfare.service.invoicing.chargeback import statements
from flatfare.service.invoicing.issuing import Books
from flatfare.service.invoicing.periods import month_of
from flatfare.store import invoices as kept_documents
from flatfare.store.invoices import Kept
from flatfare.web.access import Right
from flatfare.web.endpoint import Asked, Endpoint


class InvoicesQuery(msgspec.Struct, forbid_unknown_fields=True):
    """Of which customer, and in which state."""

    customer: str | None = None
    status: str | None = None


class Issue(msgspec.Struct, forbid_unknown_fields=True):
    """The month that has ended, of one customer or of all; or what one customer owes so far."""

    month: str | None = None
    customer: str | None = None
    so_far: bool = False


class MonthQuery(msgspec.Struct, forbid_unknown_fields=True):
    """Which month; this one if none is named."""

    month: str | None = None
    by: str = "team"


class Payment(msgspec.Struct, forbid_unknown_fields=True):
    """What was paid, in money or by a credit note; all that is open, or left, if no amount is given."""

    id: UUID
    amount: str | None = None
    note: str | None = None


class Voiding(msgspec.Struct, forbid_unknown_fields=True):
    """Why it is taken back."""

    reason: str


class Crediting(msgspec.Struct, forbid_unknown_fields=True):
    """How much is given back, tax included; all that is left if no amount is given."""

    id: UUID
    reason: str
    amount: str | None = None


def _books(asked: Asked) -> Books:
    return Books(asked.books.book, asked.books.lake, asked.books.settings.time_zone)


def _document(asked: Asked, kept: Kept) -> dict[str, object]:
    return {
        **kept.says,
        "status": str(kept.status),
        "paid": decimal_text(kept.paid_nano),
        "open": decimal_text(issuing.open_of(asked.books.book, kept)),
        "hash": kept.hash,
    }


def _list(asked: Asked) -> object:
    query: InvoicesQuery = asked.query
    found = kept_documents.listed(asked.books.book, query.customer, query.status)
    return {"invoices": [_document(asked, kept) for kept in found]}


def _issue(asked: Asked) -> object:
    given: Issue = asked.body
    books, now_us, who = _books(asked), asked.books.now_us, asked.visitor.name
    if given.so_far is (given.month is not None) or (given.so_far and given.customer is None):
        raise BadInput("Give the month that has ended, or so_far: true with one customer.")
    if given.so_far:
        one = issuing.issue_so_far(books, str(given.customer), at_us=now_us, by_whom=who)
        return {"invoices": [] if one is None else [_document(asked, one)]}
    assert given.month is not None
    if given.customer is None:
        found = issuing.issue_all(books, given.month, at_us=now_us, by_whom=who)
    else:
        one = issuing.issue(books, given.customer, given.month, at_us=now_us, by_whom=who)
        found = [] if one is None else [one]
    return {"invoices": [_document(asked, kept) for kept in found]}


def _draft(asked: Asked) -> object:
    query: MonthQuery = asked.query
    books = _books(asked)
    name = query.month or month_of(asked.books.now_us, books.time_zone)
    return issuing.draft(books, asked.path["customer"], name)


def _show(asked: Asked) -> object:
    number, _, form = asked.path["number"].partition(".")
    kept = issuing.one_of(asked.books.book, number)
    if form == "pdf":
        seller = dict(asked.books.settings.seller)
        return Response(rendering.page(kept, seller), media_type="application/pdf")
    if form == "csv":
        buffer = io.StringIO()
        writer = csv.DictWriter(buffer, rendering.COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rendering.rows(kept.says))
        return Response(buffer.getvalue(), media_type="text/csv")
    if form not in ("", "json"):
        raise BadInput(f"Found the form {form[:20]!r}: a document is had as json, csv or pdf.")
    return _document(asked, kept)


def _pay(asked: Asked) -> object:
    given: Payment = asked.body
    book, number = asked.books.book, asked.path["number"]
    at_us, who = asked.books.now_us, asked.visitor.name
    if given.note is not None:
        if given.amount is not None:
            raise BadInput("A credit note pays as far as it goes: leave the amount out.")
        kept = favour.pay_by_note(book, number, given.note, payment_id=given.id, at_us=at_us, by_whom=who)
    else:
        amount_nano = _amount(asked, given.amount)
        kept = issuing.pay(
            book, number, payment_id=given.id, amount_nano=amount_nano, at_us=at_us, by_whom=who
        )
    return _document(asked, kept)


def _pay_out(asked: Asked) -> object:
    given: Payment = asked.body
    if given.note is not None:
        raise BadInput("A credit note is paid out in money: leave 'note' out.")
    kept = favour.pay_out(
        asked.books.book,
        asked.path["number"],
        payment_id=given.id,
        amount_nano=_amount(asked, given.amount),
        at_us=asked.books.now_us,
        by_whom=asked.visitor.name,
    )
    return _document(asked, kept)


def _void(asked: Asked) -> object:
    given: Voiding = asked.body
    kept = issuing.void(
        asked.books.book,
        asked.path["number"],
        at_us=asked.books.now_us,
        by_whom=asked.visitor.name,
        reason=given.reason,
    )
    return _document(asked, kept)


def _credit(asked: Asked) -> object:
    given: Crediting = asked.body
    kept = issuing.credit(
        asked.books.book,
        asked.path["number"],
        credit_id=given.id,
        amount_nano=_amount(asked, given.amount),
        at_us=asked.books.now_us,
        by_whom=asked.visitor.name,
        reason=given.reason,
    )
    return _document(asked, kept)


def _chargeback(asked: Asked) -> object:
    query: MonthQuery = asked.query
    books = _books(asked)
    name = query.month or month_of(asked.books.now_us, books.time_zone)
    found = statements(books, name, now_us=asked.books.now_us, label=query.by)
    return {"month": name, "by": query.by, "rows": [one.as_json() for one in found]}


def _amount(asked: Asked, text: str | None) -> int | None:
    """An amount in the currency of the document that is asked for."""
    if text is None:
        return None
    return parse_in(text, issuing.one_of(asked.books.book, asked.path["number"]).currency)


ENDPOINTS = (
    Endpoint(
        "GET",
        "/api/invoices",
        "list_invoices",
        "Documents, the newest first",
        Right.READ,
        _list,
        query=InvoicesQuery,
    ),
    Endpoint(
        "POST",
        "/api/invoices",
        "issue_invoices",
        "Issue the documents of a month that has ended; twice is once",
        Right.BILL,
        _issue,
        takes=Issue,
        writes=True,
    ),
    Endpoint(
        "GET",
        "/api/customers/{customer}/draft",
        "draft_invoice",
        "What a customer's document would be if it were issued now",
        Right.READ,
        _draft,
        query=MonthQuery,
    ),
    Endpoint(
        "GET",
        "/api/invoices/{number}",
        "show_invoice",
        "A document; with .csv or .pdf behind its number in that form",
        Right.READ,
        _show,
    ),
    Endpoint(
        "POST",
        "/api/invoices/{number}/payments",
        "pay_invoice",
        "Book what was paid; the same id twice is one",
        Right.BILL,
        _pay,
        takes=Payment,
        writes=True,
    ),
    Endpoint(
        "POST",
        "/api/invoices/{number}/payout",
        "pay_out_credit_note",
        "Book that a credit note was paid to the customer; the same id twice is one",
        Right.BILL,
        _pay_out,
        takes=Payment,
        writes=True,
    ),
    Endpoint(
        "POST",
        "/api/invoices/{number}/void",
        "void_invoice",
        "Take an unpaid document back",
        Right.BILL,
        _void,
        takes=Voiding,
        writes=True,
    ),
    Endpoint(
        "POST",
        "/api/invoices/{number}/credit",
        "credit_invoice",
        "Issue a credit note; the same id twice is one",
        Right.BILL,
        _credit,
        takes=Crediting,
        writes=True,
        status=201,
    ),
    Endpoint(
        "GET",
        "/api/chargeback",
        "chargeback",
        "What each team used in a month, and what nobody's label claims",
        Right.READ,
        _chargeback,
        query=MonthQuery,
    ),
)
