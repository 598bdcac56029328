"""Calls wherever they lie: hot in the book, or in the sealed files of their time; each row once.

A call may be sealed at any moment after it was made, so who needs its rows later asks here.
Only files of the times that are asked for are read, and none where nothing of them is sealed.
"""

from collections.abc import Iterable, Iterator, Sequence

from flatfare.core.moments import HOUR_US
from flatfare.store import segments
from flatfare.store.book import Book, Row, Value
from flatfare.store.engine import open_engine, translated
from flatfare.store.lake import Lake
from flatfare.store.layout import CALLS
from flatfare.store.segments import Segment, sealed_rows

Span = tuple[int, int]
"""From a moment to a moment, in microseconds, both within."""

CLOCKS_US = HOUR_US
"""How far the clock of who made a call may be from the clock of who looks for it."""

_FILES = 8
FILES_MAX = 24
"""How many sealed files, the newest first, are looked through for what came last: millions of calls."""


def rows(
    book: Book, lake: Lake, columns: str, where: str, values: Sequence[Value], spans: Iterable[Span]
) -> list[Row]:
    """The rows, corrections too, of the calls made within spans of time that meet a condition.

    Ask outside of any transaction: what is hot and what is sealed is of one moment of the book.
    """
    with book.reading():
        hot = book.rows(f"SELECT {columns} FROM calls WHERE {where}", values)
        sealed = segments.touching(book, "calls", spans)
    return hot + (_sealed(lake, sealed, f"SELECT {_cast(columns)} FROM", f"WHERE {where}", values))


def latest(
    book: Book, lake: Lake, columns: str, where: str, values: Sequence[Value], limit: int
) -> tuple[list[Row], bool]:
    """So many of the newest rows of calls that meet a condition, and whether all there are were looked at.

    Ask outside of any transaction. Sealed files are read from the newest on, until there are enough.
    """
    end = f"WHERE {where} ORDER BY at_us DESC LIMIT {int(limit)}"
    with book.reading():
        found = book.rows(f"SELECT {columns} FROM calls {end}", values)
        files = sorted(segments.listed(book, "calls"), key=lambda one: -(one.last_at_us or 0))
    for some in _by(_FILES, files[:FILES_MAX]):
        if len(found) >= limit:
            break
        found += _sealed(lake, some, f"SELECT {_cast(columns)} FROM", end, values)
    return found[:limit], len(files) <= FILES_MAX


def _by(size: int, files: Sequence[Segment]) -> Iterator[Sequence[Segment]]:
    for start in range(0, len(files), size):
        yield files[start : start + size]


def _sealed(
    lake: Lake, files: Sequence[Segment], select: str, end: str, values: Sequence[Value]
) -> list[Row]:
    if not files:
        return []
    engine = open_engine()
    try:
        with translated("Reading the lake"):
            return engine.execute(f"{select} {sealed_rows([*files], lake)} {end}", list(values)).fetchall()
    finally:
        engine.close()


def _cast(columns: str) -> str:
    """The columns in the book's types: ids are text there."""
    ids = {column.name for column in CALLS if column.kind == "uuid"}
    named = (name.strip() for name in columns.split(","))
    return ", ".join(f"CAST({name} AS VARCHAR)" if name in ids else name for name in named)
