"""Tasks: each row one unit of work, its path, its outcome, and its cost if that is all there is.

An outcome that a source gives is itself a verdict: it names the column that said it
and the row that is its evidence.
"""

from flatfare.core.errors import BadInput
from flatfare.service.importing import costs
from flatfare.service.importing.attempts import too_many
from flatfare.service.importing.marking import has_repeats, number_repeats
from flatfare.service.importing.parsing import text_of
from flatfare.service.importing.reading import Readable
from flatfare.service.importing.words import kind_told
from flatfare.service.tasks.defining import Register
from flatfare.store.engine import quoted

_AMOUNTS = ("cost", "simulation_cost", "verification_cost", "value", "rework_cost")
_COUNTS = ("calls", "input_tokens", "output_tokens")


def check_columns(file: Readable, name: str) -> None:
    """Raises ``BadInput`` where the file's columns make no tasks."""
    if not file.mapping.has("outcome", "cost"):
        columns = ", ".join(column.name for column in file.raw.columns)
        raise BadInput(
            f"{name} has neither an outcome nor a cost in a column that is known by its name. It has: "
            f"{columns}. Say which is which, such as --map outcome=COLUMN --map cost=COLUMN."
        )


def time_note(file: Readable) -> str | None:
    """What a person should know of the times of this file's tasks."""
    if file.mapping.has("opened_at", "closed_at"):
        return None
    if file.order.at_us is not None:
        return None
    return (
        "No column says when a task was: the moment of this import was taken. Name the column with "
        "--map opened_at=COLUMN, or give all rows one moment with --at TIME."
    )


def verifier_of(file: Readable) -> str:
    """Who said the outcomes of this file."""
    if file.order.verifier:
        return file.order.verifier
    bound = file.mapping.fields.get("outcome")
    return f"source:{bound.says()}" if bound else "source"


def kind_of(file: Readable) -> str:
    """What kind of verifier said the outcomes, in SQL: the row's word, the order's, or by its name."""
    told = (
        quoted(file.order.verifier_kind) if file.order.verifier_kind else kind_told(quoted(verifier_of(file)))
    )
    return f"coalesce({file.value('verifier_kind')}, {told})"


def read_tasks(file: Readable, import_id: str, version: str, now_us: int, windows: str = "NULL") -> str:
    """Make the view ``read``: the file's rows as tasks, each with the verdict its outcome is.

    ``windows`` is how long a task's outcome may still turn, in SQL, by the definition of its kind.
    """
    number_repeats(file, file.value("task") if file.mapping.has("task") else None)
    engine = file.engine
    engine.execute(f"CREATE TEMP VIEW parsed AS {_parsed(file, now_us)}")
    engine.execute(f"CREATE TEMP VIEW read AS {_read(file, import_id, version, windows)}")
    return "read"


def _key(file: Readable) -> str:
    number = "coalesce(repeats.number, 0)" if has_repeats(file.engine) else "0"
    content = f"'content:' || md5({file.content()}) || ':' || {number}"
    return f"coalesce({file.value('task')}, {content})" if file.mapping.has("task") else content


