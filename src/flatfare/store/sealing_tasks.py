"""Sealing tasks: those whose window closed long ago leave the book for the lake, with their verdicts.

Only what the log of events can make anew is sealed: an imported task lies in the lake already, and
one that was sold stays where its money is. A task that is told of again comes back as a newer
version, its verdicts behind those that are sealed. As with calls, one transaction lists the files
and removes the rows.
"""

import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING

from flatfare.core.errors import StoreFailure
from flatfare.store import segments
from flatfare.store.book import Book
from flatfare.store.claiming import held
from flatfare.store.engine import load, open_engine, write_parquet
from flatfare.store.lake import Lake
from flatfare.store.layout import TASKS, VERDICTS, names
from flatfare.store.segments import Segment, sealed_rows

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

BATCH_TASKS = 100_000
"""How many tasks one file takes at most: bounds memory and the length of the closing transaction."""

_READY = (
    "FROM tasks WHERE outcome <> 'open' AND matures_at_us < ? AND import_id IS NULL AND is_disputed = 0 "
    "AND EXISTS (SELECT 1 FROM task_events WHERE task_id = tasks.id) "
    "AND NOT EXISTS (SELECT 1 FROM sales WHERE sales.task_id = tasks.id)"
)


def ready(book: Book, before_us: int) -> int:
    """How many tasks could be sealed whose window closed before a moment."""
    return int(str(book.value(f"SELECT COUNT(*) {_READY}", (before_us,))))


def seal_tasks(
    book: Book,
    lake: Lake,
    before_us: int,
    now_us: int,
    on_wait: Callable[[str], None] | None = None,
) -> int:
    """Seal the tasks whose window closed before a moment; returns how many."""
    total = 0
    with held(book, lake, on_wait):
        while sealed := _seal_batch(book, lake, before_us, now_us):
            total += sealed
    return total


def _seal_batch(book: Book, lake: Lake, before_us: int, now_us: int) -> int:
    engine = open_engine(spill=lake.spill)
    try:
        with lake.staging(str(uuid.uuid4())) as folder:
            with book.reading():
                count = load(
                    engine,
                    "batch",
                    TASKS,
                    book.stream(
                        f"SELECT {names(TASKS)} {_READY} ORDER BY matures_at_us LIMIT {BATCH_TASKS}",
                        (before_us,),
                    ),
                )
                if not count:
                    return 0
                _load_verdicts(engine, book, before_us)
            versions = engine.execute("SELECT CAST(id AS VARCHAR), version FROM batch").fetchall()
            verdicts = engine.execute("SELECT CAST(id AS VARCHAR) FROM judged").fetchall()
            write_parquet(engine, "SELECT * FROM batch ORDER BY opened_at_us", folder / "tasks.parquet")
            files = [
                segments.seal_file(
                    engine,
                    book,
                    lake,
                    "tasks",
                    folder / "tasks.parquet",
                    replaces_rows=_sealed_before(engine, book, lake),
                )
            ]
            if verdicts:
                query = "SELECT * FROM judged ORDER BY task_id, position"
                write_parquet(engine, query, folder / "verdicts.parquet")
                files.append(segments.seal_file(engine, book, lake, "verdicts", folder / "verdicts.parquet"))
        _close(book, lake, files, versions, verdicts, now_us)
    finally:
        engine.close()
    return count


def _load_verdicts(engine: "DuckDBPyConnection", book: Book, before_us: int) -> None:
    """The verdicts in the book on the tasks of this batch."""
    batch = f"SELECT id {_READY} ORDER BY matures_at_us LIMIT {BATCH_TASKS}"
    query = f"SELECT {names(VERDICTS)} FROM verdicts WHERE task_id IN ({batch})"
    load(engine, "judged", VERDICTS, book.stream(query, (before_us,)))


def _sealed_before(engine: "DuckDBPyConnection", book: Book, lake: Lake) -> int:
    """How many tasks of the batch have an older version in the lake."""
    older = segments.listed(book, "tasks")
    if not older:
        return 0
    row = engine.execute(
        f"SELECT count(DISTINCT id) FROM {sealed_rows(older, lake)} WHERE id IN (SELECT id FROM batch)"
    ).fetchone()
    return int(row[0]) if row else 0


def _close(
    book: Book,
    lake: Lake,
    files: list[Segment],
    versions: list[tuple[str, int]],
    verdicts: list[tuple[str]],
    now_us: int,
) -> None:
    with segments.taken_back(book, lake, files), book.writing():
        for segment in files:
            segments.list_segment(book, segment, now_us)
        gone = book.execute_many("DELETE FROM tasks WHERE id = ? AND version = ?", versions)
        taken = book.execute_many("DELETE FROM verdicts WHERE id = ?", verdicts)
        if (gone, taken) != (len(versions), len(verdicts)):
            raise StoreFailure(
                f"Sealing found {gone} of the {len(versions)} tasks it had read: another process changed "
                "them. Nothing was sealed; run it again."
            )
