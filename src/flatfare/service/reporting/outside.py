"""Outside tasks: what calls cost that belong to no task, by the keys that calls have.

They are never dropped: every nano-dollar spent stands in some row.
"""

from typing import TYPE_CHECKING

from flatfare.service.reporting.facts import Sources
from flatfare.service.reporting.keys import Key, Kind
from flatfare.store.folding import FIGURES
from flatfare.store.layout import FOLD_KEYS

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_HEADLINE = "purpose IN ('work', 'verification')"


def outside_facts(sources: Sources, *, is_whole: bool) -> str:
    """One row per group of calls outside tasks, with figures and keys; it counts no task.

    Among whole tasks its keys are ``code`` 0 and the periods, else all as ``k…``.
    """
    question = sources.question
    values = {key: _value(key, sources) for key in question.keys}
    keys = "".join(
        f", {values[key]} AS k{position}"
        for position, key in enumerate(question.by)
        if not is_whole or key.kind in (Kind.PERIOD, Kind.OUTCOME)
    )
    code = ", 0 AS code" if is_whole else ""
    cost, unknown = sources.cost_column, sources.unknown_column
    # The union takes its first branch's types, so every sum says its own.
    figures = {
        "outside": f"SUM({cost}) FILTER (WHERE {_HEADLINE})",
        "outside_n": f"SUM(n) FILTER (WHERE {_HEADLINE})",
        "outside_unknown_n": f"SUM({unknown}) FILTER (WHERE {_HEADLINE})",
        "simulation": f"SUM({cost}) FILTER (WHERE purpose = 'simulation')",
        "simulation_unknown_n": f"SUM({unknown}) FILTER (WHERE purpose = 'simulation')",
        "test": f"SUM({cost}) FILTER (WHERE purpose = 'test')",
        "test_unknown_n": f"SUM({unknown}) FILTER (WHERE purpose = 'test')",
    }
    body = ", ".join(f"CAST({sql} AS BIGINT) AS {name}" for name, sql in figures.items())
    if sources.holdings.has_fixed:
        body = body.replace(f"SUM({cost})", f"SUM({cost} + allocated_nano)")
    where = f"{question.passes(values)} AND {question.within('first_at_us')}"
    return (
        f"SELECT CAST(NULL AS INTEGER) AS state{code}{keys}, {body} FROM ({_calls(sources)}) "
        f"WHERE {where} GROUP BY ALL HAVING SUM(n) <> 0"
    )


def _value(key: Key, sources: Sources) -> str:
    if key.kind is Kind.PERIOD:
        return sources.question.period(key.name, "first_at_us")
    if key.kind in (Kind.CALL, Kind.BOTH):
        return key.of_call
    return "CAST(NULL AS VARCHAR)"


def _calls(sources: Sources) -> str:
    if has_loose(sources):
        return "SELECT * FROM loose"
    return f"SELECT * FROM {sources.folded} WHERE task_id IS NULL"


def has_loose(sources: Sources) -> bool:
    """Calls outside tasks are looked at by the hour; allocated fees are known by the day alone."""
    return sources.question.needs_times_of_calls and not sources.holdings.has_fixed


def load_loose(engine: "DuckDBPyConnection", sources: Sources) -> None:
    """Fold the calls outside tasks once more, by the quarter of an hour: whole days in UTC do not do."""
    keys = ", ".join(key for key in FOLD_KEYS if key != "day")
    figures = ", ".join(f"CAST({sql} AS BIGINT) AS {name}" for name, sql in FIGURES.items())
    engine.execute(
        f"CREATE TEMP TABLE loose AS SELECT {keys}, {figures}, MIN(at_us) AS first_at_us FROM calls "
        f"WHERE task_id IS NULL AND {sources.question.within('at_us')} "
        f"GROUP BY {keys}, at_us // {_QUARTER_US}"
    )


_QUARTER_US = 900_000_000
"""A quarter of an hour in microseconds: every time zone's day begins on one."""
