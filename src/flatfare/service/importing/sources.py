"""A file as it lies there: what format it has, its fingerprint, and its rows as a relation of the engine.

Whatever is no file of rows, such as a folder, an empty file or a workbook, is refused
in one sentence before anything is changed.
"""

import glob
import hashlib
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from flatfare.core.errors import BadInput, FlatfareError, StoreFailure
from flatfare.service.importing.columns import SourceColumn
from flatfare.service.importing.delimited import delimited_rows
from flatfare.service.importing.documents import document_rows
from flatfare.service.importing.order import Order
from flatfare.service.importing.textual import EnoughRead, Rejected, TextTable, opened_text
from flatfare.store.engine import named, quoted

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

STDIN = "-"
_BLOCK = 1 << 20
_HEAD = 1 << 16

OnBytes = Callable[[float, float | None], None]


@dataclass(slots=True)
class Source:
    """One file to import."""

    name: str  # as it was given
    path: Path  # where its bytes lie
    size: int
    format: str  # parquet, json, delimited, or whole: no file of rows
    _hash: str = ""
    _thread: threading.Thread | None = None
    _problem: OSError | None = None

    def start_hash(self) -> None:
        """Begin the fingerprint beside the reading."""
        self._thread = threading.Thread(target=self._fingerprint, daemon=True)
        self._thread.start()

    def _fingerprint(self) -> None:
        digest = hashlib.sha256()
        try:
            with self.path.open("rb") as stream:
                while block := stream.read(_BLOCK):
                    digest.update(block)
        except OSError as problem:
            self._problem = problem
        self._hash = digest.hexdigest()

    def sha256(self) -> str:
        """The file's fingerprint, waited for."""
        if self._thread is None:
            self.start_hash()
        assert self._thread is not None
        self._thread.join()
        if self._problem:
            raise BadInput(f"{self.name} cannot be read: {self._problem.strerror}.")
        return self._hash


@dataclass(frozen=True, slots=True)
class Raw:
    """The rows of a file in the engine: a relation with ``line`` and the file's columns."""

    relation: str
    columns: tuple[SourceColumn, ...]
    rejected: list[Rejected] = field(default_factory=list)  # what was no row at all
    place: str = "line"  # what the number of a row counts
    is_comma_likely: bool = False
    rows: int = 0
    is_text: bool = True  # all columns are text, set aside in the engine


def named_files(given: Iterable[str]) -> list[str]:
    """The files that names and patterns stand for, in order.

    Raises ``BadInput`` for a pattern that matches nothing.
    """
    found: list[str] = []
    for name in given:
        if name == STDIN or Path(name).exists() or not glob.has_magic(name):
            found.append(name)
            continue
        matches = sorted(glob.glob(name, recursive=True))
        if not matches:
            raise BadInput(f"No file matches {name!r}.")
        found += matches
    return list(dict.fromkeys(found))


def opened(name: str, staging: Path) -> Source:
    """Look at a file; standard input is written to the staging folder first.

    Raises ``BadInput`` saying what it is instead of a file of rows.
    """
    source, head = _looked_at(name, staging, "*.parquet")
    source.format = _format(source.name, source.path, head)
    return source


def opened_whole(name: str, staging: Path, pattern: str) -> Source:
    """Look at a file that is no file of rows, such as another tool's log, called like ``pattern``.

    Raises ``BadInput`` where there is none, or nothing in it.
    """
    return _looked_at(name, staging, pattern)[0]


def _looked_at(name: str, staging: Path, pattern: str) -> tuple[Source, bytes]:
    path = _spooled(staging) if name == STDIN else Path(name)
    shown = "standard input" if name == STDIN else name
    try:
        if path.is_dir():
            raise BadInput(f"{shown} is a folder: name its files, such as '{shown.rstrip('/')}/{pattern}'.")
        with path.open("rb") as stream:
            head = stream.read(_HEAD)
            size = os.fstat(stream.fileno()).st_size
    except FileNotFoundError:
        raise BadInput(f"There is no file {shown}.") from None
    except OSError as problem:
        raise BadInput(f"{shown} cannot be read: {problem.strerror}.") from problem
    if not head.strip(b"\x00\xef\xbb\xbf \t\r\n"):
        raise BadInput(f"{shown} is empty: nothing was imported.")
    return Source(shown, path, size, "whole"), head


def _spooled(staging: Path) -> Path:
    path = staging / "stdin"
    try:
        with path.open("wb") as target:
            while block := sys.stdin.buffer.read(_BLOCK):
                target.write(block)
    except OSError as problem:
        raise StoreFailure(
            f"Standard input could not be set aside in {staging}: {problem.strerror}. Nothing was changed."
        ) from problem
    return path


