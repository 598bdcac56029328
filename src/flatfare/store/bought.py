"""What vendors billed, line by line, and the tickets that conversations were matched to."""

from collections.abc import Mapping
from dataclasses import dataclass

from flatfare.store.book import Book
from flatfare.store.home import Value


@dataclass(frozen=True, slots=True)
class BilledLine:
    """One line of a vendor's statement; a credit is below zero."""

    id: str
    task_id: str
    vendor: str
    unit: str
    nano: int
    currency: str
    at_us: int
    conversation: str | None
    place: str  # its line in the statement
    source: str
    reported_as: str | None
    quantity: str | None


@dataclass(frozen=True, slots=True)
class TicketRow:
    """What the buyer's own system says of a conversation; without a name, it knows of none."""

    name: str | None
    opened_at_us: int | None
    closed_at_us: int | None
    reopened_at_us: int | None
    is_reopened: bool
    is_handed_off: bool
    csat: str | None


def lines(
    book: Book, vendor: str | None = None, since_us: int | None = None, until_us: int | None = None
) -> list[BilledLine]:
    """The lines billed in a period, the oldest first."""
    where, given = ["1 = 1"], []
    for condition, value in (
        ("vendor = ?", vendor),
        ("billed_at_us >= ?", since_us),
        ("billed_at_us < ?", until_us),
    ):
        if value is not None:
            where.append(condition)
            given.append(value)
    rows = book.rows(
        "SELECT id, task_id, vendor, unit, billed_nano, currency, billed_at_us, conversation, "
        f"statement_line, source, reported_as, quantity FROM bought_outcomes WHERE {' AND '.join(where)} "
        "ORDER BY billed_at_us, id",
        given,
    )
    found = [BilledLine(*row) for row in rows]  # type: ignore[arg-type]
    return sorted(found, key=lambda line: (line.at_us, int(line.place or 0), line.id))


def tickets(book: Book) -> Mapping[str, TicketRow]:
    """The tickets by task; a task that stands here was looked for, also where no ticket was found."""
    rows = book.rows(f"SELECT task_id, {_TICKET} FROM tickets")
    return {str(task): _ticket(*row) for task, *row in rows}


_TICKET = "ticket, opened_at_us, closed_at_us, reopened_at_us, is_reopened, is_handed_off, csat"


def _ticket(
    name: Value,
    opened_at_us: Value,
    closed_at_us: Value,
    reopened_at_us: Value,
    is_reopened: Value,
    is_handed_off: Value,
    csat: Value,
) -> TicketRow:
    return TicketRow(
        None if name is None else str(name),
        _moment(opened_at_us),
        _moment(closed_at_us),
        _moment(reopened_at_us),
        bool(is_reopened),
        bool(is_handed_off),
        None if csat is None else str(csat),
    )


def _moment(at_us: Value) -> int | None:
    return None if at_us is None else int(at_us)
