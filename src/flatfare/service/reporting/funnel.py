"""The funnel: of the tasks attempted, how many were verified, settled or reversed, and where the rest is."""

from collections.abc import Iterable
from dataclasses import dataclass

from flatfare.core.errors import BadUsage
from flatfare.service.reporting.called import with_called
from flatfare.service.reporting.keys import Kind
from flatfare.service.reporting.paths import name_by_models
from flatfare.service.reporting.resolving import question_of
from flatfare.store import reading
from flatfare.store.book import Book
from flatfare.store.engine import translated
from flatfare.store.lake import Lake

_OUTCOME = "CASE WHEN outcome = 'open' AND matures_at_us <= {now_us} THEN 'assumed' ELSE outcome END"
_STEPS = {
    "attempted": "COUNT(*)",
    "matured": "COUNT(*) FILTER (WHERE matures_at_us <= {now_us})",
    "verified_ever": "COUNT(*) FILTER (WHERE now IN ('verified', 'reversed'))",
    "verified": "COUNT(*) FILTER (WHERE now = 'verified')",
    "settled": "COUNT(*) FILTER (WHERE settlement = 'settled')",
    "reversed": "COUNT(*) FILTER (WHERE now = 'reversed')",
    "failed": "COUNT(*) FILTER (WHERE now = 'failed')",
    "assumed": "COUNT(*) FILTER (WHERE now = 'assumed')",
    "open": "COUNT(*) FILTER (WHERE now = 'open')",
    "disputed": "COUNT(*) FILTER (WHERE is_disputed)",
    "held": "COUNT(*) FILTER (WHERE settlement = 'held')",
    "voided": "COUNT(*) FILTER (WHERE settlement = 'voided')",
    "refunded": "COUNT(*) FILTER (WHERE settlement = 'reversed')",
}


@dataclass(frozen=True, slots=True)
class Funnel:
    """The steps of one group of tasks; ``verified_ever`` counts those reversed later too."""

    key: str | None
    attempted: int
    matured: int
    verified_ever: int
    verified: int
    settled: int
    reversed: int
    failed: int
    assumed: int
    open: int
    disputed: int
    held: int
    voided: int
    refunded: int

    def as_json(self, by: str) -> dict[str, object]:
        """The steps as a document."""
        return {by: self.key, **{name: getattr(self, name) for name in _STEPS}}


def funnel(
    book: Book,
    lake: Lake,
    *,
    now_us: int,
    by: str = "action",
    filters: Iterable[tuple[str, str]] = (),
    since_us: int | None = None,
    until_us: int | None = None,
) -> tuple[list[Funnel], Funnel]:
    """Every group by one key of tasks, the largest first, and all together.

    Raises ``BadUsage`` for a key that only calls have.
    """
    with reading.opened(book, lake, "folded", "tasks") as engine, translated("Counting tasks"):
        with_called(engine)
        name_by_models(engine)
        question = question_of(
            engine, book, by=(by,), now_us=now_us, filters=filters, since_us=since_us, until_us=until_us
        )
        for key in question.keys:
            if key.kind not in (Kind.TASK, Kind.BOTH):
                raise BadUsage(f"Tasks cannot be counted by {key.name!r}: only by what is said of a task.")
        steps = ", ".join(f"{sql.format(now_us=now_us)} AS {name}" for name, sql in _STEPS.items())
        where = f"{question.passes({key: key.of_task for key in question.keys})} AND "
        rows = engine.execute(
            f"SELECT {question.by[0].of_task} AS key, {steps}, GROUPING(key) FROM "
            f"(SELECT *, {_OUTCOME.format(now_us=now_us)} AS now FROM tasks "
            f"WHERE {where}{question.within('opened_at_us')}) "
            "GROUP BY GROUPING SETS ((key), ()) ORDER BY attempted DESC, key"
        ).fetchall()
    groups = [(Funnel(row[0], *map(int, row[1:-1])), bool(row[-1])) for row in rows]
    total = next((one for one, is_total in groups if is_total), Funnel(None, *(0,) * len(_STEPS)))
    return [one for one, is_total in groups if not is_total], total