def _parsed(file: Readable, now_us: int) -> str:
    repeats = " LEFT JOIN repeats ON repeats.line = raw.line" if has_repeats(file.engine) else ""
    problems = ", ".join([*file.problems(), "NULL"])
    amounts = ", ".join(
        f"CAST({file.value(name)} AS BIGINT) AS {name}_nano, "
        f"CAST({file.more(name, 'digits')} AS VARCHAR) AS {name}_digits, "
        f"CAST({file.more(name, 'unknown')} AS VARCHAR) AS {name}_unknown"
        for name in _AMOUNTS
    )
    counts = ", ".join(f"CAST({file.value(name)} AS BIGINT) AS {name}" for name in _COUNTS)
    duration = f"CAST(round(TRY_CAST({file.value('duration_s')} AS DOUBLE) * 1000000) AS BIGINT)"
    opened_at = (
        f"coalesce({file.value('opened_at')}, {file.value('closed_at')}, {file.order.at_us or now_us})"
    )
    has_task = file.mapping.has("task")
    return f"""SELECT raw.line AS line, {_key(file)} AS key,
        CAST({file.value("task") if has_task else "NULL"} AS VARCHAR) AS external_id,
        {_name(file)} AS name, {path_of(file)} AS path, {_labels(file)} AS labels,
        CAST({file.value("session")} AS VARCHAR) AS session, {opened_at} AS opened_at_us,
        coalesce({file.value("closed_at")}, {file.value("opened_at")} + {duration}) AS closed_at_us,
        {file.value("matures_at")} AS matures_given_us, {file.value("judged_at")} AS judged_at_us,
        coalesce({file.value("outcome")}, 'open') AS outcome, CAST({file.value("score")} AS VARCHAR) AS score,
        {evidence_of(file)} AS evidence_hash, {kind_of(file)} AS verifier_kind,
        CAST({file.value("attempts")} AS BIGINT) AS attempts,
        CAST(round(TRY_CAST({file.value("rework_minutes")} AS DOUBLE) * 60000) AS BIGINT) AS rework_ms,
        {counts}, {amounts}, coalesce({problems}) AS problem
        FROM {file.relation()}{repeats}"""


def _name(file: Readable) -> str:
    """What the source calls this kind of work."""
    found = [file.value("name")] if file.mapping.has("name") else []
    found += [
        text_of(file.mapping.labels[key]) for key in ("benchmark", "domain") if key in file.mapping.labels
    ]
    return f"coalesce({', '.join([*found, quoted('task')])})"


def path_of(file: Readable) -> str:
    """The path as the source names it, else agent and model together, else what it has of them."""
    path, agent, model = (file.value(name) for name in ("path", "agent", "model"))
    return f"CAST(coalesce({path}, {agent} || '/' || {model}, {model}, {agent}) AS VARCHAR)"


def _labels(file: Readable) -> str:
    more = {
        name: file.value(name)
        for name in ("agent", "model")
        if file.mapping.has(name) and name not in file.mapping.labels
    }
    return file.labels(more)


def evidence_of(file: Readable) -> str:
    """The hash of what the outcome rests on: the source's own row, or the evidence it names."""
    own = f"sha256({file.content()})"
    if not file.mapping.has("evidence"):
        return own
    given = file.value("evidence")
    return (
        f"coalesce(CASE WHEN regexp_full_match({given}, '[0-9a-f]{{64}}') THEN {given} "
        f"ELSE sha256({given}) END, {own})"
    )


def windows_of(register: Register) -> str:
    """The window of the definition that was in force when a task was opened, in SQL; null for none."""
    cases = []
    for version, until_us in register.spans():
        if version.definition.window_us:
            until = "" if until_us is None else f"AND opened_at_us < {until_us} "
            cases.append(
                f"WHEN name = {quoted(version.definition.action)} AND opened_at_us >= {version.from_us} "
                f"{until}THEN {version.definition.window_us}"
            )
    return f"CASE {' '.join(cases)} END" if cases else "NULL"


