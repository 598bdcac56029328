"""Calls: each row one request to a model, with its usage as leaves and its cost as the source gave it."""

from flatfare.core.errors import BadInput
from flatfare.prices.book import PriceBook
from flatfare.service.importing import costs
from flatfare.service.importing.fields import plain
from flatfare.service.importing.marking import has_repeats, number_repeats
from flatfare.service.importing.reading import Readable
from flatfare.service.importing.usage import (
    CACHE_WRITTEN,
    COUNTS,
    contradictions,
    leaves,
    overlaps_of,
    tokens_given,
)
from flatfare.store.engine import quoted
from flatfare.store.layout import CALLS

_TEXTS = ("session", "provider", "model", "model_asked", "endpoint", "service_tier", "region")
_READ = (*_TEXTS, *COUNTS, "turn", "http_status", "is_stream", "total_tokens")
_NEEDED = ("prompt_tokens", "completion_tokens", "cost", "total_tokens")
"""A file of calls has at least one of these: what nothing can be counted of is no call."""


def check_columns(file: Readable, name: str) -> None:
    """Raises ``BadInput`` where the file's columns make no calls."""
    if not file.mapping.has(*_NEEDED):
        columns = ", ".join(column.name for column in file.raw.columns)
        raise BadInput(
            f"{name} has neither tokens nor a cost in a column that is known by its name. It has: {columns}. "
            "Say which is which, such as --map prompt_tokens=COLUMN --map cost=COLUMN."
        )
    if "at" not in file.mapping.fields and file.order.at_us is None:
        raise BadInput(
            f"{name} has no column that says when a call was made. Name it with --map at=COLUMN, or give all "
            "rows one moment with --at 2026-08-01."
        )


def read_calls(file: Readable, import_id: str) -> str:
    """Make the view ``read``: the file's rows as calls, before their price, with ``line`` and ``reason``."""
    number_repeats(file, file.value("id") if file.mapping.has("id") else None)
    engine = file.engine
    engine.execute(f"CREATE TEMP VIEW parsed AS {_parsed(file)}")
    overlaps = overlaps_of(file.mapping)
    leaf_columns = ", ".join(f"{sql} AS {name}" for name, sql in leaves(overlaps).items())
    engine.execute(f"CREATE TEMP VIEW measured AS SELECT *, {leaf_columns} FROM parsed")
    engine.execute(f"CREATE TEMP VIEW read AS {_read(file, import_id, contradictions())}")
    return "read"


def _parsed(file: Readable) -> str:
    """Each field's value under its own name, and the row's identity."""
    sources = {name: file.value(name) for name in _READ}
    if not file.mapping.has("provider"):
        sources["provider"] = maker_of(f"CAST({file.value('model')} AS VARCHAR)")
    values = [f"CAST({sql} AS {_type(name)}) AS {name}" for name, sql in sources.items()]
    at = file.value("at") if file.mapping.has("at") else str(file.order.at_us)
    if file.mapping.has("at") and file.order.at_us is not None:
        at = f"coalesce({at}, {file.order.at_us})"
    problems = ", ".join([*file.problems(), "NULL"])
    inside = CACHE_WRITTEN
    for name in ("cache_write_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens"):
        inside = inside.replace(name, file.value(name))
    return f"""SELECT raw.line AS line, {_key(file)} AS key, {file.value("id")} AS external_id,
        {at} AS at_us, {file.value("ended_at")} AS ended_at_us, {file.value("task")} AS task_key,
        {_duration(file)} AS duration_ms_given,
        coalesce({file.value("purpose")}, {file.value("role")}, 'work') AS purpose,
        {file.value("status")} AS status_given,
        {file.value("cost")} AS given_nano, {file.more("cost", "digits")} AS digits,
        CAST({file.more("cost", "original_nano")} AS BIGINT) AS given_original_nano,
        {file.more("cost", "original_currency")} AS given_currency,
        {file.more("cost", "exchange")} AS exchange_rate, {file.more("cost", "unknown")} AS unknown_why,
        {inside} AS cache_write_of_prompt, {overlaps_of(file.mapping).outside_sql} AS cached_is_outside,
        {file.labels()} AS labels, coalesce({problems}) AS problem, {", ".join(values)}
        FROM {file.relation()}{_repeats(file)}"""


def _type(name: str) -> str:
    if name in _TEXTS:
        return "VARCHAR"
    return "BOOLEAN" if name == "is_stream" else "BIGINT"


