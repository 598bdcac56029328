"""Invoices as the book keeps them: each document once, what it covers of the ledger, what was paid of it.

A document never changes after it is issued; where it stands (issued, paid, void) is kept beside it.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from flatfare.core.invoice import DocumentKind, Status
from flatfare.store.book import Book, Row, Value

_COLUMNS = (
    "id, kind, number, customer, period, status, currency, total_nano, document, hash, entry_id, refers, "
    "tokens_nano, tokens, issued_at_us, paid_nano, paid_at_us, voided_at_us"
)
_MARKUP = re.compile(r"at cost plus ([\d.]+) %")


@dataclass(frozen=True, slots=True)
class Kept:
    """A document that was issued, and where it stands."""

    id: str
    kind: DocumentKind
    number: str
    customer: str
    period: str
    status: Status
    currency: str
    total_nano: int
    document: str  # as it was written, byte for byte
    hash: str
    entry_id: str
    refers: str | None
    tokens: Mapping[Fraction, int]  # cost of calls that it billed by the token, by markup in percent
    issued_at_us: int
    paid_nano: int = 0
    paid_at_us: int | None = None
    voided_at_us: int | None = None

    @property
    def says(self) -> Mapping[str, object]:
        """The document, read."""
        read: dict[str, object] = json.loads(self.document)
        return read


def insert(book: Book, kept: Kept) -> None:
    """Keep a document that is issued."""
    book.execute(
        f"INSERT INTO invoices ({_COLUMNS}) VALUES ({', '.join('?' * 18)})",
        (
            kept.id,
            str(kept.kind),
            kept.number,
            kept.customer,
            kept.period,
            str(kept.status),
            kept.currency,
            kept.total_nano,
            kept.document,
            kept.hash,
            kept.entry_id,
            kept.refers,
            sum(kept.tokens.values()),
            json.dumps({str(markup): nano for markup, nano in sorted(kept.tokens.items())}),
            kept.issued_at_us,
            kept.paid_nano,
            kept.paid_at_us,
            kept.voided_at_us,
        ),
    )


def set_status(
    book: Book,
    invoice_id: str,
    status: Status,
    *,
    paid_nano: int,
    paid_at_us: int | None = None,
    voided_at_us: int | None = None,
) -> None:
    """Say where a document stands now."""
    book.execute(
        "UPDATE invoices SET status = ?, paid_nano = ?, paid_at_us = ?, voided_at_us = ? WHERE id = ?",
        (str(status), paid_nano, paid_at_us, voided_at_us, invoice_id),
    )


def by_number(book: Book, number: str) -> Kept | None:
    """The document of that number."""
    return next(iter(_kept(book, "number = ?", (number,))), None)


def by_id(book: Book, invoice_id: str) -> Kept | None:
    """The document of that id."""
    return next(iter(_kept(book, "id = ?", (invoice_id,))), None)


def of_period(book: Book, customer: str, period: str) -> Kept | None:
    """What was issued to a customer for a period, and stands."""
    where = "customer = ? AND period = ? AND refers IS NULL AND status <> 'void'"
    return next(iter(_kept(book, where, (customer, period))), None)


def listed(book: Book, customer: str | None = None, status: str | None = None) -> list[Kept]:
    """Documents, the newest first."""
    where, given = ["1 = 1"], []
    for column, value in (("customer", customer), ("status", status)):
        if value is not None:
            where.append(f"{column} = ?")
            given.append(value)
    return list(_kept(book, " AND ".join(where), given, newest=True))


def crediting(book: Book, number: str) -> list[Kept]:
    """Credit notes that refer to an invoice and stand."""
    return list(_kept(book, "refers = ? AND status <> 'void'", (number,)))


def next_number(book: Book, mark: str, year: int) -> str:
    """The number after the last one of its kind and year; ask inside ``writing()``."""
    last = book.value(
        "SELECT number FROM invoices WHERE number LIKE ? ORDER BY length(number) DESC, number DESC LIMIT 1",
        (f"{mark}-{year}-%",),
    )
    count = int(str(last).rpartition("-")[2]) if last else 0
    return f"{mark}-{year}-{count + 1:06}"


def cover(book: Book, account: str, positions: Iterable[int], invoice_id: str) -> None:
    """Say that these lines of an account are invoiced; ``KeyTaken`` where one was before."""
    book.execute_many(
        "INSERT INTO invoiced_postings (account_id, position, invoice_id) VALUES (?, ?, ?)",
        ((account, position, invoice_id) for position in positions),
    )


def uncover(book: Book, invoice_id: str) -> None:
    """Give the lines of a voided invoice free."""
    book.execute("DELETE FROM invoiced_postings WHERE invoice_id = ?", (invoice_id,))


def covered(book: Book, account: str) -> dict[int, str]:
    """The lines of an account that are invoiced, and the number of the document."""
    rows = book.rows(
        "SELECT position, number FROM invoiced_postings JOIN invoices ON invoices.id = invoice_id "
        "WHERE account_id = ?",
        (account,),
    )
    return {int(str(position)): str(number) for position, number in rows}


def billed_tokens(book: Book, customer: str) -> dict[Fraction, int]:
    """The cost of calls that stands on documents already, by markup."""
    rows = book.rows(
        "SELECT tokens, tokens_nano, document FROM invoices WHERE customer = ? AND status <> 'void' "
        "AND (tokens <> '{}' OR tokens_nano <> 0)",
        (customer,),
    )
    billed: dict[Fraction, int] = {}
    for row in rows:
        for markup, nano in _tokens(*row).items():
            billed[markup] = billed.get(markup, 0) + nano
    return billed


def _tokens(by_markup: Value, total: Value, document: Value) -> dict[Fraction, int]:
    """The cost that a document billed, by markup; the first documents say their one markup in their text."""
    if by_markup == "{}" and total and (said := _MARKUP.search(str(document))):
        return {Fraction(said[1]): int(str(total))}
    return {Fraction(markup): int(nano) for markup, nano in json.loads(str(by_markup)).items()}


def is_issued_beyond(book: Book, customer: str, period: str) -> bool:
    """Whether a document for a later month stands."""
    found = book.value(
        "SELECT 1 FROM invoices WHERE customer = ? AND substr(period, 1, 7) > ? AND refers IS NULL "
        "AND status <> 'void' LIMIT 1",
        (customer, period),
    )
    return found is not None


def positions_within(book: Book, account: str, since_us: int, until_us: int) -> list[int]:
    """The lines of an account whose entries are of a time."""
    rows = book.rows(
        "SELECT position FROM postings JOIN entries ON entries.id = entry_id "
        "WHERE account_id = ? AND at_us >= ? AND at_us < ?",
        (account, since_us, until_us),
    )
    return [int(str(position)) for (position,) in rows]


def sold(book: Book, customer: str) -> dict[str, tuple[str, str]]:
    """Action and version of each task that was sold to a customer."""
    rows = book.rows(
        "SELECT task_id, action, action_version FROM sales JOIN quotes ON quotes.id = sales.quote_id "
        "WHERE sales.customer = ?",
        (customer,),
    )
    return {str(task): (str(action), str(version)) for task, action, version in rows}


def insert_plan(book: Book, name: str, version: int, content: str, from_us: int, by_whom: str) -> None:
    """Keep a version of a plan."""
    book.execute(
        "INSERT INTO plans (name, version, content, from_us, by_whom) VALUES (?, ?, ?, ?, ?)",
        (name, version, content, from_us, by_whom),
    )


def plans(book: Book, name: str | None = None) -> list[Row]:
    """Name, version, content, from, by whom of every version, the oldest first."""
    where, given = ("WHERE name = ?", (name,)) if name is not None else ("", ())
    return book.rows(
        f"SELECT name, version, content, from_us, by_whom FROM plans {where} ORDER BY name, version", given
    )


def subscribe(book: Book, customer: str, plan: str, from_us: int) -> None:
    """Put a customer on a plan; the one before ends there, and what was agreed for later gives way."""
    unsubscribe(book, customer, from_us)
    book.execute(
        "INSERT INTO subscriptions (customer, plan, from_us, until_us) VALUES (?, ?, ?, NULL)",
        (customer, plan, from_us),
    )


def unsubscribe(book: Book, customer: str, until_us: int) -> None:
    """End a customer's plan, and whatever was agreed for later."""
    book.execute("DELETE FROM subscriptions WHERE customer = ? AND from_us >= ?", (customer, until_us))
    book.execute(
        "UPDATE subscriptions SET until_us = ? WHERE customer = ? AND (until_us IS NULL OR until_us > ?)",
        (until_us, customer, until_us),
    )


