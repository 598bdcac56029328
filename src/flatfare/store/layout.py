"""The columns of the records that live both in the book and in the lake, named once.

The book's tables, the lake's Parquet files and the import all follow these lists,
so that a sealed row and a hot row are the same row. A column is added at the end;
none is ever renamed, moved or reused, since old Parquet files keep their layout.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its name and its type in each store."""

    name: str
    kind: str  # uuid, text, bigint, boolean
    is_required: bool = False

    @property
    def lake_type(self) -> str:
        """The type in DuckDB and Parquet."""
        return {"uuid": "UUID", "text": "VARCHAR", "bigint": "BIGINT", "boolean": "BOOLEAN"}[self.kind]

    @property
    def book_type(self) -> str:
        """The type in the book, in the words of both SQLite and PostgreSQL where they share them."""
        return {"uuid": "TEXT", "text": "TEXT", "bigint": "{bigint}", "boolean": "{bigint}"}[self.kind]


def _columns(text: str) -> tuple[Column, ...]:
    """Columns from lines of ``name kind``, a star behind the name of one that is required."""
    columns = []
    for line in text.strip().splitlines():
        name, kind = line.split("--")[0].split()
        columns.append(Column(name.rstrip("*"), kind, name.endswith("*")))
    return tuple(columns)


TOKEN_COLUMNS = (
    "input",
    "cache_read",
    "cache_write",
    "cache_write_5m",
    "cache_write_1h",
    "tool_use_input",
    "input_audio",
    "cache_read_audio",
    "input_image",
    "cache_read_image",
    "output",
    "reasoning",
    "output_audio",
    "output_image",
)
"""Units of usage that have a column of their own; the rest stands in ``other_usage``."""

COUNT_COLUMNS = (*TOKEN_COLUMNS, "web_search")

CALLS = _columns(
    """
    id*             uuid
    revision*       bigint   -- 0 as first written; each correction adds one
    n*              bigint   -- 1, or -1 for the row that takes a former revision back
    at_us*          bigint
    duration_ms     bigint
    source*         text     -- gateway, sdk, or the name of the import
    import_id       uuid
    external_id     text     -- the id that the source gave it
    task_id         uuid
    attempt_id      uuid
    session         text
    turn            bigint
    purpose*        text     -- work, verification, simulation, test
    status*         text     -- ok, failed, cancelled, refused, cached
    http_status     bigint
    delivery        text     -- proven, unproven
    provider        text
    endpoint        text
    model           text     -- the model that served
    model_asked     text
    service_tier    text
    region          text
    is_stream       boolean
    input           bigint
    cache_read      bigint
    cache_write     bigint
    cache_write_5m  bigint
    cache_write_1h  bigint
    tool_use_input  bigint
    input_audio     bigint
    cache_read_audio bigint
    input_image     bigint
    cache_read_image bigint
    output          bigint
    reasoning       bigint
    output_audio    bigint
    output_image    bigint
    web_search      bigint
    other_usage     text     -- JSON, unit to decimal text
    usage_state*    text     -- measured, estimated, unknown
    cost_nano       bigint   -- the cost that counts; null where it is unknown
    cost_state*     text
    cost_reason     text
    cost_basis      text     -- reported, computed
    computed_nano   bigint
    computed_state  text
    computed_reason text
    reported_nano   bigint
    reported_digits text     -- as the source wrote it, where nano units cannot hold it all
    reported_source text
    original_nano   bigint   -- in its own currency, where that is not the book's
    original_currency text
    exchange_rate   text
    price_version   text
    labels*         text     -- canonical JSON
    key_id          text
    traits          text     -- JSON: counts and hashes of the request, never its text
    """
)
"""One row a call. A correction is two rows: the former revision with ``n`` −1 and every
figure negated, and the new one; so a sum over all rows is always right."""

