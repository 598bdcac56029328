"""Reading lake and hot rows as one: DuckDB views over sealed files and the book's rows of one moment.

A report never knows where a row lies. The views ``calls``, ``folded``, ``tasks`` and
``verdicts`` hold every listed file and every hot row exactly once.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from flatfare.store import gathering, segments
from flatfare.store.book import Book
from flatfare.store.engine import open_engine, translated
from flatfare.store.hot import HotRows
from flatfare.store.lake import Lake
from flatfare.store.layout import KINDS, TASKS, names
from flatfare.store.segments import Segment, sealed_rows

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


@contextmanager
def opened(book: Book, lake: Lake, *kinds: str, threads: int | None = None) -> Iterator["DuckDBPyConnection"]:
    """A DuckDB connection with a view for each kind asked for (all, if none is named).

    The sealed files and the hot rows are those of one moment of the book. Of a lake that is
    kept open, it is that lake's engine, with the threads it has.
    """
    wanted = kinds or tuple(KINDS)
    if isinstance(lake, OpenLake):
        with lake.reading(book, wanted) as engine:
            yield engine
        return
    engine = open_engine(spill=lake.spill, threads=threads)
    try:
        with translated("Reading the lake"):
            hot = HotRows(engine, lake)
            with book.reading():
                files = gathering.to_read(book, segments.listed(book), gathering.usable(book, lake))
                hot.bring_up_to_date(book, wanted, ())
            _make_views(engine, lake, files, wanted)
        yield engine
    finally:
        engine.close()


class OpenLake(Lake):
    """A lake that a process keeps open: each reading loads only the hot rows that have come since the last.

    Of one book, for any number of threads, each with a connection of its own to that book. Close it
    at the end.
    """

    def __init__(self, folder: Path | str) -> None:
        super().__init__(folder)
        self._lock = threading.Lock()
        self._held: _Held | None = None

    @contextmanager
    def reading(self, book: Book, kinds: Sequence[str]) -> Iterator["DuckDBPyConnection"]:
        """A connection to the engine that stays open; it sees the moment at which it was given."""
        with translated("Reading the lake"):
            engine, files = self._begun(book, kinds)
        try:
            with translated("Reading the lake"):
                _make_views(engine, self, files, kinds)
            yield engine
        except BaseException:
            self._look_after()
            raise
        finally:
            engine.close()

    def close(self) -> None:
        """Close the engine; who still reads comes to the end with what it has."""
        with self._lock:
            self._close()

    def _begun(self, book: Book, kinds: Sequence[str]) -> "tuple[DuckDBPyConnection, list[Segment]]":
        with self._lock:
            try:
                held = self._held or _Held(self)
                self._held = held
                held.bring_up_to_date(book, kinds)
                return held.connection(), held.files
            except BaseException:
                self._close()  # half of what came may be in it: the next reading begins anew
                raise

    def _look_after(self) -> None:
        """An engine that failed within itself answers nothing any more: the next reading begins anew."""
        import duckdb

        with self._lock:
            try:
                if self._held is not None:
                    self._held.connection().close()
            except duckdb.Error:
                self._close()

    def _close(self) -> None:
        held, self._held = self._held, None
        if held is not None:
            held.engine.close()


class _Held:
    """An engine that stays open, with what it holds."""

    def __init__(self, lake: Lake) -> None:
        self.engine = open_engine(spill=lake.spill)
        self.engine.execute("SET parquet_metadata_cache = true")
        self.sealed: list[Segment] = []
        self.files: list[Segment] = []  # to be read: some sealed files are read as one
        self._lake = lake
        self._gathered: tuple[str, ...] = ()
        self._hot = HotRows(self.engine, lake)

    def bring_up_to_date(self, book: Book, kinds: Sequence[str]) -> None:
        with book.reading():
            known = {segment.id for segment in self.sealed}
            has_more = segments.count(book) != len(known)
            if has_more:
                self.sealed = segments.listed(book)
            gathered = gathering.usable(book, self._lake)
            if has_more or gathered != self._gathered:
                self.files = gathering.to_read(book, self.sealed, gathered)
                self._gathered = gathered
            came = (segment for segment in self.sealed if segment.id not in known)
            self._hot.bring_up_to_date(book, kinds, [one for one in came if one.import_id is None])

    def connection(self) -> "DuckDBPyConnection":
        """A connection that sees the tables as they are now, whatever comes."""
        connection = self.engine.cursor()
        connection.execute("BEGIN TRANSACTION")
        connection.execute("SELECT 1 FROM duckdb_tables() LIMIT 1").fetchall()
        return connection


def _make_views(
    engine: "DuckDBPyConnection", lake: Lake, sealed: Sequence[Segment], kinds: Sequence[str]
) -> None:
    for kind in kinds:
        engine.execute(f"CREATE TEMP VIEW {kind} AS {_view(kind, lake, sealed)}")


def _view(kind: str, lake: Lake, sealed: Sequence[Segment]) -> str:
    own = [segment for segment in sealed if segment.kind == kind]
    if kind == "tasks":
        return _newest_tasks(own, lake)
    return _united(f"SELECT * FROM hot_{kind}", own, lake, names(KINDS[kind]))


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