def _repeats(file: Readable) -> str:
    return " LEFT JOIN repeats ON repeats.line = raw.line" if has_repeats(file.engine) else ""


def _key(file: Readable) -> str:
    """The row's key: the source's id, else its content and its number among the rows of that content."""
    number = "coalesce(repeats.number, 0)" if has_repeats(file.engine) else "0"
    content = f"'content:' || md5({file.content()}) || ':' || {number}"
    return f"coalesce({file.value('id')}, {content})" if file.mapping.has("id") else content


def _duration(file: Readable) -> str:
    """Whole milliseconds."""
    milliseconds = f"TRY_CAST({file.value('duration_ms')} AS DOUBLE)"
    seconds = f"TRY_CAST({file.value('duration_s')} AS DOUBLE) * 1000"
    return f"CAST(round(coalesce({milliseconds}, {seconds})) AS BIGINT)"


def _read(file: Readable, import_id: str, contradictory: list[str]) -> str:
    source = quoted(file.order.source)
    zero = costs.bare_zero(file.order, "given_nano", "digits", "model", tokens_given(file))
    zero_why = quoted(costs.zero_reason(file, *COUNTS, "total_tokens"))
    reason = ", ".join(["problem", *contradictory, _time_problem(), "NULL"])
    cost_column = file.mapping.fields["cost"].says() if file.mapping.has("cost") else ""
    return f"""SELECT line, CAST(md5('call' || chr(31) || {source} || chr(31) || key) AS UUID) AS id,
        CAST(0 AS BIGINT) AS revision, CAST(1 AS BIGINT) AS n, at_us,
        coalesce(duration_ms_given, CASE WHEN ended_at_us >= at_us THEN (ended_at_us - at_us) // 1000 END)
            AS duration_ms,
        {source} AS source, CAST('{import_id}' AS UUID) AS import_id, external_id,
        CAST(md5('task' || chr(31) || {source} || chr(31) || task_key) AS UUID) AS task_id,
        CAST(NULL AS UUID) AS attempt_id, session, turn, purpose,
        coalesce(status_given, CASE WHEN http_status NOT BETWEEN 200 AND 299 THEN 'failed' END, 'ok')
            AS status,
        http_status, CAST(NULL AS VARCHAR) AS delivery, provider, endpoint, model, model_asked, service_tier,
        region, is_stream, input, cache_read, cache_write, cache_write_5m, cache_write_1h,
        CAST(NULL AS BIGINT) AS tool_use_input, input_audio, CAST(NULL AS BIGINT) AS cache_read_audio,
        CAST(NULL AS BIGINT) AS input_image, CAST(NULL AS BIGINT) AS cache_read_image, output, reasoning,
        output_audio, CAST(NULL AS BIGINT) AS output_image, web_search, CAST(NULL AS VARCHAR) AS other_usage,
        CASE WHEN {_is_whole()} THEN 'measured' ELSE 'unknown' END AS usage_state,
        given_nano, coalesce({zero}, false) AS is_bare_zero,
        CASE WHEN {zero} THEN {zero_why} ELSE unknown_why END AS given_reason,
        CASE WHEN {zero} THEN coalesce(digits, '0') ELSE digits END AS reported_digits,
        CASE WHEN coalesce(CAST(given_nano AS VARCHAR), digits) IS NOT NULL THEN {quoted(cost_column)} END
            AS reported_source,
        given_original_nano, given_currency, exchange_rate, labels,
        CAST(NULL AS VARCHAR) AS key_id, CAST(NULL AS VARCHAR) AS traits,
        coalesce({reason}) AS reason FROM measured"""


def _is_whole() -> str:
    """A predicate: the row says all that it used. What only reads, such as an embedding, answers nothing."""
    only_reads = (
        "regexp_matches(lower(concat_ws(' ', endpoint, model)), 'embed|rerank|moderation|ocr|bge-|e5-')"
    )
    return (
        f"(prompt_tokens IS NOT NULL AND (completion_tokens IS NOT NULL OR {only_reads})) "
        "OR (prompt_tokens IS NULL AND completion_tokens IS NULL AND web_search IS NOT NULL)"
    )


def _time_problem() -> str:
    return (
        "CASE WHEN at_us IS NULL THEN 'Found no time in this row: --at TIME gives one to rows without.' END"
    )


def priced_calls(file: Readable, kept: str, book: PriceBook, cost_that_counts: str) -> str:
    """The relation of calls as the lake keeps them, from rows that were read."""
    columns = ", ".join(f"CAST({column.name} AS {column.lake_type}) AS {column.name}" for column in CALLS)
    return (
        f"SELECT {columns} FROM "
        f"{costs.that_counts(costs.computed(file.engine, kept, book), cost_that_counts)}"
    )


