"""Disputes as the book keeps them."""

from dataclasses import dataclass

from flatfare.core.moments import iso
from flatfare.store.book import Book, Row

_COLUMNS = (
    "id, task_id, customer, reason, state, opened_at_us, opened_by, decided_at_us, decided_by, "
    "decision, evidence"
)


@dataclass(frozen=True, slots=True)
class Dispute:
    """Somebody says that a task's outcome is not right."""

    id: str
    task_id: str
    customer: str | None
    reason: str
    state: str  # open, upheld, rejected
    opened_at_us: int
    opened_by: str
    decided_at_us: int | None = None
    decided_by: str | None = None
    decision: str | None = None
    evidence: str | None = None  # JSON

    def as_json(self) -> dict[str, object]:
        """The dispute as a document."""
        return {
            "dispute": self.id,
            "task": self.task_id,
            "customer": self.customer,
            "reason": self.reason,
            "state": self.state,
            "opened_at": iso(self.opened_at_us),
            "opened_by": self.opened_by,
            "decided_at": iso(self.decided_at_us),
            "decided_by": self.decided_by,
            "decision": self.decision,
        }


def insert(book: Book, dispute: Dispute) -> None:
    """Write a dispute that is opened; one of its id that is there stays."""
    book.execute(
        "INSERT INTO disputes (id, task_id, customer, reason, state, opened_at_us, opened_by) "
        "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (
            dispute.id,
            dispute.task_id,
            dispute.customer,
            dispute.reason,
            dispute.state,
            dispute.opened_at_us,
            dispute.opened_by,
        ),
    )


def decide(
    book: Book, dispute_id: str, state: str, decision: str, at_us: int, by_whom: str, evidence: str | None
) -> None:
    """Write what was decided."""
    book.execute(
        "UPDATE disputes SET state = ?, decision = ?, decided_at_us = ?, decided_by = ?, evidence = ? "
        "WHERE id = ? AND state = 'open'",
        (state, decision, at_us, by_whom, evidence, dispute_id),
    )


def one(book: Book, dispute_id: str) -> Dispute | None:
    """The dispute of that id."""
    rows = book.rows(f"SELECT {_COLUMNS} FROM disputes WHERE id = ?", (dispute_id,))
    return _dispute(rows[0]) if rows else None


def of_task(book: Book, task_id: str) -> list[Dispute]:
    """A task's disputes, the oldest first."""
    rows = book.rows(f"SELECT {_COLUMNS} FROM disputes WHERE task_id = ? ORDER BY opened_at_us", (task_id,))
    return list(map(_dispute, rows))


def listed(book: Book, state: str | None = None) -> list[Dispute]:
    """Disputes, the newest first."""
    rows = book.rows(
        f"SELECT {_COLUMNS} FROM disputes WHERE (CAST(? AS TEXT) IS NULL OR state = ?) "
        "ORDER BY opened_at_us DESC, id",
        (state, state),
    )
    return list(map(_dispute, rows))


def _dispute(row: Row) -> Dispute:
    one_id, task, customer, reason, state, opened, by_whom, decided, decider, decision, evidence = row
    return Dispute(
        str(one_id),
        str(task),
        None if customer is None else str(customer),
        str(reason),
        str(state),
        int(str(opened)),
        str(by_whom),
        None if decided is None else int(str(decided)),
        None if decider is None else str(decider),
        None if decision is None else str(decision),
        None if evidence is None else str(evidence),
    )
