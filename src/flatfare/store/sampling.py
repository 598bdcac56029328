"""Sampling plans as the book keeps them: of which tasks a share is looked at by somebody better."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from flatfare.store.book import Book, Row

HUMAN = "human-review"
_PLAN = "name, action, judge, share, sends_to, terms, created_at_us, ended_at_us"


@dataclass(frozen=True, slots=True)
class Plan:
    """A share of the tasks of an action, sent to a better verifier."""

    name: str
    share: Decimal
    sends_to: str  # human-review, or a kind of verifier
    created_at_us: int
    action: str | None = None  # None: whatever the task
    judge: str | None = None  # whose error is to be known: only tasks that it judged
    terms: Mapping[str, object] = field(default_factory=dict)
    ended_at_us: int | None = None

    @property
    def seed(self) -> str:
        """What draws, beside the task's id; another plan of the same name draws others."""
        return f"{self.name}@{self.created_at_us}"

    @property
    def from_us(self) -> int:
        """Tasks opened from here on are drawn from."""
        given = self.terms.get("from_us")
        return given if isinstance(given, int) else self.created_at_us

    @property
    def until_us(self) -> int | None:
        """Tasks opened from here on are not drawn from any more."""
        given = self.terms.get("until_us")
        return given if isinstance(given, int) else None

    @property
    def verifier(self) -> str:
        """Under which name its verdicts stand."""
        return str(self.terms.get("verifier") or self.sends_to)

    def covers(self, action: str, opened_at_us: int) -> bool:
        """A task of this kind, opened then, is drawn from."""
        if self.until_us is not None and opened_at_us >= self.until_us:
            return False
        return self.action in (None, action) and opened_at_us >= self.from_us


def insert(book: Book, plan: Plan) -> None:
    """Write a plan, in the transaction that is open; an ended one of its name gives way."""
    book.execute("DELETE FROM sampling_plans WHERE name = ? AND ended_at_us IS NOT NULL", (plan.name,))
    book.execute(
        f"INSERT INTO sampling_plans ({_PLAN}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            plan.name,
            plan.action,
            plan.judge,
            str(plan.share),
            plan.sends_to,
            json.dumps(dict(plan.terms), sort_keys=True),
            plan.created_at_us,
            plan.ended_at_us,
        ),
    )


def end(book: Book, name: str, at_us: int) -> int:
    """Draw no more by this plan; 0 where none of that name stands."""
    return book.execute(
        "UPDATE sampling_plans SET ended_at_us = ? WHERE name = ? AND ended_at_us IS NULL", (at_us, name)
    )


def find(book: Book, name: str) -> Plan | None:
    """The plan of that name, ended or not."""
    rows = book.rows(f"SELECT {_PLAN} FROM sampling_plans WHERE name = ?", (name,))
    return _plan(rows[0]) if rows else None


def all_of(book: Book, *, with_ended: bool = False) -> list[Plan]:
    """The plans, by name."""
    where = "" if with_ended else " WHERE ended_at_us IS NULL"
    return [_plan(row) for row in book.rows(f"SELECT {_PLAN} FROM sampling_plans{where} ORDER BY name")]


def kept_of(book: Book, task_ids: Iterable[str]) -> dict[str, tuple[str, str, str | None]]:
    """Each run with what it put out and was given, as it was kept, by task, where the action keeps it."""
    found, wanted = dict[str, tuple[str, str, str | None]](), list(task_ids)
    for start in range(0, len(wanted), 500):
        some = wanted[start : start + 500]
        rows = book.rows(
            "SELECT task_id, id, output, input FROM runs WHERE output IS NOT NULL "
            f"AND task_id IN ({', '.join('?' * len(some))})",
            some,
        )
        for task, run, output, given in rows:
            found[str(task)] = (str(run), str(output), None if given is None else str(given))
    return found


def _plan(row: Row) -> Plan:
    return Plan(
        name=str(row[0]),
        action=None if row[1] is None else str(row[1]),
        judge=None if row[2] is None else str(row[2]),
        share=Decimal(str(row[3])),
        sends_to=str(row[4]),
        terms=json.loads(str(row[5])),
        created_at_us=int(row[6] or 0),
        ended_at_us=None if row[7] is None else int(row[7]),
    )
