"""Whole tasks: one fact per task, where every key asked for is the task's own.

The fast way: calls are summed per task once, and the keys of tasks travel as small
numbers, looked up again for the few groups that come out.
"""

from typing import TYPE_CHECKING

from flatfare.service.reporting.facts import Costing, Sources, state_text, tasks_sql
from flatfare.service.reporting.holdings import HEADLINE_PURPOSES
from flatfare.service.reporting.keys import Key, Kind
from flatfare.service.reporting.question import Question

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_RAW = {name: name for name in ("path", "name", "action_version", "settlement", "session", "source")}


def make_codes(engine: "DuckDBPyConnection", question: Question) -> list[str]:
    """Number the distinct keys of tasks: ``raw_codes`` by their columns, ``code_texts`` by number.

    Number 0 stands for keys that are all not given, and for a task without a row.
    Returns the columns of tasks that the codes are looked up by.
    """
    static = [key for key in question.keys if key.kind in (Kind.TASK, Kind.BOTH)]
    raw = _raw_columns(static)
    values = {key: key.of_task for key in static}
    grouped = [key for key in static if key in question.by]
    texts = ", ".join(f"{values[key]} AS k{question.by.index(key)}" for key in grouped)
    engine.execute(
        f"CREATE TEMP TABLE raw_values AS SELECT {', '.join([*raw, texts]) if texts else ', '.join(raw)}, "
        f"{question.passes(values)} AS passes FROM (SELECT DISTINCT {', '.join(raw)} FROM tasks)"
        if raw
        else "CREATE TEMP TABLE raw_values AS SELECT TRUE AS passes"
    )
    names = [f"k{question.by.index(key)}" for key in grouped]
    given = " OR ".join(f"{name} IS NOT NULL" for name in names) or "FALSE"
    listed = ", ".join(names) or "NULL AS none"
    engine.execute(
        f"CREATE TEMP TABLE code_texts AS SELECT CAST(ROW_NUMBER() OVER () AS INTEGER) AS code, * "
        f"FROM (SELECT DISTINCT {listed} FROM raw_values WHERE {given})"
    )
    matched = " AND ".join(f"raw_values.{name} IS NOT DISTINCT FROM code_texts.{name}" for name in names)
    columns = "".join(f"raw_values.{column}, " for column in raw)
    engine.execute(
        f"CREATE TEMP TABLE raw_codes AS SELECT {columns}passes, COALESCE(code, 0) AS code "
        f"FROM raw_values LEFT JOIN code_texts ON {matched or 'FALSE'}"
    )
    return raw


def _raw_columns(keys: list[Key]) -> list[str]:
    """The columns of tasks that these keys are read from."""
    columns = ["labels" if key.label else _RAW[key.of_task] for key in keys]
    return list(dict.fromkeys(columns))


def whole_facts(sources: Sources, raw: list[str], *, is_apart: bool) -> str:
    """One fact per task: its ``code``, its periods and outcome as ``k…``, its state, its figures.

    ``raw`` are the columns that ``make_codes`` looked up. ``is_apart`` sums calls beside
    the work by themselves, in half the time: allowed where ``may_stand_apart``, and right
    unless one of them belongs to a task without a row, which ``strays`` counts.
    """
    question = sources.question
    purposes = sources.holdings.purposes & HEADLINE_PURPOSES if is_apart else sources.holdings.purposes
    sums = sources.call_sums(purposes)
    calls = calls_per_task(sources, sums, purposes)
    tasks = _coded_tasks(sources, raw)
    joined = (
        f"SELECT t.* EXCLUDE (state), c.* EXCLUDE (task_id), COALESCE(t.state, 0) AS state, "
        f"{moment(sources)} AS moment FROM ({tasks}) AS t FULL JOIN ({calls}) AS c ON c.task_id = t.id"
        f"{moved_join(sources, 'c.task_id')}"
        if calls
        else f"SELECT t.*, {_opened(question)} AS moment FROM ({tasks}) AS t"
    )
    costing = Costing(sources, frozenset(sums))
    figures = ", ".join(f"{sql} AS {name}" for name, sql in costing.columns().items())
    conditions = [_passes(question)]
    if sources.holdings.has_withdrawn:
        conditions.append(f"(id IS NOT NULL OR {costing.sum('any_n')} > 0)")
    facts = (
        f"SELECT COALESCE(code, 0) AS code{late_keys(question)}, CAST(state AS INTEGER) AS state, {figures} "
        f"FROM ({joined}) WHERE {' AND '.join(conditions)}"
    )
    return f"({facts}) UNION ALL BY NAME ({_beside(sources, tasks)})" if is_apart else facts


