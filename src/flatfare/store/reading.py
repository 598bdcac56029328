"""Reading lake and hot rows as one: DuckDB views over sealed files and the book's rows of one moment.

A report never knows where a row lies. The views ``calls``, ``folded``, ``tasks`` and
``verdicts`` hold every listed file and every hot row exactly once.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from flatfare.store import segments
from flatfare.store.book import Book
from flatfare.store.engine import load, open_engine, quoted, translated
from flatfare.store.folding import folding
from flatfare.store.lake import Lake
from flatfare.store.layout import KINDS, TASKS, names
from flatfare.store.segments import Segment

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


@contextmanager
def opened(book: Book, lake: Lake, *kinds: str, threads: int | None = None) -> Iterator["DuckDBPyConnection"]:
    """A DuckDB connection with a view for each kind asked for (all, if none is named).

    The sealed files and the hot rows are those of one moment of the book.
    """
    wanted = kinds or tuple(KINDS)
    spill = lake.folder / "spill"
    engine = open_engine(spill=spill, threads=threads)
    try:
        with translated("Reading the lake"):
            with book.reading():
                sealed = segments.listed(book)
                for kind in wanted:
                    _load_hot(engine, book, kind)
            for kind in wanted:
                engine.execute(f"CREATE TEMP VIEW {kind} AS {_view(kind, lake, sealed)}")
            yield engine
    finally:
        engine.close()


def _load_hot(engine: "DuckDBPyConnection", book: Book, kind: str) -> None:
    """The book's rows of one kind; calls that only count folded are folded where they lie."""
    hot = folding("calls", "/") if kind == "folded" else f"SELECT {names(KINDS[kind])} FROM {kind}"
    load(engine, f"hot_{kind}", KINDS[kind], book.stream(hot))


def _view(kind: str, lake: Lake, sealed: list[Segment]) -> str:
    own = [segment for segment in sealed if segment.kind == kind]
    if kind == "tasks":
        return _newest_tasks(own, lake)
    return _united(f"SELECT * FROM hot_{kind}", own, lake, names(KINDS[kind]))


def sealed_rows(own: list[Segment], lake: Lake) -> str:
    """The relation of some sealed files; older files may lack newer columns."""
    files = ", ".join(quoted(str(lake.file(segment.path))) for segment in own)
    return f"read_parquet([{files}], union_by_name = true)"


def _united(hot: str, own: list[Segment], lake: Lake, columns: str) -> str:
    """Hot and sealed rows together; by name, so that a column an old file lacks reads as null."""
    if not own:
        return f"SELECT {columns} FROM ({hot})"
    return f"SELECT {columns} FROM ({hot} UNION ALL BY NAME SELECT * FROM {sealed_rows(own, lake)})"


def _newest_tasks(own: list[Segment], lake: Lake) -> str:
    """Each task's highest version: only files that replace rows, and hot rows, need looking at."""
    columns = names(TASKS)
    plain = [segment for segment in own if not segment.replaces_rows]
    replacing = [segment for segment in own if segment.replaces_rows]
    newer = _united("SELECT * FROM hot_tasks", replacing, lake, columns)
    if not plain:
        base = ""
    else:
        base = (
            f" UNION ALL SELECT {columns} FROM {sealed_rows(plain, lake)} AS sealed "
            "WHERE NOT EXISTS (SELECT 1 FROM newer WHERE newer.id = sealed.id)"
        )
    return (
        f"WITH newer AS ({newer}) SELECT {columns} FROM newer "
        f"QUALIFY ROW_NUMBER() OVER (PARTITION BY id ORDER BY version DESC) = 1{base}"
    )