def subscriptions(book: Book, customer: str) -> list[tuple[str, int, int | None]]:
    """Plan, from, until of a customer, the oldest first."""
    rows = book.rows(
        "SELECT plan, from_us, until_us FROM subscriptions WHERE customer = ? ORDER BY from_us", (customer,)
    )
    return [
        (str(plan), int(str(since)), None if until is None else int(str(until)))
        for plan, since, until in rows
    ]


def _kept(book: Book, where: str, given: Sequence[Value], *, newest: bool = False) -> Iterable[Kept]:
    order = "issued_at_us DESC, number DESC" if newest else "issued_at_us, number"
    for row in book.rows(f"SELECT {_COLUMNS} FROM invoices WHERE {where} ORDER BY {order}", given):
        one, kind, number, customer, period, status, currency, total, *rest = row
        document, own_hash, entry, refers, tokens_nano, tokens, issued, paid, paid_at, voided_at = rest
        yield Kept(
            str(one),
            DocumentKind(str(kind)),
            str(number),
            str(customer),
            str(period),
            Status(str(status)),
            str(currency),
            int(str(total)),
            str(document),
            str(own_hash),
            str(entry),
            None if refers is None else str(refers),
            _tokens(tokens, tokens_nano, document),
            int(str(issued)),
            int(str(paid)),
            None if paid_at is None else int(str(paid_at)),
            None if voided_at is None else int(str(voided_at)),
        )