def _format(shown: str, path: Path, head: bytes) -> str:
    if head[:4] == b"PAR1":
        return "parquet"
    if head[:4] == b"PK\x03\x04" and (shown.endswith(".eval") or b"_journal/start.json" in head):
        raise BadInput(f"{shown} is an evaluation log of Inspect AI: flatfare import inspect {shown}")
    if head[:4] == b"PK\x03\x04" or head[:8] == b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1":
        raise BadInput(f"{shown} is a workbook or an archive: save its sheet as CSV, and import that.")
    if head[:4] == b"\x28\xb5\x2f\xfd":
        raise BadInput(f"{shown} is packed with zstd: unpack it first (zstd -d).")
    if path.suffix.lower() in (".parquet", ".pq"):
        raise BadInput(
            f"{shown} is called Parquet, but does not begin like one: it is damaged or no Parquet."
        )
    try:
        with opened_text(path) as stream:
            start = stream.read(_HEAD)
    except (OSError, EOFError) as problem:
        raise BadInput(f"{shown} cannot be unpacked: {problem}.") from problem
    first = start.lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    return "json" if first in (b"{", b"[") else "delimited"


def rows_of(
    engine: "DuckDBPyConnection",
    source: Source,
    order: Order,
    on_bytes: OnBytes,
    rows_max: int | None = None,
) -> Raw:
    """The file's rows as a relation; text is read into a table beside, Parquet stays where it is.

    Of a text file no more than about ``rows_max`` are read, where that is given.

    Raises ``BadInput`` where the file as a whole cannot be read.
    """
    if source.format == "parquet":
        return _parquet(engine, source)
    read = document_rows if source.format == "json" else delimited_rows
    try:
        with opened_text(source.path) as stream:
            table = TextTable(engine, _progress(source, stream, on_bytes), rows_max)
            with suppress(EnoughRead):
                read(stream, source.name, order, table)
    except FlatfareError:
        raise
    except (OSError, EOFError) as problem:
        raise BadInput(
            f"{source.name} cannot be read to its end: {problem}. Nothing was imported."
        ) from problem
    table.finish()
    if not table.rows and not table.rejected:
        raise BadInput(f"{source.name} holds no rows: nothing was imported.")
    return Raw("raw", table.columns, table.rejected, table.place, table.is_comma_likely, table.rows)


def _progress(source: Source, stream: BinaryIO, on_bytes: OnBytes) -> Callable[[], None]:
    """Tells how much of a file has been read; how much is in a packed one is not known before."""
    total = None if source.path.suffix == ".gz" else source.size
    return lambda: on_bytes(stream.tell(), total)


def _parquet(engine: "DuckDBPyConnection", source: Source) -> Raw:
    import duckdb

    relation = f"read_parquet({quoted(str(source.path))}, file_row_number = true)"
    try:
        described = engine.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()
        counted = engine.execute(f"SELECT count(*) FROM {relation}").fetchone()
    except duckdb.Error as problem:
        said = str(problem).splitlines()[0].rstrip(".")
        raise BadInput(
            f"{source.name} is no whole Parquet file, it may be cut off: {said}. Nothing was imported."
        ) from problem
    rows = int(counted[0]) if counted else 0
    if not rows:
        raise BadInput(f"{source.name} holds no rows: nothing was imported.")
    columns: list[SourceColumn] = []
    selected = ["file_row_number + 1 AS line"]
    for name, kind, *_ in described:
        if name == "file_row_number":
            continue
        for leaf_name, leaf_sql, leaf_kind in _leaves(engine, str(name), named(str(name)), str(kind)):
            column = SourceColumn(leaf_name, f"c{len(columns)}", leaf_kind)
            columns.append(column)
            selected.append(f"{leaf_sql} AS {column.sql}")
    engine.execute(f"CREATE TEMP VIEW raw AS SELECT {', '.join(selected)} FROM {relation}")
    return Raw("raw", tuple(columns), place="row", rows=rows, is_text=False)


def _leaves(engine: "DuckDBPyConnection", name: str, sql: str, kind: str) -> Iterator[tuple[str, str, str]]:
    """A column, or the fields inside it, as (name, SQL, type)."""
    if not kind.startswith("STRUCT") or kind.endswith("]"):
        yield name, sql, kind
        return
    parts = engine.execute(f"DESCRIBE SELECT UNNEST(CAST(NULL AS {kind}))").fetchall()
    for part, part_kind, *_ in parts:
        inner = f"struct_extract({sql}, {quoted(str(part))})"
        yield from _leaves(engine, f"{name}.{part}", inner, str(part_kind))