def may_stand_apart(sources: Sources) -> bool:
    """There are calls beside the work, and what they cost depends on nothing else of their task."""
    held = sources.holdings
    return (
        bool(held.purposes - HEADLINE_PURPOSES) and not held.has_given_simulation and not held.has_withdrawn
    )


def _beside(sources: Sources, tasks: str) -> str:
    """Calls for simulation and test, each under its task's keys; they count no task."""
    question = sources.question
    cost, unknown = sources.cost_column, sources.unknown_column
    figures = ", ".join(
        f"CASE WHEN purpose = '{name}' THEN {cost} END AS {name}, "
        f"CASE WHEN purpose = '{name}' THEN {unknown} END AS {name}_unknown_n"
        for name in sorted(sources.holdings.purposes - HEADLINE_PURPOSES)
    )
    calls = (
        f"SELECT task_id, {figures} FROM {sources.folded} "
        "WHERE task_id IS NOT NULL AND purpose NOT IN ('work', 'verification')"
    )
    names = [
        name
        for part in sorted(sources.holdings.purposes - HEADLINE_PURPOSES)
        for name in (part, f"{part}_unknown_n")
    ]
    joined = (
        f"SELECT b.*, t.*, {_opened(question)} AS moment FROM ({calls}) AS b "
        f"LEFT JOIN ({tasks}) AS t ON t.id = b.task_id"
    )
    return (
        f"SELECT COALESCE(code, 0) AS code{late_keys(question)}, CAST(NULL AS INTEGER) AS state, "
        f"{', '.join(names)}, CASE WHEN id IS NULL THEN 1 END AS strays "
        f"FROM ({joined}) WHERE id IS NULL OR {_passes(question)}"
    )


def _coded_tasks(sources: Sources, raw: list[str]) -> str:
    coded = f"(SELECT tasks.*, code, passes FROM tasks JOIN raw_codes ON {_matched(raw)}) AS tasks"
    return tasks_sql(sources, {"code": "code", "passes": "passes"}, coded)


def _opened(question: Question) -> str:
    return "opened_at_us" if question.needs_moment else "NULL"


def _matched(raw: list[str]) -> str:
    return " AND ".join(f"tasks.{name} IS NOT DISTINCT FROM raw_codes.{name}" for name in raw) or "TRUE"


def calls_per_task(sources: Sources, sums: dict[str, str], purposes: frozenset[str]) -> str | None:
    """The query for these sums of each task's calls; None where there are no such calls at all."""
    if not purposes:
        return None
    body = ", ".join(f"CAST({sql} AS BIGINT) AS {name}" for name, sql in sums.items())
    listed = ", ".join(repr(purpose) for purpose in sorted(purposes))
    return (
        f"SELECT task_id, {body} FROM {sources.folded} "
        f"WHERE task_id IS NOT NULL AND purpose IN ({listed}) GROUP BY task_id"
    )


def _passes(question: Question) -> str:
    """SQL: a task with its code, moment and state is among those asked for."""
    conditions = [question.within("moment"), question.passes(late_values(question))]
    if any(key.kind in (Kind.TASK, Kind.BOTH) for key, _ in question.filters):
        conditions.append("COALESCE(passes, FALSE)")
    return "(" + " AND ".join(conditions) + ")"


def moment(sources: Sources) -> str:
    """SQL: when a task was opened; one known by its calls alone, when the first was made."""
    if not sources.question.needs_moment:
        return "NULL"
    if sources.holdings.has_moved:
        return "COALESCE(t.opened_at_us, moved.first_at_us, c.first_at_us)"
    return "COALESCE(t.opened_at_us, c.first_at_us)"


def moved_join(sources: Sources, task_id: str) -> str:
    """SQL: the join with first calls that corrections moved, where there may be any."""
    if not (sources.question.needs_moment and sources.holdings.has_moved):
        return ""
    return f" LEFT JOIN moved ON moved.task_id = {task_id}"


def late_values(question: Question) -> dict[Key, str]:
    """SQL of the keys whose value depends on the moment or the state."""
    values = {key: question.period(key.name, "moment") for key in question.keys if key.kind is Kind.PERIOD}
    return values | {key: state_text("state") for key in question.keys if key.kind is Kind.OUTCOME}


def late_keys(question: Question) -> str:
    """The select list of those keys that are grouped by."""
    values = late_values(question)
    return "".join(
        f", {values[key]} AS k{position}" for position, key in enumerate(question.by) if key in values
    )
