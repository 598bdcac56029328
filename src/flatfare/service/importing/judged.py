"""Tasks and verdicts on their way into the lake: new rows, newer versions, verdicts behind their heads."""

from typing import TYPE_CHECKING

from flatfare.service.importing.attempts import land_attempts
from flatfare.service.importing.chaining import chained, fold_outcomes, verdict_id
from flatfare.service.importing.landing import Landing
from flatfare.service.importing.reading import Readable
from flatfare.service.importing.tasks import COMPARED
from flatfare.service.tasks.defining import Register
from flatfare.store.engine import quoted
from flatfare.store.layout import TASKS

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_COLUMNS = ", ".join(f"CAST({column.name} AS {column.lake_type}) AS {column.name}" for column in TASKS)
_STATE = "id AS task_id, name, outcome, opened_at_us, closed_at_us"
_NO_HEADS = "(SELECT CAST(NULL AS UUID) AS task_id, 0 AS next_position, '' AS hash WHERE false)"


def land_tasks(
    file: Readable, landing: Landing, kept: str, register: Register, *, has_known: bool, now_us: int
) -> int:
    """Write the tasks of a file, each with the verdict that its outcome is; returns how many verdicts."""
    engine = file.engine
    land_attempts(file, landing, kept)
    if not has_known:
        fresh = _verdicts_of(file, kept, _NO_HEADS, "verdict_at_us")
        landing.take(engine, "tasks", _new_tasks(file, kept))
        return landing.take(engine, "verdicts", chained(engine, fresh, None))
    engine.execute(f"CREATE TEMP TABLE kept_tasks AS SELECT * FROM {kept}")
    spoken = (
        "(SELECT mine.* REPLACE (CASE WHEN theirs.said IS NULL THEN mine.verdict_at_us "
        f"ELSE {now_us} END AS verdict_at_us) FROM kept_tasks AS mine LEFT JOIN known_tasks AS theirs "
        "ON theirs.id = mine.id WHERE theirs.said IS DISTINCT FROM mine.judgement)"
    )
    engine.execute(
        "CREATE TEMP TABLE fresh_verdicts AS SELECT * FROM "
        f"{_verdicts_of(file, spoken, 'heads', 'verdict_at_us')}"
    )
    rows = chained(engine, "fresh_verdicts", "heads")
    fold_outcomes(engine, all_verdicts(), f"SELECT {_STATE} FROM kept_tasks", register)
    _land_versions(engine, landing, _merged(file), "kept_tasks")
    return landing.take(engine, "verdicts", rows)


def all_verdicts() -> str:
    """Old and new verdicts of the tasks in question."""
    said = "verifier, verifier_version, kind, judgement, evidence_hash, at_us, score, attempt_number, source"
    columns = f"id, task_id, {said}"
    return f"SELECT {columns} FROM known_verdicts UNION ALL SELECT {columns} FROM fresh_verdicts"


def _verdicts_of(file: Readable, kept: str, heads: str, at: str) -> str:
    """The verdict that each row's outcome is, without its place in the chain."""
    key = "key || chr(30) || evidence_hash || chr(30) || coalesce(heads.next_position, 0)"
    return f"""(SELECT line, {verdict_id(file.order.source, key)} AS id, mine.id AS task_id,
        CAST(NULL AS BIGINT) AS attempt_number, verifier, verifier_version, verifier_kind AS kind, judgement,
        score, evidence_hash, {at} AS at_us, CAST(NULL AS BIGINT) AS cost_nano, source, import_id
        FROM {kept} AS mine LEFT JOIN {heads} AS heads ON heads.task_id = mine.id
        WHERE judgement IS NOT NULL)"""


def _new_tasks(file: Readable, kept: str) -> str:
    cause = verdict_id(file.order.source, "key || chr(30) || evidence_hash || chr(30) || 0")
    return f"""SELECT {_COLUMNS} FROM (SELECT *, 0 AS version,
        CASE WHEN judgement IS NOT NULL THEN verdict_at_us END AS outcome_at_us,
        CASE WHEN judgement IS NOT NULL THEN CAST({cause} AS VARCHAR) END AS outcome_cause FROM {kept})"""


def _land_versions(engine: "DuckDBPyConnection", landing: Landing, merged: str, kept: str) -> None:
    counted = engine.execute(
        f"SELECT count(*) FROM {kept} WHERE id IN (SELECT id FROM known_tasks)"
    ).fetchone()
    landing.take(engine, "tasks", merged, replaces_rows=int(counted[0]) if counted else 0)


