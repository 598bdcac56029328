"""Single tasks as a report sees them: each with its state and what it cost, the newest or the dearest first.

The same facts that a report sums, one row each, so that a list adds up to the report's
figures to the last nano-dollar.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from flatfare.core.errors import BadUsage
from flatfare.core.identity import Id
from flatfare.core.moments import iso
from flatfare.core.money import decimal_text
from flatfare.service.reporting.aggregation import COSTED
from flatfare.service.reporting.called import with_called
from flatfare.service.reporting.facts import ASSUMED, Costing, Sources, state_text, tasks_sql
from flatfare.service.reporting.keys import Kind
from flatfare.service.reporting.paths import name_by_models
from flatfare.service.reporting.question import Question
from flatfare.service.reporting.report import sources_of
from flatfare.service.reporting.resolving import question_of
from flatfare.service.reporting.whole import calls_per_task
from flatfare.store import reading
from flatfare.store.book import Book
from flatfare.store.engine import quoted, translated
from flatfare.store.lake import Lake

NEWEST, DEAREST = "newest", "cost"
ORDERS = {NEWEST: "opened_at_us DESC, id DESC", DEAREST: "cost DESC NULLS LAST, id DESC"}
LIMIT_MAX = 10_000
_OUTCOME = f"CASE WHEN state = {ASSUMED} THEN 'assumed' ELSE outcome END"

_COLUMNS = (
    *("name", "action_version", "path", "labels", "session", "opened_at_us", "closed_at_us", "matures_at_us"),
    *("outcome", "outcome_at_us", "outcome_cause", "is_disputed", "settlement", "value_nano", "external_id"),
    *("source", "version"),
)


CSV_COLUMNS = (
    *("task", "external_id", "name", "path", "opened_at", "closed_at", "matures_at", "state", "outcome"),
    *("disputed", "settlement", "value", "cost", "cost_state", "at_least", "calls", "attempts", "source"),
)


@dataclass(frozen=True, slots=True)
class TaskCost:
    """What one task cost, in nano-dollars; of a part that is not wholly known, what is known."""

    work_nano: int | None
    verification_nano: int | None
    rework_nano: int | None
    simulation_nano: int | None
    lacks: tuple[str, ...]  # the parts of which something is not known
    is_estimated: bool

    @property
    def known_nano(self) -> int:
        """What is known of work, verification and rework."""
        return sum(part or 0 for part in (self.work_nano, self.verification_nano, self.rework_nano))

    def as_json(self, currency: str = "USD") -> dict[str, object]:
        """The cost as a document; ``at_least`` where a part of it is not known."""
        known = decimal_text(self.known_nano)
        parts = {
            "inference": self.work_nano,
            "verification": self.verification_nano,
            "rework": self.rework_nano,
            "simulation": self.simulation_nano,
        }
        return {
            "amount": None if self.lacks else known,
            "currency": currency,
            "state": "unknown" if self.lacks else "estimated" if self.is_estimated else "measured",
            "reason": f"not all of it is known: {', '.join(self.lacks)}" if self.lacks else None,
            "at_least": known,
            **{name: decimal_text(nano) for name, nano in parts.items()},
        }


@dataclass(frozen=True, slots=True)
class Listed:
    """One task of a list."""

    id: str
    columns: dict[str, object]  # of the task's row, by their names
    state: str  # its outcome as it counts: open until its window has closed
    cost: TaskCost
    calls: int | None
    attempts: int

    @property
    def labels(self) -> dict[str, str]:
        """What the task is labelled with."""
        labels: dict[str, str] = json.loads(str(self.columns["labels"]))
        return labels

    def as_json(self, currency: str = "USD") -> dict[str, object]:
        """The task as a document; times in ISO 8601, money as decimal text."""
        row = self.columns
        moments = ("opened_at", "closed_at", "matures_at", "outcome_at")
        times = {name: None if (at := row[f"{name}_us"]) is None else iso(int(str(at))) for name in moments}
        value = row["value_nano"]
        return {
            "task": self.id,
            "external_id": row["external_id"],
            "name": row["name"],
            "action_version": row["action_version"],
            "path": row["path"],
            "labels": self.labels,
            "session": row["session"],
            "opened_at": times["opened_at"],
            "closed_at": times["closed_at"],
            "matures_at": times["matures_at"],
            "state": self.state,
            "outcome": row["outcome"],
            "outcome_at": times["outcome_at"],
            "outcome_cause": row["outcome_cause"],
            "disputed": bool(row["is_disputed"]),
            "settlement": row["settlement"],
            "value": None if value is None else decimal_text(int(str(value))),
            "cost": self.cost.as_json(currency),
            "calls": self.calls,
            "attempts": self.attempts,
            "source": row["source"],
        }


def csv_row(document: Mapping[str, object]) -> dict[str, object]:
    """A task's document as a row of CSV."""
    cost = document["cost"]
    assert isinstance(cost, dict)
    row = {name: document.get(name) for name in CSV_COLUMNS}
    return {**row, "cost": cost["amount"], "cost_state": cost["state"], "at_least": cost["at_least"]}