TASKS = _columns(
    """
    id*             uuid
    version*        bigint   -- the highest version of a task is the task
    name*           text     -- the action's name, or what the source calls this kind of work
    action_version  text
    path            text
    labels*         text
    session         text
    opened_at_us*   bigint
    closed_at_us    bigint
    matures_at_us   bigint
    outcome*        text     -- open, verified, failed, assumed, reversed
    outcome_at_us   bigint
    outcome_cause   text     -- the verdict or signal that made it so
    is_disputed*    boolean
    settlement*     text     -- none, held, settled, voided, reversed
    value_nano      bigint
    rework_ms       bigint
    rework_nano     bigint
    given_nano      bigint   -- work cost of the whole task as its source gave it
    given_reason    text     -- why that is not known
    given_digits    text
    given_verification_nano bigint
    given_simulation_nano   bigint
    given_calls     bigint
    given_input_tokens      bigint
    given_output_tokens     bigint
    source*         text
    import_id       uuid
    external_id     text
    """
)
"""One row a version of a task."""

VERDICTS = _columns(
    """
    id*             uuid
    task_id*        uuid
    attempt_number  bigint
    verifier*       text
    verifier_version* text
    kind*           text     -- code, model, human, customer, signal
    judgement*      text     -- pass, fail, abstain
    score           text     -- decimal text, as the verifier gave it
    evidence_hash*  text
    at_us*          bigint
    cost_nano       bigint   -- what judging cost, where the source says so
    source*         text
    import_id       uuid
    position*       bigint   -- in the task's chain, from 0
    previous_hash*  text
    hash*           text
    """
)
"""One row a verdict, append-only, chained per task."""

VERDICT_SAYS = (
    "id",
    "task_id",
    "attempt_number",
    "verifier",
    "verifier_version",
    "kind",
    "judgement",
    "score",
    "evidence_hash",
    "at_us",
    "cost_nano",
    "source",
)
"""The fields that a verdict's hash covers, in order; null reads as empty text."""

FOLDED = _columns(
    """
    task_id         uuid
    session         text
    day*            bigint   -- days since 1970, UTC
    purpose*        text
    provider        text
    model           text
    key_id          text
    labels*         text
    source*         text
    n*              bigint
    failed_n*       bigint
    unknown_n*      bigint
    estimated_n*    bigint
    cost_nano*      bigint
    computed_n*     bigint
    computed_nano*  bigint
    reported_n*     bigint
    reported_nano*  bigint
    input_tokens*   bigint
    cached_tokens*  bigint
    output_tokens*  bigint
    duration_ms*    bigint
    first_at_us*    bigint
    last_at_us*     bigint
    """
)
"""Calls summed to one row per task, day, purpose, model and labels: what most reports read."""

FOLD_KEYS = ("task_id", "session", "day", "purpose", "provider", "model", "key_id", "labels", "source")

KINDS: dict[str, tuple[Column, ...]] = {
    "calls": CALLS,
    "folded": FOLDED,
    "tasks": TASKS,
    "verdicts": VERDICTS,
}
"""What the lake holds, each kind in a folder of its own."""

AMOUNTS = (*COUNT_COLUMNS, "duration_ms", "cost_nano", "computed_nano", "reported_nano", "original_nano")
"""The figures of a call that a correction negates, beside ``n``."""


def names(columns: tuple[Column, ...]) -> str:
    """The columns' names, ready for SQL."""
    return ", ".join(column.name for column in columns)


def lake_table(table: str, columns: tuple[Column, ...], *, is_temporary: bool = True) -> str:
    """The DuckDB statement that makes an empty table of these columns, of one connection or of all."""
    body = ", ".join(f"{column.name} {column.lake_type}" for column in columns)
    return f"CREATE {'TEMP ' if is_temporary else ''}TABLE {table} ({body})"


def book_table(table: str, columns: tuple[Column, ...], key: str, more: str = "") -> str:
    """The book's statement for a table of these columns; types in braces are filled per database."""
    lines = [
        f"{column.name} {column.book_type}{' NOT NULL' if column.is_required else ''}" for column in columns
    ]
    return f"CREATE TABLE {table} ({', '.join(lines)}, PRIMARY KEY ({key}){more}){{strict}}"
