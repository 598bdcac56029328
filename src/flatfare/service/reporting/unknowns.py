"""Costs that are not known, by the reason given: unknown is counted, never zero."""

from collections.abc import Iterable
from dataclasses import dataclass

from flatfare.service.reporting.anatomy import calls_in
from flatfare.service.reporting.question import Question
from flatfare.service.reporting.resolving import question_of
from flatfare.store import reading
from flatfare.store.book import Book
from flatfare.store.engine import quoted, translated
from flatfare.store.lake import Lake

NO_COST_SAID = "no call names the task, and its source gives no cost"
NO_REWORK_RATE = "minutes of rework without a rate for an hour"

_WORKED = (
    "SELECT task_id FROM folded WHERE purpose = 'work' AND task_id IS NOT NULL GROUP BY 1 HAVING SUM(n) > 0"
)
TASKS_LACKING = (
    f"SELECT *, COALESCE(given_reason, '{NO_COST_SAID}') AS reason FROM tasks WHERE given_nano IS NULL "
    f"AND (given_reason IS NOT NULL OR id NOT IN ({_WORKED})) "
    f"UNION ALL SELECT *, '{NO_REWORK_RATE}' FROM tasks WHERE rework_nano IS NULL AND rework_ms > 0"
)
"""SQL: tasks of which a cost is not known that no call could say, each with the reason."""

_OF_ANY_DAY = (
    "regexp_replace(COALESCE(cost_reason, 'no reason was given'), ' on \\d{4}-\\d\\d-\\d\\d\\b', '')"
)
"""SQL: why the cost of a call is not known; the same reason of every day reads as one."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """One reason, of what, and how often."""

    reason: str
    of_what: str  # calls, or tasks that have none
    count: int
    example: str | None  # a model, or the name of a kind of task

    def as_json(self) -> dict[str, object]:
        """The reason as a document."""
        return {"reason": self.reason, "of_what": self.of_what, "count": self.count, "example": self.example}


def unknowns(
    book: Book,
    lake: Lake,
    *,
    now_us: int,
    since_us: int | None = None,
    until_us: int | None = None,
    filters: Iterable[tuple[str, str]] = (),
) -> list[Unknown]:
    """The reasons of a period, the most frequent first; the filters are those of a report."""
    with reading.opened(book, lake, "calls", "folded", "tasks") as engine, translated("Looking for unknowns"):
        question = question_of(
            engine, book, now_us=now_us, filters=filters, since_us=since_us, until_us=until_us
        )
        calls = calls_in(question, "c.n", "c.cost_state", "c.cost_reason", "c.model", "c.model_asked")
        rows = engine.execute(
            f"SELECT {_OF_ANY_DAY}, 'calls', SUM(n), "
            f"MAX(COALESCE(model, model_asked)) FROM ({calls}) WHERE cost_state = 'unknown' "
            "GROUP BY 1 HAVING SUM(n) > 0 UNION ALL "
            f"SELECT reason, 'tasks', COUNT(*), MAX(name) FROM ({TASKS_LACKING}) AS t "
            f"WHERE {question.within('opened_at_us')} AND {_of_task(question)} GROUP BY 1 ORDER BY 3 DESC, 1"
        ).fetchall()
    return [
        Unknown(str(reason), str(of_what), int(count), None if example is None else str(example))
        for reason, of_what, count, example in rows
    ]


def _of_task(question: Question) -> str:
    """SQL: a task of its own is among those asked for; what only calls have, it has not."""
    values = {}
    for key, _ in question.filters:
        place = quoted(f'$."{key.label}"')
        values[key] = (
            f"json_extract_string(t.labels, {place})"
            if key.label is not None
            else (key.of_task if key.of_task != "NULL" else "t.outcome" if key.name == "outcome" else "NULL")
        )
    return f"({question.passes(values)})"