def _merged(file: Readable) -> str:
    """Each kept task over what was known of it: what the file has a column for is the file's."""
    has_time = file.mapping.has("opened_at", "closed_at")
    own = {column for name, column in COMPARED.items() if file.mapping.has(name)}
    own |= {"given_reason", "given_digits"} if file.mapping.has("cost") else set()
    own |= {"matures_at_us", "opened_at_us"} if has_time else set()
    own |= {"labels"} if file.mapping.labels or file.mapping.has("agent", "model") else set()
    own |= {"id", "source", "import_id", "external_id"}
    state = {"is_disputed", "settlement"}
    columns = []
    for column in TASKS:
        mine, theirs = f"mine.{column.name}", f"theirs.{column.name}"
        if column.name == "version":
            columns.append("coalesce(theirs.version + 1, 0) AS version")
        elif column.name == "outcome":
            columns.append("coalesce(outcomes.outcome, mine.outcome) AS outcome")
        elif column.name == "outcome_at_us":
            columns.append("outcomes.outcome_at_us")
        elif column.name == "outcome_cause":
            columns.append("outcomes.cause AS outcome_cause")
        elif column.name in own:
            columns.append(f"{mine} AS {column.name}")
        elif column.name in state or (column.name == "opened_at_us" and not has_time):
            columns.append(f"coalesce({theirs}, {mine}) AS {column.name}")
        else:
            columns.append(f"coalesce({mine}, {theirs}) AS {column.name}")
    return (
        f"SELECT {_COLUMNS} FROM (SELECT {', '.join(columns)} FROM kept_tasks AS mine "
        "LEFT JOIN known_tasks AS theirs ON theirs.id = mine.id "
        "LEFT JOIN outcomes ON outcomes.task_id = mine.id)"
    )


def land_verdicts(file: Readable, landing: Landing, kept: str, import_id: str, register: Register) -> int:
    """Write the verdicts of a file, and a newer version of each task they speak of.

    A task that is only known by its calls, or not at all, is made; returns how many were.
    """
    engine = file.engine
    engine.execute(f"CREATE TEMP TABLE fresh_verdicts AS SELECT * FROM {kept}")
    rows = chained(engine, "fresh_verdicts", "heads")
    fold_outcomes(engine, all_verdicts(), f"SELECT {_STATE} FROM known_tasks", register)
    engine.execute(f"CREATE TEMP TABLE judged_tasks AS {_judged(import_id, file.order.source)}")
    made = engine.execute("SELECT count(*) FROM judged_tasks WHERE version = 0").fetchone()
    count = int(made[0]) if made else 0
    _land_versions(engine, landing, "SELECT * FROM judged_tasks", "judged_tasks")
    landing.take(engine, "verdicts", rows)
    return count


def _judged(import_id: str, source: str) -> str:
    """The newer version of each task that was judged; a task nobody had told of begins with its calls."""
    told = {
        "id": "spoken.task_id",
        "version": "coalesce(theirs.version + 1, 0)",
        "name": "coalesce(theirs.name, 'task')",
        "path": "coalesce(theirs.path, call_tasks.model)",
        "labels": "coalesce(theirs.labels, spoken.labels, '{}')",
        "session": "coalesce(theirs.session, call_tasks.session)",
        "opened_at_us": "coalesce(theirs.opened_at_us, call_tasks.first_at_us, spoken.first_at_us)",
        "closed_at_us": "coalesce(theirs.closed_at_us, call_tasks.last_at_us)",
        "matures_at_us": "coalesce(theirs.matures_at_us, call_tasks.last_at_us, spoken.first_at_us)",
        "outcome": "outcomes.outcome",
        "outcome_at_us": "outcomes.outcome_at_us",
        "outcome_cause": "outcomes.cause",
        "is_disputed": "coalesce(theirs.is_disputed, false)",
        "settlement": "coalesce(theirs.settlement, 'none')",
        "source": f"coalesce(theirs.source, {quoted(source)})",
        "import_id": f"coalesce(theirs.import_id, CAST('{import_id}' AS UUID))",
        "external_id": "coalesce(theirs.external_id, spoken.task_key)",
    }
    columns = ", ".join(
        f"{told.get(column.name, f'theirs.{column.name}')} AS {column.name}" for column in TASKS
    )
    return (
        f"SELECT {_COLUMNS} FROM (SELECT {columns} FROM (SELECT task_id, any_value(task_key) AS task_key, "
        "arg_min(task_labels, line) AS labels, min(at_us) AS first_at_us FROM fresh_verdicts GROUP BY "
        "task_id) "
        "AS spoken LEFT JOIN known_tasks AS theirs ON theirs.id = spoken.task_id "
        "LEFT JOIN call_tasks ON call_tasks.task_id = spoken.task_id "
        "LEFT JOIN outcomes ON outcomes.task_id = spoken.task_id)"
    )
