"""Customers over HTTP: who buys, what they pay in, and where they stand."""

import csv
import io
import secrets
from uuid import UUID

import msgspec
from starlette.responses import Response

from flatfare.core.currency import parse_in
from flatfare.core.errors import BadInput
from flatfare.core.grant import PRIORITY
from flatfare.core.identity import time_ordered
from flatfare.core.moments import parse_moment
from flatfare.service import selling
from flatfare.service.invoicing import rendering
from flatfare.service.selling import showing, stating
from flatfare.web.access import Right
from flatfare.web.api.reports import moment
from flatfare.web.endpoint import Asked, Endpoint


class NewCustomer(msgspec.Struct, forbid_unknown_fields=True):
    """Who buys: in which currency, on which terms; the credit limit as decimal text."""

    name: str
    currency: str = "USD"
    terms: str = "prepaid"
    credit_limit: str | None = None
    details: dict[str, str] = {}
    reason: str | None = None


class Payment(msgspec.Struct, forbid_unknown_fields=True):
    """Money that was paid in; the same id twice is one payment."""

    amount: str
    id: str | None = None
    reason: str | None = None


class NewGrant(msgspec.Struct, forbid_unknown_fields=True):
    """A lot of credit, or a pack; the same id twice is one grant."""

    amount: str | None = None
    pack: str | None = None
    paid: str | None = None  # cash, invoice or promotion: a pack is paid, credit is given away if not said
    expires: str | None = None
    priority: int = PRIORITY
    actions: list[str] = []
    id: str | None = None
    reason: str | None = None


class Period(msgspec.Struct, forbid_unknown_fields=True):
    """From a time on, and up to one."""

    since: str | None = None
    until: str | None = None


def id_of(given: str | None, now_us: int) -> UUID:
    """The id that was given, or a new one; ``BadInput`` where it is none."""
    if given is None:
        return time_ordered(now_us, secrets.token_bytes(10))
    try:
        return UUID(given)
    except ValueError:
        raise BadInput(f"Found the id {given[:40]!r}: expected a UUID.") from None


def _list(asked: Asked) -> object:
    return {"customers": [_balance(asked, one.name) for one in selling.customers.listed(asked.books.book)]}


def _show(asked: Asked) -> object:
    return _balance(asked, asked.path["customer"])


def _balance(asked: Asked, name: str) -> object:
    now_us = asked.books.now_us
    return showing.balance_document(selling.balance(asked.books.book, name, at_us=now_us), at_us=now_us)


def _create(asked: Asked) -> object:
    given: NewCustomer = asked.body
    made = selling.customers.create(
        asked.books.book,
        name=given.name,
        currency=given.currency,
        terms=given.terms,
        credit_limit_nano=None
        if given.credit_limit is None
        else parse_in(given.credit_limit, given.currency),
        details=given.details,
        **asked.on_record(given.reason),
    )
    return showing.customer_document(made)


def _top_up(asked: Asked) -> object:
    given: Payment = asked.body
    book, now_us, name = asked.books.book, asked.books.now_us, asked.path["customer"]
    currency = selling.customers.one_of(book, name).currency
    entry = selling.top_up_wallet(
        book,
        entry_id=id_of(given.id, now_us),
        customer=name,
        amount_nano=parse_in(given.amount, currency),
        currency=currency,
        **asked.on_record(given.reason),
    )
    return showing.entry_document(entry)


def _grant(asked: Asked) -> object:
    given: NewGrant = asked.body
    book, now_us, name = asked.books.book, asked.books.now_us, asked.path["customer"]
    currency = selling.customers.one_of(book, name).currency
    if (given.amount is None) == (given.pack is None):
        raise BadInput("A grant is either an amount of credit or a pack: give amount or pack.")
    if given.pack is not None:
        lot = selling.grant_pack(
            book,
            grant_id=id_of(given.id, now_us),
            customer=name,
            pack=given.pack,
            paid=given.paid or "cash",
            **asked.on_record(given.reason),
        )
    else:
        lot = selling.grant_credit(
            book,
            grant_id=id_of(given.id, now_us),
            customer=name,
            amount_nano=parse_in(given.amount or "", currency),
            paid=given.paid or "promotion",
            expires_at_us=None if given.expires is None else parse_moment(given.expires)[0],
            priority=given.priority,
            actions=tuple(given.actions),
            **asked.on_record(given.reason),
        )
    return showing.grant_document(lot)


def _told(asked: Asked) -> stating.Told:
    books, query = asked.books, asked.query
    return stating.told(
        books.book,
        books.lake,
        asked.path["customer"],
        at_us=books.now_us,
        since_us=moment(query.since),
        until_us=moment(query.until),
    )


def _statement(asked: Asked) -> object:
    return stating.document_of(_told(asked))


def _statement_csv(asked: Asked) -> object:
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, stating.COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(stating.rows(_told(asked)))
    return Response(buffer.getvalue(), media_type="text/csv")


def _statement_pdf(asked: Asked) -> object:
    settings = asked.books.settings
    page = rendering.statement_page(_told(asked), dict(settings.seller), settings.time_zone)
    return Response(page, media_type="application/pdf")


ENDPOINTS = (
    Endpoint("GET", "/api/customers", "list_customers", "Customers and their balances", Right.READ, _list),
    Endpoint(
        "POST",
        "/api/customers",
        "create_customer",
        "Enter a customer",
        Right.BILL,
        _create,
        takes=NewCustomer,
        writes=True,
        status=201,
    ),
    Endpoint(
        "GET", "/api/customers/{customer}", "show_customer", "Where a customer stands", Right.READ, _show
    ),
    Endpoint(
        "POST",
        "/api/customers/{customer}/payments",
        "top_up_customer",
        "Book money that a customer has paid in",
        Right.BILL,
        _top_up,
        takes=Payment,
        writes=True,
        status=201,
    ),
    Endpoint(
        "POST",
        "/api/customers/{customer}/grants",
        "grant_customer",
        "Sell or give a customer a pack or credit",
        Right.BILL,
        _grant,
        takes=NewGrant,
        writes=True,
        status=201,
    ),
    Endpoint(
        "GET",
        "/api/customers/{customer}/statement",
        "show_statement",
        "What a customer bought, paid in, was given back and invoiced, with the balance after each",
        Right.READ,
        _statement,
        query=Period,
    ),
    Endpoint(
        "GET",
        "/api/customers/{customer}/statement.csv",
        "show_statement_as_csv",
        "The same as comma-separated values",
        Right.READ,
        _statement_csv,
        query=Period,
    ),
    Endpoint(
        "GET",
        "/api/customers/{customer}/statement.pdf",
        "print_statement",
        "The same as a page to print",
        Right.READ,
        _statement_pdf,
        query=Period,
    ),
)
