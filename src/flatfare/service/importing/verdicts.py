"""Verdicts: each row what one verifier said of one task, on what evidence, and when."""

from flatfare.core.errors import BadInput
from flatfare.service.importing.chaining import verdict_id
from flatfare.service.importing.marking import has_repeats, number_repeats
from flatfare.service.importing.reading import Readable
from flatfare.service.importing.tasks import evidence_of
from flatfare.service.importing.words import kind_told
from flatfare.store.engine import quoted


def check_columns(file: Readable, name: str) -> None:
    """Raises ``BadInput`` where the file's columns make no verdicts."""
    columns = ", ".join(column.name for column in file.raw.columns)
    for needed, what in (("task", "which task was judged"), ("result", "what was found")):
        if not file.mapping.has(needed):
            raise BadInput(
                f"{name} has no column that says {what}. It has: {columns}. Name it with --map "
                f"{needed}=COLUMN."
            )
    if "at" not in file.mapping.fields and file.order.at_us is None:
        raise BadInput(
            f"{name} has no column that says when a verdict was given. Name it with --map at=COLUMN, or give "
            "all rows one moment with --at 2026-08-01."
        )
    if not file.mapping.has("verifier") and file.order.verifier is None:
        raise BadInput(
            f"{name} has no column that says who judged. Name it with --map verifier=COLUMN, or say "
            "--verifier NAME."
        )


def check_results(file: Readable, silent: int, rows: int) -> None:
    """Raises ``BadInput`` where no row has a result: then another column was meant."""
    if silent and silent == rows:
        says = file.mapping.fields["result"].says()
        raise BadInput(
            f"No row has a value in {says!r}, the result. Name another column: --map result=COLUMN."
        )


def read_verdicts(file: Readable, import_id: str, version: str) -> str:
    """Make the view ``read``: the file's rows as verdicts without their place in a chain.

    Where the order says who judged, the same rows may hold the words of others too: a verdict is
    known by its row and who gave it. A row without a result is no verdict.
    """
    key = file.value("id") if file.mapping.has("id") else None
    number_repeats(file, key)
    repeats = " LEFT JOIN repeats ON repeats.line = raw.line" if has_repeats(file.engine) else ""
    number = "coalesce(repeats.number, 0)" if repeats else "0"
    content = f"'content:' || md5({file.content()}) || ':' || {number}"
    own_key = f"coalesce({key}, {content})" if key else content
    if file.order.verifier is not None:
        own_key = f"{own_key} || chr(30) || {quoted(file.order.verifier)}"
    problems = ", ".join([*file.problems(), "NULL"])
    source = quoted(file.order.source)
    at = ", ".join(
        [file.value("at"), str(file.order.at_us)] if file.order.at_us is not None else [file.value("at")]
    )
    file.engine.execute(f"""CREATE TEMP VIEW read AS SELECT *, coalesce(problem,
        {_missing("task_key", "task")},
        CASE WHEN judgement IS NOT NULL THEN {_missing("verifier", "verifier")} END,
        CASE WHEN judgement IS NOT NULL THEN {_missing("at_us", "time")} END) AS reason
        FROM (SELECT raw.line AS line, CAST({key or "NULL"} AS VARCHAR) AS external_id,
        {verdict_id(file.order.source, own_key)} AS id, {file.value("task")} AS task_key,
        CAST(md5('task' || chr(31) || {source} || chr(31) || {file.value("task")}) AS UUID) AS task_id,
        CAST({file.value("attempt")} AS BIGINT) AS attempt_number,
        coalesce({file.value("verifier")}, {_stated(file)}) AS verifier,
        coalesce({file.value("version")}, {quoted(version)}) AS verifier_version,
        coalesce({file.value("kind")}, {_kind(file)}) AS kind, {file.value("result")} AS judgement,
        CAST({file.value("score")} AS VARCHAR) AS score, {evidence_of(file)} AS evidence_hash,
        coalesce({at}, NULL) AS at_us, CAST({file.value("cost")} AS BIGINT) AS cost_nano,
        {source} AS source, CAST('{import_id}' AS UUID) AS import_id, {file.labels()} AS task_labels,
        coalesce({problems}) AS problem
        FROM {file.relation()}{repeats})""")
    return "read"


def _missing(column: str, what: str) -> str:
    return f"CASE WHEN {column} IS NULL THEN 'Found no {what} in this row.' END"


def _stated(file: Readable) -> str:
    """Who judged rows that name nobody, in SQL; null where the order says nothing either."""
    return "NULL" if file.order.verifier is None else quoted(file.order.verifier)


def _kind(file: Readable) -> str:
    """The kind that the order gives, else what the verifier's name or its column's name tells."""
    if file.order.verifier_kind:
        return quoted(file.order.verifier_kind)
    bound = file.mapping.fields.get("verifier")
    said = quoted(f"{bound.says() if bound else ''} {file.order.verifier or ''}")
    return kind_told(f"concat_ws(' ', {said}, {file.value('verifier')})")


def differs(file: Readable) -> str:
    """A predicate over ``mine`` and ``theirs``: the file says something else of this verdict."""
    columns = ["task_id", "verifier", "judgement", "score", "attempt_number"]
    if not file.order.is_at_now:
        columns.append("at_us")
    return " OR ".join(f"mine.{column} IS DISTINCT FROM theirs.{column}" for column in columns)
