"""The fate of each row: new, known, an update of a known one, or rejected with its reason.

A row is known by its id: the source's own, else its content and its number among the
rows of that content. Only rows whose fate is not plain 'new' are marked, so that a
clean file costs no table of marks.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flatfare.service.importing.reading import Readable
from flatfare.store.engine import translated

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


@dataclass(frozen=True, slots=True)
class Tally:
    """How many rows had which fate."""

    read: int
    new: int
    known: int
    updated: int
    rejected: int


def number_repeats(file: Readable, key: str | None) -> None:
    """Make the table ``repeats``: for rows that the file holds more than once, which one each is.

    ``key`` is the source's own id in SQL, or None where rows are known by content.
    """
    engine = file.engine
    columns = ", ".join(column.sql for column in file.raw.columns)
    by_content = f"hash({columns})"
    hashed = f"CASE WHEN {key} IS NULL THEN {by_content} ELSE hash({key}) END" if key else by_content
    exact = f"coalesce('id' || {key}, md5({file.content()}))" if key else f"md5({file.content()})"
    with translated("Reading the file"):
        engine.execute(
            f"CREATE TEMP TABLE repeated AS SELECT {hashed} AS hashed FROM {file.relation()} "
            "GROUP BY ALL HAVING count(*) > 1"
        )
        engine.execute(
            "CREATE TEMP TABLE repeats AS SELECT line, row_number() OVER same - 1 AS number, "
            "content, first_value(content) OVER same AS first_content, first_value(line) OVER same AS "
            "first_line "
            f"FROM (SELECT line, {exact} AS exact, md5({file.content()}) AS content FROM {file.relation()} "
            f"WHERE {hashed} IN (SELECT hashed FROM repeated)) WINDOW same AS (PARTITION BY exact ORDER "
            "BY line)"
        )
        engine.execute("DELETE FROM repeats WHERE number = 0")
        engine.execute("DROP TABLE repeated")


def has_repeats(engine: "DuckDBPyConnection") -> bool:
    """Whether the file holds a row, or an id, more than once."""
    return _count(engine, "SELECT count(*) FROM repeats") > 0


def open_marks(engine: "DuckDBPyConnection") -> None:
    """An empty table of marks."""
    engine.execute("CREATE TEMP TABLE marks (line BIGINT, fate VARCHAR, reason VARCHAR)")


def mark_unreadable(engine: "DuckDBPyConnection", read: str, is_any: bool) -> None:
    """Mark the rows that cannot be read."""
    if is_any:
        with translated("Reading the file"):
            engine.execute(
                f"INSERT INTO marks SELECT line, 'rejected', reason FROM {read} WHERE reason IS NOT NULL"
            )


def mark_without_result(engine: "DuckDBPyConnection", read: str) -> int:
    """Mark the rows of tasks that nobody judged; how many there are."""
    engine.execute(
        f"INSERT INTO marks SELECT line, 'silent', NULL FROM {read} "
        "WHERE judgement IS NULL AND reason IS NULL AND line NOT IN (SELECT line FROM marks)"
    )
    return _count(engine, "SELECT count(*) FROM marks WHERE fate = 'silent'")


def mark_repeated_ids(engine: "DuckDBPyConnection", key: str, read: str, what: str, place: str) -> None:
    """Mark rows whose id came before in the file: the same row again is known, another is refused.

    ``read`` has ``key``, the source's own id, null where it gives none.
    """
    reason = (
        f"'Found the {what} ' || {key} || ' a second time, with other content than in {place} ' || "
        "first_line "
        f"|| ': is it the whole key? Several columns make one with --map {what}=column+column.'"
    )
    if not has_repeats(engine):
        return
    engine.execute(
        f"INSERT INTO marks SELECT line, CASE WHEN content = first_content THEN 'known' ELSE 'rejected' END, "
        f"CASE WHEN content <> first_content THEN {reason} END "
        f"FROM repeats JOIN {read} USING (line) WHERE {key} IS NOT NULL "
        "AND line NOT IN (SELECT line FROM marks)"
    )


NEVER = "FALSE"
"""No other content is taken: such rows are evidence, and stay as they are."""


def mark_known(
    engine: "DuckDBPyConnection",
    read: str,
    existing: str,
    differs: str,
    updates: str,
    what: str,
) -> None:
    """Mark the rows that are here already: known where they say the same, else updates or rejects.

    ``existing`` is a relation with ``id``, perhaps in several revisions: what one of them
    says was said before. ``differs`` compares ``mine`` and ``theirs``, and ``updates`` says
    of ``theirs`` whether other content is taken.
    """
    reason = (
        f"'This {what} was imported before with other content: "
        "--update takes the new one and keeps the old in the history.'"
        if updates != NEVER
        else f"'This {what} was imported before with other content, and a {what} that stands never changes: "
        "what was found later is one of its own, with a later time.'"
    )
    with translated("Comparing with what is known"):
        engine.execute(
            "INSERT INTO marks SELECT line, CASE WHEN changed AND taken THEN 'update' WHEN changed "
            "THEN 'rejected' "
            f"ELSE 'known' END, CASE WHEN changed AND NOT taken THEN {reason} END "
            f"FROM (SELECT mine.line, bool_and({differs}) AS changed, bool_or({updates}) AS taken "
            f"FROM {read} AS mine JOIN {existing} AS theirs ON mine.id = theirs.id GROUP BY mine.line) "
            "WHERE line NOT IN (SELECT line FROM marks)"
        )


def tally(engine: "DuckDBPyConnection", rows: int, unread: int) -> Tally:
    """Count the fates; ``unread`` lines were no rows at all."""
    counts = dict(engine.execute("SELECT fate, count(*) FROM marks GROUP BY ALL").fetchall())
    known, updated, rejected = (int(counts.get(fate, 0)) for fate in ("known", "update", "rejected"))
    new = rows - sum(int(count) for count in counts.values())
    return Tally(rows + unread, new, known, updated, rejected + unread)


def unmarked(engine: "DuckDBPyConnection", read: str, *, with_updates: bool = True) -> str:
    """The relation of rows to be kept: those that are new or, unless asked otherwise, updates."""
    if not _count(engine, "SELECT count(*) FROM marks"):
        return read
    but = " WHERE fate <> 'update'" if with_updates else ""
    return (
        f"(SELECT * FROM {read} AS kept WHERE NOT EXISTS (SELECT 1 FROM (SELECT line FROM marks{but}) "
        "AS m WHERE m.line = kept.line))"
    )


def _count(engine: "DuckDBPyConnection", query: str) -> int:
    row = engine.execute(query).fetchone()
    return int(row[0]) if row else 0
