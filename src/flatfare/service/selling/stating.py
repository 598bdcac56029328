"""Statements: what a customer is told of their money, read from the ledger each time.

Amounts are decimal text with all nine decimals: the balance before, and what the lines add to it, come to
the balance after. Nothing of what the work cost us stands on it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from flatfare.core.currency import payable_text
from flatfare.core.customer import Customer
from flatfare.core.ledger import Entry
from flatfare.core.moments import iso
from flatfare.core.money import decimal_text
from flatfare.core.statement import Line, LineKind, Part, Standing, Statement, statement
from flatfare.service.selling import customers, showing
from flatfare.service.selling.reading import entries
from flatfare.service.tasks import named
from flatfare.store import ledger, sales
from flatfare.store.book import Book
from flatfare.store.lake import Lake

Document = dict[str, object]

COLUMNS = (
    "at",
    "kind",
    "text",
    "note",
    "task",
    "task_name",
    "run",
    "document",
    "amount",
    "credit",
    "owed",
    "balance",
    "currency",
    "entry",
)
"""Of a line as comma-separated values; the first row is the balance before."""


@dataclass(frozen=True, slots=True)
class Work:
    """What a task was sold as, and where it is looked up."""

    action: str = "work"
    version: str = ""
    name: str | None = None  # as the customer or the seller calls it
    run: str | None = None  # whose receipt says the rest

    @property
    def text(self) -> str:
        """Action and version."""
        return f"{self.action} version {self.version}" if self.version else self.action


@dataclass(frozen=True, slots=True)
class Told:
    """A statement with whom and what it is about."""

    customer: Customer
    said: Statement
    work: dict[str, Work]
    since_us: int | None
    until_us: int | None
    at_us: int

    def called(self, line: Line) -> str:
        """What the task of a line is called; nothing where it is of none."""
        task = line.entry.task_id
        return "" if task is None else (self.work.get(task, Work()).name or task)


def told(
    book: Book,
    lake: Lake,
    customer: str,
    *,
    at_us: int,
    since_us: int | None = None,
    until_us: int | None = None,
    latest: int | None = None,
) -> Told:
    """The statement of a time; with ``latest``, from the moment of so many of the newest entries on."""
    with book.reading():
        found = customers.one_of(book, customer)
        if latest is not None and since_us is None:
            since_us = ledger.moment_of_latest(book, customer, latest)
        before = {} if since_us is None else ledger.balances_before(book, customer, since_us)
        moved = entries(book, customer=customer, since_us=since_us, until_us=until_us)
        lots = {lot.id: lot for lot, _ in sales.grants_of(book, customer)}
        work = _work(book, lake, moved)
    said = statement(
        before,
        moved,
        currency=found.currency,
        sold=lambda task: work.get(task, Work()).text,
        lots=lots,
    )
    return Told(found, said, work, since_us, until_us, at_us)


def _work(book: Book, lake: Lake, moved: Sequence[Entry]) -> dict[str, Work]:
    ids = list(dict.fromkeys(entry.task_id for entry in moved if entry.task_id is not None))
    sold, runs = sales.sold_as(book, ids), sales.runs_of(book, ids)
    names = named.names_of(book, lake, ids)
    return {
        task: Work(
            *sold.get(task, ("work", "")), _name(names.get(task), runs.get(task)), _run(runs.get(task))
        )
        for task in ids
    }


def _name(known: str | None, run: tuple[str, str | None] | None) -> str | None:
    return known or (None if run is None else run[1])


def _run(run: tuple[str, str | None] | None) -> str | None:
    return None if run is None else run[0]


def document_of(found: Told) -> Document:
    """The statement as JSON; lines in the order of their moments."""
    said, customer = found.said, found.customer
    return {
        "customer": customer.name,
        "details": dict(customer.details),
        "terms": str(customer.terms),
        "currency": customer.currency,
        "since": iso(found.since_us),
        "until": iso(found.until_us),
        "at": iso(found.at_us),
        "before": _standing(said.before),
        "lines": [_line(found, line) for line in said.lines],
        "totals": {str(kind): decimal_text(nano) for kind, nano in said.totals.items()},
        "after": _standing(said.after),
        "lots": [
            showing.grant_document(lot, left, at_us=found.until_us or found.at_us) for lot, left in said.lots
        ],
    }


def rows(found: Told) -> Iterator[Document]:
    """A row for the balance before, and one for each line."""
    currency = found.customer.currency
    before = _standing(found.said.before)
    first = {name: before[name] for name in ("credit", "owed", "balance")}
    yield {"at": iso(found.since_us), "kind": "balance before", "currency": currency, **first}
    for line in found.said.lines:
        yield {**_line(found, line), "currency": currency}


def parts_of(standing: Standing) -> tuple[tuple[str, int], ...]:
    """What a balance is made of, in words; they sum to it."""
    parts = (
        ("in the wallet", standing.wallet_nano),
        ("packs and credit", standing.grants_nano),
        ("held for work under way", standing.held_nano),
        ("not invoiced yet", -standing.not_invoiced_nano),
        ("invoiced, not paid", -standing.invoiced_nano),
    )
    return tuple((text, nano) for text, nano in parts if nano)


def note_of(line: Line, currency: str) -> str:
    """How it was paid, what a document adds, until when a lot holds, and why: in one sentence."""
    is_plain = line.kind is LineKind.BOUGHT and len(line.parts) == 1  # its amount is the line's
    said = [_part_text(part, currency, is_plain=is_plain) for part in line.parts]
    said += [f"expires {iso(lot.expires_at_us)[:10]}" for lot in line.lots if lot.expires_at_us is not None]
    return "; ".join([*said, *([line.entry.reason] if line.entry.reason else [])])


def _part_text(part: Part, currency: str, *, is_plain: bool) -> str:
    if part.is_unit:
        left = "" if part.units_left is None else f", {part.units_left} left"
        return f"1 unit of {part.text}{left}"
    return part.text if is_plain else f"{part.text} {payable_text(part.amount_nano, currency)}"


def _line(found: Told, line: Line) -> Document:
    entry = line.entry
    work = found.work.get(entry.task_id or "")
    return {
        "at": iso(entry.at_us),
        "kind": str(line.kind),
        "text": line.text,
        "note": note_of(line, found.customer.currency),
        "task": entry.task_id,
        "task_name": None if work is None else work.name,
        "run": None if work is None else work.run,
        "document": line.document,
        "amount": decimal_text(line.amount_nano),
        "credit": decimal_text(line.after.credit_nano),
        "owed": decimal_text(line.after.owed_nano),
        "balance": decimal_text(line.after.balance_nano),
        "parts": [
            {"text": part.text, "amount": decimal_text(part.amount_nano), "unit": part.is_unit}
            for part in line.parts
        ],
        "entry": entry.id,
    }


def _standing(standing: Standing) -> dict[str, str]:
    parts = {
        "wallet": standing.wallet_nano,
        "grants": standing.grants_nano,
        "held": standing.held_nano,
        "credit": standing.credit_nano,
        "not_invoiced": standing.not_invoiced_nano,
        "invoiced": standing.invoiced_nano,
        "owed": standing.owed_nano,
        "balance": standing.balance_nano,
    }
    return {name: decimal_text(nano) for name, nano in parts.items()}