def listed(
    book: Book,
    lake: Lake,
    *,
    now_us: int,
    filters: Iterable[tuple[str, str]] = (),
    since_us: int | None = None,
    until_us: int | None = None,
    ids: Sequence[str] | None = None,
    sort: str = NEWEST,
    limit: int = 100,
    offset: int = 0,
) -> list[Listed]:
    """The tasks that meet the filters, by keys of tasks as a report takes them; ``ids`` names some alone.

    Raises ``BadUsage`` for an order or a key that is not there, or one that only calls have.
    """
    if sort not in ORDERS:
        raise BadUsage(f"Found the order {sort!r}: expected {' or '.join(ORDERS)}.")
    if not 0 < limit <= LIMIT_MAX or offset < 0:
        raise BadUsage(f"Found limit {limit} and offset {offset}: expected 1 to {LIMIT_MAX}, and 0 or more.")
    with reading.opened(book, lake, "folded", "tasks", "verdicts") as engine, translated("Listing tasks"):
        with_called(engine, ids)
        name_by_models(engine)
        question = question_of(
            engine, book, now_us=now_us, filters=filters, since_us=since_us, until_us=until_us
        )
        for key, _ in question.filters:
            if key.kind not in (Kind.TASK, Kind.BOTH, Kind.OUTCOME):
                raise BadUsage(f"Tasks cannot be filtered by {key.name!r}: only by what is said of a task.")
        # Single calls have no say in when a task was opened, and those of no task are in no list.
        sources = sources_of(engine, book, replace(question, since_us=None, until_us=None))
        rows = engine.execute(
            f"{_statement(question, sources, ids)} ORDER BY {ORDERS[sort]} LIMIT {limit} OFFSET {offset}"
        )
        names = [str(column[0]) for column in rows.description or ()]
        return [_listed(dict(zip(names, row, strict=True))) for row in rows.fetchall()]


def _statement(question: Question, sources: Sources, ids: Sequence[str] | None) -> str:
    """The query for the tasks in question with their sums and amounts."""
    of_tasks = {key: key.of_task for key, _ in question.filters if key.kind is not Kind.OUTCOME}
    conditions = [question.passes(of_tasks), question.within("opened_at_us")]
    if ids is not None:
        conditions.append(f"id IN ({', '.join(quoted(str(Id(one))) for one in ids) or 'NULL'})")
    chosen = f"(SELECT * FROM tasks WHERE {' AND '.join(conditions)}) AS tasks"
    tasks = tasks_sql(sources, {name: f"tasks.{name}" for name in _COLUMNS}, chosen)
    sums = {**sources.call_sums(sources.holdings.purposes), "estimated_n": "SUM(estimated_n)"}
    calls = calls_per_task(sources, sums, sources.holdings.purposes)
    columns = Costing(sources, frozenset(sums)).columns() | {
        "estimated_calls": "COALESCE(estimated_n, 0)" if calls else "0"
    }
    figures = ", ".join(f"{sql} AS {name}" for name, sql in columns.items())
    joined = f"tasks_asked AS t LEFT JOIN ({calls}) AS c ON c.task_id = t.id" if calls else "tasks_asked AS t"
    if calls:
        few = "WHERE task_id IN (SELECT id FROM tasks_asked) AND task_id IS NOT NULL"
        joined = joined.replace("WHERE task_id IS NOT NULL", few)
    outcome = question.passes({key: _OUTCOME for key, _ in question.filters if key.kind is Kind.OUTCOME})
    kept = ", ".join(f"t.{name}" for name in _COLUMNS)
    return (
        f"WITH tasks_asked AS MATERIALIZED ({tasks}) {COSTED} FROM (SELECT CAST(t.id AS VARCHAR) AS id, "
        f"{state_text('state')} AS state_name, {kept}, {figures} FROM {joined} WHERE {outcome})"
    )


def _listed(row: dict[str, object]) -> Listed:
    def whole(name: str) -> int | None:
        value = row[name]
        return None if value is None else int(str(value))

    lacks = tuple(
        name
        for name, column in (
            ("inference", "work_lacks"),
            ("verification", "judged_lacks"),
            ("rework", "rework_lacks"),
        )
        if row[column]
    )
    cost = TaskCost(
        whole("work"),
        whole("judged"),
        whole("rework"),
        whole("simulation") or None,
        lacks,
        bool(whole("estimated_calls")),
    )
    return Listed(
        str(row["id"]),
        {name: row[name] for name in _COLUMNS},
        str(row["state_name"]),
        cost,
        whole("calls"),
        whole("tries") or 1,
    )