_MAKERS = {
    "openai": "gpt-|chatgpt-|o1|o3|o4|text-embedding-|davinci|babbage|whisper|tts-|ft:",
    "anthropic": "claude",
    "gemini": "gemini",
    "mistral": "mistral|codestral|ministral|magistral|pixtral|devstral",
    "deepseek": "deepseek-",
    "xai": "grok",
    "cohere": "command|embed-|rerank-",
}
"""How the names of a maker's own models begin."""


def maker_of(model: str) -> str:
    """Who makes the model of this name, in SQL; null where the name does not say. A slug names its own."""
    cases = " ".join(
        f"WHEN regexp_matches(lower({model}), '^({names})') THEN '{maker}'"
        for maker, names in _MAKERS.items()
    )
    return f"CASE WHEN contains({model}, '/') THEN NULL {cases} END"


def notes(file: Readable) -> list[str]:
    """What a person should know of how these calls were read."""
    said = []
    if not file.mapping.has("provider") and file.mapping.has("model"):
        said.append(
            "No column names the provider: the maker of each model was taken, such as openai for gpt-…; "
            "--set provider=NAME says otherwise."
        )
    if not file.mapping.has("task"):
        said.append(_TASKLESS.format(column=_columns_of(file, "session") or "COLUMN"))
    if file.mapping.has("at") and file.order.at_us is not None:
        said.append("Rows without a time were given that of --at.")
    if file.mapping.has("cached_tokens", "cache_write_tokens") and "cached" not in file.mapping.switches:
        said.append(f"Read with {overlaps_of(file.mapping).says()}; --set cached=… says otherwise.")
    if sums := [name for name in file.mapping.unused if plain(name) in _SUMS]:
        said.append(f"Each row counts as one call, though {sums[0]!r} says that a row may add up several.")
    return said


_TASKLESS = (
    "No column names the task of a call, so these calls stand outside tasks: --map task={column} says which "
    "does, with --update where they are here already."
)


def _columns_of(file: Readable, name: str) -> str | None:
    """The columns that a field is read from."""
    bound = file.mapping.fields.get(name)
    return "+".join(column.name for column in bound.columns) if bound else None


_SUMS = {"num_model_requests", "num_requests", "n_requests", "request_count", "requests", "api_requests"}
"""Columns of exports that add up many requests in one row."""

COMPARED = {
    "at": "at_us",
    "task": "task_id",
    "session": "session",
    "turn": "turn",
    "purpose": "purpose",
    "role": "purpose",
    "status": "status",
    "http_status": "http_status",
    "provider": "provider",
    "model": "model",
    "model_asked": "model_asked",
    "endpoint": "endpoint",
    "service_tier": "service_tier",
    "region": "region",
    "is_stream": "is_stream",
    "duration_ms": "duration_ms",
    "duration_s": "duration_ms",
    "prompt_tokens": "input",
    "completion_tokens": "output",
    "cached_tokens": "cache_read",
    "cache_write_tokens": "cache_write",
    "cache_write_5m_tokens": "cache_write_5m",
    "cache_write_1h_tokens": "cache_write_1h",
    "reasoning_tokens": "reasoning",
    "input_audio_tokens": "input_audio",
    "output_audio_tokens": "output_audio",
    "web_searches": "web_search",
}
"""By which column a field that the file has is compared with a call that is here already."""


def differs(file: Readable) -> str:
    """A predicate over ``mine`` and ``theirs``: the file says something else of this call."""
    columns = {column for name, column in COMPARED.items() if file.mapping.has(name)}
    parts = [f"mine.{column} IS DISTINCT FROM theirs.{column}" for column in sorted(columns)]
    if file.mapping.has("cost"):
        mine = "CASE WHEN mine.is_bare_zero THEN NULL ELSE mine.given_nano END"
        same = (
            f"({mine}) IS NOT DISTINCT FROM theirs.reported_nano OR (mine.given_nano = 0 AND "
            "theirs.reported_nano = 0)"
        )
        parts += [
            f"NOT ({same})",
            (
                "mine.given_original_nano IS DISTINCT FROM coalesce(theirs.original_nano, "
                "mine.given_original_nano)"
            ),
        ]
    if file.mapping.labels:
        parts.append("mine.labels IS DISTINCT FROM theirs.labels")
    return " OR ".join(parts) or "false"
