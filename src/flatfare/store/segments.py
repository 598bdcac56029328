"""Segments: the sealed files of the lake as the book lists them.

Listing is the moment a sealed row comes to be: it happens in one transaction with
whatever the seal takes away or adds, so nothing is seen twice or half.
"""

import json
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from flatfare.core.errors import StoreFailure
from flatfare.store import chains
from flatfare.store.book import Book
from flatfare.store.engine import quoted, translated
from flatfare.store.folding import sums_of
from flatfare.store.lake import Lake, path_of

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

CHAIN = "lake"
"""The chain of sealed files."""

_RECORD = "file.sealed"

_LISTED = (
    "id, kind, path, rows, bytes, sha256, first_at_us, last_at_us, sums, "
    "calls_segment_id, replaces_rows, import_id"
)
TIME_COLUMNS = {
    "calls": ("at_us", "at_us"),
    "folded": ("first_at_us", "last_at_us"),
    "tasks": ("opened_at_us", "opened_at_us"),
    "verdicts": ("at_us", "at_us"),
}
"""The columns of the first and the last moment that a row of a kind speaks of."""


@dataclass(frozen=True, slots=True)
class Segment:
    """One sealed file."""

    id: str
    kind: str
    path: str
    rows: int
    size_bytes: int
    sha256: str
    first_at_us: int | None
    last_at_us: int | None
    sums: dict[str, int]
    calls_segment_id: str | None = None  # of a folded file: the calls it was folded from
    replaces_rows: int = 0  # of tasks: how many have an older version sealed elsewhere
    import_id: str | None = None


def seal_file(
    engine: "DuckDBPyConnection",
    book: Book,
    lake: Lake,
    kind: str,
    staged: Path,
    *,
    calls_segment_id: str | None = None,
    replaces_rows: int = 0,
    import_id: str | None = None,
) -> Segment:
    """Measure a written Parquet file and move it to its place; it is not listed yet.

    The book has its path before it is there: should the writer be killed, that is what
    tells it from a file that another book lists, or this one did before it was restored.
    """
    relation = f"read_parquet({quoted(str(staged))})"
    first, last = TIME_COLUMNS[kind]
    with translated(f"Sealing {kind}"):
        sums = control_sums(engine, kind, relation)
        span = engine.execute(f"SELECT MIN({first}), MAX({last}) FROM {relation}").fetchone()
    segment_id = str(uuid.uuid4())
    begin(book, path_of(kind, segment_id))
    placed = lake.place(staged, kind, segment_id)
    return Segment(
        id=segment_id,
        kind=kind,
        path=placed.path,
        rows=sums.pop("rows"),
        size_bytes=placed.size_bytes,
        sha256=placed.sha256,
        first_at_us=span[0] if span else None,
        last_at_us=span[1] if span else None,
        sums=sums,
        calls_segment_id=calls_segment_id,
        replaces_rows=replaces_rows,
        import_id=import_id,
    )


def control_sums(engine: "DuckDBPyConnection", kind: str, relation: str) -> dict[str, int]:
    """The sums that the book keeps of a file, computed from its rows."""
    cursor = engine.execute(sums_of(kind, relation))
    row = cursor.fetchone() or ()
    return {str(column[0]): int(value) for column, value in zip(cursor.description or (), row, strict=True)}


def list_segment(book: Book, segment: Segment, sealed_at_us: int) -> None:
    """List a placed file; call it inside the transaction that makes its rows true.

    What it holds stands in the lake's chain, so that another file in its place shows.
    """
    end_begun(book, segment.path)
    chains.append(
        book,
        CHAIN,
        kind=_RECORD,
        subject=segment.id,
        by_whom="flatfare",
        at_us=sealed_at_us,
        content=_content(segment),
    )
    book.execute(
        f"INSERT INTO segments ({_LISTED}, sealed_at_us) VALUES ({', '.join('?' * 13)})",
        (
            segment.id,
            segment.kind,
            segment.path,
            segment.rows,
            segment.size_bytes,
            segment.sha256,
            segment.first_at_us,
            segment.last_at_us,
            json.dumps(segment.sums, sort_keys=True),
            segment.calls_segment_id,
            segment.replaces_rows,
            segment.import_id,
            sealed_at_us,
        ),
    )


def begin(book: Book, path: str) -> None:
    """Say that a file is about to be placed; without it nobody may list the file."""
    with book.writing():
        book.execute("INSERT INTO begun_files (path) VALUES (?)", (path,))


