"""Issuing: a document gets its number and its entry in one transaction, and never changes again.

What is wrong on it is set right by another: it is voided, or a credit note refers to it. Each
verb is idempotent: a month is invoiced once, a payment known by its id.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from fractions import Fraction
from uuid import UUID

from flatfare.core.currency import check_payable, payable_text, rounded
from flatfare.core.customer import Customer
from flatfare.core.errors import BadInput, Conflict, NotFound
from flatfare.core.identity import derived
from flatfare.core.invoice import (
    Charge,
    Composed,
    DocumentKind,
    LineKind,
    Period,
    Status,
    composed,
    document_of,
    hash_of,
    written,
)
from flatfare.core.ledger import Entry, Kind
from flatfare.core.moments import datetime_of, iso, micros_of
from flatfare.service.invoicing import plans
from flatfare.service.invoicing.composing import Tokens, compose, cost_by_markup, tax_of
from flatfare.service.invoicing.owing import Owed
from flatfare.service.invoicing.periods import month, month_of, period_of
from flatfare.service.selling import customers, post
from flatfare.store import chains, invoices, ledger
from flatfare.store.book import Book
from flatfare.store.invoices import Kept
from flatfare.store.lake import Lake

MARKS = {DocumentKind.INVOICE: "INV", DocumentKind.CREDIT_NOTE: "CN"}


@dataclass(frozen=True, slots=True)
class Books:
    """Where documents are made: the book, the lake, and the zone in which months begin."""

    book: Book
    lake: Lake
    time_zone: str = "UTC"


def draft(books: Books, customer: str, month_name: str) -> dict[str, object]:
    """The document that would be issued now; nothing is changed."""
    found = customers.one_of(books.book, customer)
    period = month(month_name, books.time_zone)
    calls = cost_by_markup(books.book, books.lake, found, period, books.time_zone)
    made, _ = compose(books.book, found, period, time_zone=books.time_zone, calls=calls)
    return {**document_of(made, number=None, issued_at_us=None), "status": str(Status.DRAFT)}


def issue(books: Books, customer: str, month_name: str, *, at_us: int, by_whom: str) -> Kept | None:
    """Issue the document of a month, once; None where there is nothing to bill.

    What is issued for the month already is returned as it stands. Raises ``BadInput`` before the
    month has ended, so that nothing of it is missed.
    """
    book = books.book
    period = month(month_name, books.time_zone)
    if at_us < period.until_us:
        raise BadInput(
            f"{month_name} has not ended yet: issue it when it has. What it comes to so far: "
            f"flatfare invoices draft {customer} --month {month_name}"
        )
    buyer = customers.one_of(book, customer)
    calls = cost_by_markup(book, books.lake, buyer, period, books.time_zone)
    with book.writing():
        standing = invoices.of_period(book, customer, month_name)
        if standing is not None:
            return standing
        found = customers.one_of(book, customer)
        made, tokens = compose(book, found, period, time_zone=books.time_zone, calls=calls)
        if not made.charges:
            return None
        return _issued(book, found, made, tokens, at_us=at_us, by_whom=by_whom)


def issue_so_far(books: Books, customer: str, *, at_us: int, by_whom: str) -> Kept | None:
    """Issue what a customer owes up to now, before the month has ended; None where there is nothing to bill.

    The month's own document has the rest. ``BadInput`` for a customer with a plan in this month: what
    that comes to is known when the month has ended.
    """
    book = books.book
    whole = month(month_of(at_us, books.time_zone), books.time_zone)
    with book.writing():
        buyer = customers.one_of(book, customer)
        if plans.held_in(book, buyer, whole, books.time_zone):
            raise BadInput(
                f"{customer} has a plan, and what it comes to is known when {whole.name} has ended. So far: "
                f"flatfare invoices draft {customer}"
            )
        period = Period(f"{whole.name} until {iso(at_us)}", whole.from_us, at_us)
        made, _ = compose(book, buyer, period, time_zone=books.time_zone, tokens={})
        if not made.charges:
            return None
        return _issued(book, buyer, made, {}, at_us=at_us, by_whom=by_whom)


def issue_all(books: Books, month_name: str, *, at_us: int, by_whom: str) -> list[Kept]:
    """Issue a month for every customer who pays later or has a plan."""
    issued = []
    for customer in customers.listed(books.book):
        kept = issue(books, customer.name, month_name, at_us=at_us, by_whom=by_whom)
        if kept is not None:
            issued.append(kept)
    return issued


def pay(
    book: Book, number: str, *, payment_id: UUID, amount_nano: int | None = None, at_us: int, by_whom: str
) -> Kept:
    """Book what was paid of an invoice, all that is open if no amount is given; the same id twice is one."""
    with book.writing():
        return pay_open(
            book, number, payment_id=payment_id, amount_nano=amount_nano, at_us=at_us, by_whom=by_whom
        )


def pay_open(
    book: Book, number: str, *, payment_id: UUID, amount_nano: int | None, at_us: int, by_whom: str
) -> Kept:
    """The same in the transaction that is open."""
    kept = one_of(book, number)
    entry_id = derived("payment", str(payment_id))
    if _is_booked(book, kept, str(entry_id), amount_nano):
        return kept
    open_nano = open_of(book, kept)
    paid_nano = open_nano if amount_nano is None else amount_nano
    if kept.status is not Status.ISSUED or not 0 < paid_nano <= open_nano:
        raise Conflict(
            f"{number} is {kept.status}, {_text(kept, open_nano)} of it are open: "
            f"{_text(kept, paid_nano)} cannot be paid of it."
        )
    if paid_nano != open_nano:  # what is left is paid whatever it is
        check_payable(paid_nano, kept.currency)
    post(
        book,
        entry_id=entry_id,
        verb="payment",
        customer=kept.customer,
        postings=[
            (Kind.RECEIVABLE, kept.customer, paid_nano, kept.currency),
            (Kind.CASH, kept.customer, -paid_nano, kept.currency),
        ],
        at_us=at_us,
        by_whom=by_whom,
        reference=number,
    )
    is_paid = paid_nano == open_nano
    invoices.set_status(
        book,
        kept.id,
        Status.PAID if is_paid else Status.ISSUED,
        paid_nano=kept.paid_nano + paid_nano,
        paid_at_us=at_us if is_paid else None,
    )
    return one_of(book, number)


def void(book: Book, number: str, *, at_us: int, by_whom: str, reason: str) -> Kept:
    """Take an unpaid document back whole: what it billed is owed again, and may be invoiced anew."""
    with book.writing():
        kept = one_of(book, number)
        if kept.status is Status.VOID:
            return kept
        if kept.paid_nano or kept.status is Status.PAID or invoices.crediting(book, number):
            raise Conflict(f"{number} was paid or credited, in part at least: give back by a credit note.")
        if (other := Owed(book, customers.one_of(book, kept.customer)).referring(number)) is not None:
            raise Conflict(
                f"{other} takes back what {number} billed, and an issued document never changes: give back "
                "the rest by a credit note."
            )
        entry = _entry(book, kept.entry_id)
        post(
            book,
            entry_id=derived("void invoice", kept.id),
            verb="void invoice",
            customer=kept.customer,
            postings=[
                (str(one.account.kind), one.account.owner, -one.amount_nano, one.account.currency)
                for one in entry.postings
            ],
            at_us=at_us,
            by_whom=by_whom,
            reason=reason,
            reference=number,
            reverses=kept.entry_id,
        )
        invoices.uncover(book, kept.id)
        invoices.set_status(book, kept.id, Status.VOID, paid_nano=0, voided_at_us=at_us)
        chains.record_change(book, "invoice.voided", number, {"reason": reason}, at_us=at_us, by_whom=by_whom)
        return one_of(book, number)


def credit(
    book: Book,
    number: str,
    *,
    credit_id: UUID,
    amount_nano: int | None = None,
    at_us: int,
    by_whom: str,
    reason: str,
) -> Kept:
    """Issue a credit note on an invoice: a new document that refers to it; ``amount_nano`` includes tax.

    At most what the invoice comes to, less what was credited before.
    """
    with book.writing():
        own_id = str(derived("credit note", str(credit_id)))
        known = invoices.by_id(book, own_id)
        if known is not None:
            if known.refers != number or amount_nano not in (None, -known.total_nano):
                raise Conflict(
                    f"The id {credit_id} stands for {_text(known, -known.total_nano)} on {known.refers}: "
                    "a credit note of its own takes an id of its own."
                )
            return known
        kept = one_of(book, number)
        left_nano = kept.total_nano + sum(one.total_nano for one in invoices.crediting(book, number))
        given_nano = left_nano if amount_nano is None else amount_nano
        if kept.status is Status.VOID or not 0 < given_nano <= left_nano:
            raise Conflict(
                f"{number} is {kept.status}, and {_text(kept, left_nano)} of it can be credited: found "
                f"{_text(kept, given_nano)}."
            )
        check_payable(given_nano, kept.currency)
        customer = customers.one_of(book, kept.customer)
        made = _credit_of(customer, kept, given_nano, reason)
        note = _issued(
            book,
            customer,
            made,
            {},
            at_us=at_us,
            by_whom=by_whom,
            own_id=own_id,
            refers=number,
            reason=reason,
        )
        if open_of(book, kept) == 0 and kept.status is Status.ISSUED:
            invoices.set_status(book, kept.id, Status.PAID, paid_nano=kept.paid_nano, paid_at_us=at_us)
        return note


def open_of(book: Book, kept: Kept) -> int:
    """What is still to be paid of a document: its total less what was paid and credited."""
    credited_nano = sum(-one.total_nano for one in invoices.crediting(book, kept.number))
    return max(0, kept.total_nano - kept.paid_nano - credited_nano)


def rebuilt(books: Books, kept: Kept) -> str:
    """A document made again from the ledger, the plan and its own number: the same, byte for byte."""
    said = kept.says
    customer = replace(customers.one_of(books.book, kept.customer), details=_details(said))
    issued_at = str(said["issued_at"])
    if kept.refers is not None:
        made = _credit_of(
            customer, invoices.by_number(books.book, kept.refers), -kept.total_nano, str(said["reason"])
        )
    else:
        lines = said["lines"]
        assert isinstance(lines, list)
        positions = frozenset(int(item["position"]) for line in lines for item in line["items"])
        period = period_of(said)
        made, _ = compose(
            books.book,
            customer,
            period,
            time_zone=books.time_zone,
            positions=positions,
            tokens=kept.tokens,
        )
    document = document_of(
        made,
        number=kept.number,
        issued_at_us=_moment(issued_at),
        refers=kept.refers,
        reason=None if said["reason"] is None else str(said["reason"]),
    )
    return written(document)


def _issued(
    book: Book,
    customer: Customer,
    made: Composed,
    tokens: Tokens,
    *,
    at_us: int,
    by_whom: str,
    own_id: str | None = None,
    refers: str | None = None,
    reason: str | None = None,
) -> Kept:
    """Number the document, keep it, post it, and set it in the chain: all in the transaction that is open."""
    year = int(made.period.name[:4]) if refers is None else datetime_of(at_us).year
    number = invoices.next_number(book, MARKS[made.kind], year)
    text = written(document_of(made, number=number, issued_at_us=at_us, refers=refers, reason=reason))
    own_id = own_id or str(derived("invoice", number))
    entry_id = derived("invoice entry", own_id)
    verb = "invoice" if refers is None else "credit note"
    post(
        book,
        entry_id=entry_id,
        verb=verb,
        customer=customer.name,
        postings=_postings(customer, made),
        at_us=at_us,
        by_whom=by_whom,
        reason=reason,
        reference=f"{number} {hash_of(text)}",
    )
    kept = Kept(
        own_id,
        made.kind,
        number,
        customer.name,
        made.period.name,
        Status.ISSUED if made.total_nano > 0 else Status.PAID,
        made.currency,
        made.total_nano,
        text,
        hash_of(text),
        str(entry_id),
        refers,
        tokens,
        at_us,
        paid_at_us=None if made.total_nano > 0 else at_us,
    )
    invoices.insert(book, kept)
    invoices.cover(book, customer.owed.id, made.positions, own_id)
    chains.record_change(
        book,
        "invoice.issued",
        number,
        {"hash": kept.hash, "total": made.total_nano},
        at_us=at_us,
        by_whom=by_whom,
    )
    return kept


def _postings(customer: Customer, made: Composed) -> list[tuple[str, str, int, str]]:
    """What is owed becomes receivable; what the plan adds is earned; tax is owed on."""
    earned_nano = made.sum_of(LineKind.BASE, LineKind.MINIMUM, LineKind.TOKENS)
    moves = [
        (str(customer.owed.kind), made.owed_nano),
        (str(Kind.REVENUE), earned_nano),
        (str(Kind.PROMOTION), made.sum_of(LineKind.INCLUDED)),
        (str(Kind.REFUNDS), made.sum_of(LineKind.CREDIT)),
        (str(Kind.TAX), made.tax_nano),
        (str(Kind.ROUNDING), -made.rest_nano),
        (str(Kind.RECEIVABLE), -made.total_nano),
    ]
    return [(kind, customer.name, nano, made.currency) for kind, nano in moves if nano]


def _credit_of(customer: Customer, kept: Kept | None, given_nano: int, reason: str) -> Composed:
    """The credit note of so much, tax included, by the rate that the invoice had."""
    assert kept is not None
    said = kept.says
    details = _details(said)
    tax = tax_of(details)
    net_nano, _ = rounded(Fraction(given_nano) * 100 / (100 + tax.percent), kept.currency)
    period = period_of(said)
    charge = Charge(LineKind.CREDIT, f"Credit on {kept.number}: {reason}", 1, -net_nano, -net_nano)
    made = composed(customer.name, kept.currency, period, [charge], tax, details)
    return replace(made, tax_nano=-(given_nano - net_nano))


def one_of(book: Book, number: str) -> Kept:
    """The document of a number; ``NotFound`` where there is none."""
    found = invoices.by_number(book, number)
    if found is None:
        raise NotFound(f"There is no document {number[:40]!r}. Those there are: flatfare invoices list")
    return found


def _is_booked(book: Book, kept: Kept, entry_id: str, amount_nano: int | None) -> bool:
    """The payment of that id is booked; ``Conflict`` where it was another one."""
    found = ledger.entry_of(book, entry_id)
    if found is None:
        return False
    booked_nano = sum(one.amount_nano for one in found.postings if one.account.kind == Kind.RECEIVABLE)
    number = json.loads(found.asked).get("reference")
    if number != kept.number or amount_nano not in (None, booked_nano):
        raise Conflict(
            f"The id of this payment stands for {_text(kept, booked_nano)} on {number}: another payment "
            "takes an id of its own."
        )
    return True


def _entry(book: Book, entry_id: str) -> Entry:
    found = ledger.entry_of(book, entry_id)
    assert found is not None  # written in the transaction that kept the document
    return found


def _details(said: Mapping[str, object]) -> dict[str, str]:
    details = said["details"]
    assert isinstance(details, dict)
    return {str(key): str(value) for key, value in details.items()}


def _moment(text: object) -> int:
    return micros_of(datetime.fromisoformat(str(text)))


def _text(kept: Kept, nano: int) -> str:
    return f"{payable_text(nano, kept.currency)} {kept.currency}"
