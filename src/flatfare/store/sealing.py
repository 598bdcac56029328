"""Sealing: hot calls leave the book for the lake, with their sums, in one step.

Whoever dies at any moment loses nothing and doubles nothing: until the one
transaction that lists the new files and removes the hot rows, the files do not
exist for anybody; after it, the hot rows do not.
"""

import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from flatfare.core.errors import StoreFailure
from flatfare.store import first_calls, segments
from flatfare.store.book import Book, Value
from flatfare.store.claiming import held
from flatfare.store.engine import load, open_engine, write_parquet
from flatfare.store.folding import folding
from flatfare.store.lake import Lake
from flatfare.store.layout import CALLS, FOLDED, names
from flatfare.store.segments import Segment

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

KEYS_TOGETHER = 10_000
BATCH_ROWS = 500_000
"""How many calls one file takes at most: bounds memory and the length of the closing transaction."""


def seal_calls(
    book: Book,
    lake: Lake,
    before_us: int,
    now_us: int,
    on_wait: Callable[[str], None] | None = None,
) -> int:
    """Seal every hot call made before a moment; returns how many rows were sealed."""
    total = 0
    with held(book, lake, on_wait):
        while sealed := _seal_batch(book, lake, before_us, now_us):
            total += sealed
    return total


def _seal_batch(book: Book, lake: Lake, before_us: int, now_us: int) -> int:
    name = str(uuid.uuid4())
    engine = open_engine(spill=lake.spill)
    try:
        with lake.staging(name) as folder:
            rows = book.stream(
                f"SELECT {names(CALLS)} FROM calls WHERE at_us < ? "
                f"ORDER BY at_us, revision LIMIT {BATCH_ROWS}",  # a call never leaves before its former self
                (before_us,),
            )
            count = load(engine, "batch", CALLS, rows)
            if not count:
                return 0
            _note_first_calls(engine, book, now_us)
            write_parquet(engine, "SELECT * FROM batch ORDER BY at_us", folder / "calls.parquet")
            calls = segments.seal_file(engine, book, lake, "calls", folder / "calls.parquet")
            write_parquet(
                engine, f"SELECT {names(FOLDED)} FROM ({folding('batch')})", folder / "folded.parquet"
            )
            folded = segments.seal_file(
                engine, book, lake, "folded", folder / "folded.parquet", calls_segment_id=calls.id
            )
        _close(book, lake, (calls, folded), _keys(engine), count, now_us)
    finally:
        engine.close()
    return count


def _note_first_calls(engine: "DuckDBPyConnection", book: Book, now_us: int) -> None:
    """Note when the batch first names its tasks; until it leaves the book, that says the same."""
    found = engine.execute(
        "SELECT CAST(task_id AS VARCHAR) AS task, MIN(at_us) FROM batch WHERE task_id IS NOT NULL "
        "GROUP BY task ORDER BY task"  # as the book keeps them
    )
    while some := found.fetchmany(KEYS_TOGETHER):
        with book.writing():
            first_calls.note_sealed(book, some)
    first_calls.forget_before(book, now_us - first_calls.KEPT_US)


def _keys(engine: "DuckDBPyConnection") -> Iterator[Sequence[Value]]:
    """The keys of the batch, a few at a time."""
    found = engine.execute("SELECT CAST(id AS VARCHAR), revision, n FROM batch")
    while some := found.fetchmany(KEYS_TOGETHER):
        yield from some


def _close(
    book: Book,
    lake: Lake,
    files: tuple[Segment, Segment],
    keys: Iterable[Sequence[Value]],
    count: int,
    now_us: int,
) -> None:
    with segments.taken_back(book, lake, files), book.writing():
        for segment in files:
            segments.list_segment(book, segment, now_us)
        removed = book.execute_many("DELETE FROM calls WHERE id = ? AND revision = ? AND n = ?", keys)
        if removed != count:
            raise StoreFailure(
                f"Sealing found {removed} of the {count} calls it had read: another process changed "
                "them. Nothing was sealed; run it again."
            )