def _read(file: Readable, import_id: str, version: str, windows: str) -> str:
    source = quoted(file.order.source)
    used = (
        "coalesce(input_tokens, output_tokens, calls) IS NOT NULL AND coalesce(input_tokens, 0) + "
        "coalesce(output_tokens, 0) + coalesce(calls, 0) = 0"
    )
    zero = costs.bare_zero(file.order, "cost_nano", "cost_digits", "path", used)
    why = quoted(costs.zero_reason(file, "input_tokens", "output_tokens"))
    reason = ", ".join(["problem", too_many(), "NULL"])
    simulation, verification = (
        costs.bare_zero(file.order, f"{name}_nano", f"{name}_digits", "path", "false")
        for name in ("simulation_cost", "verification_cost")
    )
    return f"""SELECT *, CASE outcome WHEN 'verified' THEN 'pass' WHEN 'failed' THEN 'fail' END AS judgement,
        coalesce(judged_at_us, closed_at_us, opened_at_us) AS verdict_at_us FROM (
        SELECT line, key, CAST(md5('task' || chr(31) || {source} || chr(31) || key) AS UUID) AS id, name,
        CAST(NULL AS VARCHAR) AS action_version, path, labels, session, opened_at_us, closed_at_us,
        coalesce(matures_given_us, coalesce(closed_at_us, judged_at_us, opened_at_us) + {windows},
        closed_at_us, opened_at_us) AS matures_at_us, outcome, score, judged_at_us,
        evidence_hash, {quoted(verifier_of(file))} AS verifier, {quoted(version)} AS verifier_version,
        verifier_kind, attempts,
        false AS is_disputed, 'none' AS settlement, value_nano, rework_ms,
        coalesce(rework_cost_nano, {_rework(file.order.rework_nano_per_hour)}) AS rework_nano,
        CASE WHEN {zero} THEN NULL ELSE cost_nano END AS given_nano,
        CASE WHEN {zero} THEN {why} ELSE cost_unknown END AS given_reason,
        CASE WHEN {zero} THEN coalesce(cost_digits, '0') ELSE cost_digits END AS given_digits,
        CASE WHEN {verification} THEN NULL ELSE verification_cost_nano END AS given_verification_nano,
        CASE WHEN {simulation} THEN NULL ELSE simulation_cost_nano END AS given_simulation_nano,
        calls AS given_calls, input_tokens AS given_input_tokens, output_tokens AS given_output_tokens,
        {source} AS source, CAST('{import_id}' AS UUID) AS import_id, external_id,
        coalesce({reason}) AS reason FROM parsed)"""


def _rework(nano_per_hour: int | None) -> str:
    """Minutes at an hourly rate, rounded once, half to even."""
    if nano_per_hour is None:
        return "NULL"
    exact = f"CAST(rework_ms AS HUGEINT) * {nano_per_hour}"
    hour = 3_600_000
    return (
        f"CAST(({exact}) // {hour} + CASE WHEN 2 * (({exact}) % {hour}) > {hour} OR (2 * (({exact}) % "
        f"{hour}) = "
        f"{hour} AND (({exact}) // {hour}) % 2 = 1) THEN 1 ELSE 0 END AS BIGINT)"
    )


COMPARED = {
    "path": "path",
    "agent": "path",
    "model": "path",
    "name": "name",
    "session": "session",
    "opened_at": "opened_at_us",
    "closed_at": "closed_at_us",
    "duration_s": "closed_at_us",
    "matures_at": "matures_at_us",
    "cost": "given_nano",
    "simulation_cost": "given_simulation_nano",
    "verification_cost": "given_verification_nano",
    "value": "value_nano",
    "rework_minutes": "rework_ms",
    "rework_cost": "rework_nano",
    "calls": "given_calls",
    "input_tokens": "given_input_tokens",
    "output_tokens": "given_output_tokens",
}
"""By which column a field that the file has is compared with a task that is here already."""


def differs(file: Readable) -> str:
    """A predicate over ``mine`` and ``theirs``: the file says something else of this task."""
    columns = {column for name, column in COMPARED.items() if file.mapping.has(name)}
    parts = [f"mine.{column} IS DISTINCT FROM theirs.{column}" for column in sorted(columns)]
    if file.mapping.has("cost"):
        parts.append("mine.given_digits IS DISTINCT FROM theirs.given_digits")
    if file.mapping.labels or file.mapping.has("agent", "model"):
        parts.append("mine.labels IS DISTINCT FROM theirs.labels")
    if file.mapping.has("outcome"):
        parts.append("mine.judgement IS DISTINCT FROM theirs.said")
    return " OR ".join(parts) or "false"