def end_begun(book: Book, path: str) -> None:
    """Say that a file is listed, in the transaction that does it.

    Raises ``StoreFailure`` where the file was taken for a dead writer's meanwhile, and removed.
    """
    if not book.execute("DELETE FROM begun_files WHERE path = ?", (path,)):
        raise StoreFailure(
            f"The file {path} was taken away before it was listed: this writer was taken for dead. "
            "Nothing of it was kept; run it again."
        )


def begun(book: Book) -> set[str]:
    """Files that a writer has begun and not listed: of one that is at work, or was killed."""
    return {str(path) for (path,) in book.rows("SELECT path FROM begun_files")}


def remove_begun(book: Book, lake: Lake, paths: Iterable[str] | None = None) -> list[str]:
    """Remove files that were begun and came to nothing, of these or of all; returns those that were there.

    One that the book lists stays, however its listing ended: none is begun any more once it
    is listed. In one transaction, so that nobody lists what is being removed.
    """
    with book.writing():
        over = sorted(begun(book) if paths is None else begun(book).intersection(paths))
        there = [path for path in over if lake.file(path).is_file()]
        for path in there:
            lake.remove(path)
        book.execute_many("DELETE FROM begun_files WHERE path = ?", ((path,) for path in over))
    return there


@contextmanager
def taken_back(book: Book, lake: Lake, placed: Sequence[Segment | str]) -> Iterator[None]:
    """While placed files are listed: if that fails they are removed, unless the book lists them after all.

    Where the book cannot be asked they stay, for the doctor.
    """
    try:
        yield
    except BaseException:
        with suppress(StoreFailure, OSError):
            remove_begun(book, lake, [one if isinstance(one, str) else one.path for one in placed])
        raise


def sealed_rows(own: list[Segment], lake: Lake) -> str:
    """The relation of some sealed files; older files may lack newer columns."""
    files = ", ".join(quoted(str(lake.file(segment.path))) for segment in own)
    return f"read_parquet([{files}], union_by_name = true)"


def _content(segment: Segment) -> str:
    return json.dumps(asdict(segment), sort_keys=True)


def contradicted(book: Book) -> Iterator[tuple[str, str]]:
    """Sealed files that are listed otherwise than they were sealed, each with what is wrong.

    Files that were sealed before there was a chain are in no record of it.
    """
    rows = book.rows(
        "SELECT subject, content, at_us FROM chained_records WHERE chain = ? AND kind = ? ORDER BY position",
        (CHAIN, _RECORD),
    )
    now = {segment.id: segment for segment in listed(book)}
    for subject, content, _ in rows:
        segment = now.pop(str(subject), None)
        if segment is None:
            yield str(json.loads(str(content))["path"]), "was sealed and is not listed any more"
        elif _content(segment) != content:
            yield segment.path, "is listed otherwise than it was sealed"
    first_us = min((int(at_us or 0) for *_, at_us in rows), default=None)
    for segment in now.values():
        if first_us is not None and _sealed_at_us(book, segment) >= first_us:
            yield segment.path, "is listed and was never sealed"


def _sealed_at_us(book: Book, segment: Segment) -> int:
    return int(book.value("SELECT sealed_at_us FROM segments WHERE id = ?", (segment.id,)) or 0)


def count(book: Book) -> int:
    """How many sealed files there are: none is ever taken away, so that as many are the same."""
    return int(book.value("SELECT COUNT(*) FROM segments") or 0)


def touching(book: Book, kind: str, spans: Iterable[tuple[int, int]]) -> list[Segment]:
    """The sealed files of a kind that may hold rows of these spans of time, both ends of each within."""
    wanted = list(spans)
    return [
        segment
        for segment in listed(book, kind)
        if any(
            (segment.first_at_us or 0) <= last_us and first_us <= (segment.last_at_us or last_us)
            for first_us, last_us in wanted
        )
    ]


def last_sealed_us(book: Book, kind: str) -> int:
    """When rows of a kind last left the book for the lake; 0 where they never did."""
    last = "SELECT MAX(sealed_at_us) FROM segments WHERE kind = ? AND import_id IS NULL"
    return int(book.value(last, (kind,)) or 0)


def listed(book: Book, kind: str | None = None) -> list[Segment]:
    """The sealed files, oldest first, of one kind or of all."""
    rows = book.rows(
        f"SELECT {_LISTED} FROM segments WHERE (CAST(? AS TEXT) IS NULL OR kind = ?) "
        "ORDER BY sealed_at_us, id",
        (kind, kind),
    )
    return [
        Segment(*row[:8], json.loads(str(row[8])), *row[9:])  # type: ignore[arg-type, call-arg]
        for row in rows
    ]
