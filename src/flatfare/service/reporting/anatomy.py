"""The anatomy of spend: which units the calls of a period used, how they ended, and what was tried again.

Over calls by the moment they were made, of tasks and beside them, for every purpose: so that
its spend is that of the calls, to the last nano-dollar.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from flatfare.core.errors import BadUsage
from flatfare.core.money import decimal_text
from flatfare.service.reporting.keys import Key, Kind
from flatfare.service.reporting.question import Question
from flatfare.service.reporting.resolving import question_of
from flatfare.store import reading
from flatfare.store.book import Book
from flatfare.store.engine import quoted, translated
from flatfare.store.lake import Lake
from flatfare.store.layout import COUNT_COLUMNS

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


@dataclass(frozen=True, slots=True)
class Ending:
    """The calls that ended in one way."""

    status: str
    calls: int
    cost_nano: int  # the known part
    unknown: int  # calls whose cost is not known


@dataclass(frozen=True, slots=True)
class Anatomy:
    """What calls used and how they ended."""

    units: tuple[tuple[str, Decimal], ...]  # the unit and how many, those that were used
    endings: tuple[Ending, ...]  # the dearest first
    again_calls: int  # made in a second attempt or a later one
    again_nano: int

    @property
    def calls(self) -> int:
        """All of them."""
        return sum(one.calls for one in self.endings)

    @property
    def cost_nano(self) -> int:
        """The known part of what they cost."""
        return sum(one.cost_nano for one in self.endings)

    @property
    def unknown(self) -> int:
        """Calls whose cost is not known."""
        return sum(one.unknown for one in self.endings)

    def as_json(self, currency: str = "USD") -> dict[str, object]:
        """The anatomy as a document; money as decimal text."""
        return {
            "currency": currency,
            "calls": self.calls,
            "cost": decimal_text(self.cost_nano),
            "unknown_cost_calls": self.unknown,
            "units": {unit: str(count) for unit, count in self.units},
            "endings": [
                {
                    "status": one.status,
                    "calls": one.calls,
                    "cost": decimal_text(one.cost_nano),
                    "unknown_cost_calls": one.unknown,
                }
                for one in self.endings
            ],
            "tried_again": {"calls": self.again_calls, "cost": decimal_text(self.again_nano)},
        }


def anatomy(
    book: Book,
    lake: Lake,
    *,
    now_us: int,
    since_us: int | None = None,
    until_us: int | None = None,
    filters: Iterable[tuple[str, str]] = (),
) -> Anatomy:
    """Look into the calls of a period; the filters are those of a report.

    Raises ``BadUsage`` for a filter that says nothing of a call or its task.
    """
    with reading.opened(book, lake, "calls", "folded", "tasks") as engine, translated("Looking into calls"):
        question = question_of(
            engine, book, now_us=now_us, filters=filters, since_us=since_us, until_us=until_us
        )
        chosen = calls_in(question, *(f"c.{name}" for name in (*COUNT_COLUMNS, *_BESIDE)))
        counts = ", ".join(f"CAST(SUM({name}) AS HUGEINT) AS {name}" for name in COUNT_COLUMNS)
        sums = engine.execute(f"SELECT {counts} FROM ({chosen})").fetchone() or ()
        endings = engine.execute(
            "SELECT status, SUM(n), COALESCE(SUM(cost_nano), 0), "
            "SUM(CASE cost_state WHEN 'unknown' THEN n ELSE 0 END) "
            f"FROM ({chosen}) GROUP BY status HAVING SUM(n) <> 0 ORDER BY 3 DESC, 1"
        ).fetchall()
        again = engine.execute(_AGAIN.format(chosen=chosen)).fetchone() or (0, 0)
        units = {name: Decimal(int(count)) for name, count in zip(COUNT_COLUMNS, sums, strict=True) if count}
        for name, count in _others(engine, chosen):
            units[name] = units.get(name, Decimal()) + count
    return Anatomy(
        tuple(units.items()),
        tuple(Ending(str(status), int(n), int(nano), int(unknown)) for status, n, nano, unknown in endings),
        int(again[0]),
        int(again[1]),
    )


_AGAIN = """WITH chosen AS ({chosen}), firsts AS (
    SELECT task_id, ARG_MIN(attempt_id, at_us) AS first FROM calls
    WHERE attempt_id IS NOT NULL AND task_id IS NOT NULL GROUP BY task_id)
SELECT COALESCE(SUM(n), 0), COALESCE(SUM(cost_nano), 0) FROM chosen JOIN firsts USING (task_id)
WHERE attempt_id IS NOT NULL AND attempt_id <> first"""


def _others(engine: "DuckDBPyConnection", chosen: str) -> list[tuple[str, Decimal]]:
    """Units that have no column of their own."""
    rows = engine.execute(
        "SELECT unit, "
        "SUM(n * CAST(json_extract_string(other_usage, '$.\"' || unit || '\"') AS DECIMAL(28, 9))) "
        "FROM (SELECT n, other_usage, UNNEST(json_keys(other_usage)) AS unit "
        f"FROM ({chosen}) WHERE other_usage IS NOT NULL) GROUP BY unit ORDER BY unit"
    ).fetchall()
    return [(str(unit), Decimal(str(count)).normalize()) for unit, count in rows if count]


def calls_in(question: Question, *columns: str) -> str:
    """SQL: the calls in question; a task's own value of a key counts before that of its calls.

    The columns are those of ``c``, the calls.
    """
    values = {key: _value(key) for key, _ in question.filters}
    joined = " LEFT JOIN tasks AS t ON t.id = c.task_id" if any(_needs_task(key) for key in values) else ""
    return (
        f"SELECT {', '.join(columns)} FROM calls AS c{joined} "
        f"WHERE {question.within('c.at_us')} AND {question.passes(values)}"
    )


_BESIDE = ("n", "at_us", "task_id", "attempt_id", "status", "cost_nano", "cost_state", "other_usage")


def _needs_task(key: Key) -> bool:
    return key.kind is not Kind.CALL


def _value(key: Key) -> str:
    if key.label is not None:
        place = quoted(f'$."{key.label}"')
        return f"COALESCE(json_extract_string(t.labels, {place}), json_extract_string(c.labels, {place}))"
    if key.kind is Kind.CALL:
        return f"c.{key.of_call}"
    if key.kind is Kind.BOTH:
        return f"COALESCE(t.{key.of_task}, c.{key.of_call})"
    if key.kind is Kind.TASK:
        return f"t.{key.of_task}"
    if key.kind is Kind.OUTCOME:
        return "t.outcome"
    raise BadUsage(f"Calls cannot be filtered by {key.name!r}: only by what is said of a call or its task.")
