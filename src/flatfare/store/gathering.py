"""Gathering: small sealed files are copied into one, which readers take instead of them.

Each file that is read costs a report a millisecond, and a book of years has hundreds. What was sealed
stays and stays listed: a gathered file is a copy, proved to hold the same rows before the book says so,
and where it is missing or cut the files that it was made of are read.
"""

import json
import os
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from flatfare.core.errors import StoreFailure
from flatfare.store import chains, claiming, segments
from flatfare.store.book import Book
from flatfare.store.engine import open_engine, quoted, translated, write_parquet
from flatfare.store.lake import Lake, checksum, path_of
from flatfare.store.layout import KINDS, lake_table, names
from flatfare.store.segments import CHAIN, Segment, control_sums, sealed_rows

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

FILES_MIN = 24
"""So many small files of a kind wait until they are gathered."""

SMALL_ROWS, SMALL_BYTES = 20_000, 4 << 20
"""A file up to this is small: above it, reading its rows takes longer than opening it."""

ROWS_MAX = 500_000
"""How many rows one gathered file takes: bounds the memory and the time of gathering."""

_RECORD = "files.gathered"
_LISTED = "id, kind, path, rows, bytes, sha256, first_at_us, last_at_us, members"


@dataclass(frozen=True, slots=True)
class Gathered:
    """A file that holds the rows of some sealed files of one kind."""

    id: str
    kind: str
    path: str
    rows: int
    size_bytes: int
    sha256: str
    first_at_us: int | None
    last_at_us: int | None
    members: tuple[str, ...]  # ids of the sealed files


def listed(book: Book) -> list[Gathered]:
    """The gathered files, oldest first."""
    rows = book.rows(f"SELECT {_LISTED} FROM gathered_files ORDER BY gathered_at_us, id")
    return [
        Gathered(*row[:8], tuple(json.loads(str(row[8]))))  # type: ignore[arg-type, call-arg]
        for row in rows
    ]


def usable(book: Book, lake: Lake) -> tuple[str, ...]:
    """The ids of gathered files that are there, whole as far as their size tells."""
    rows = book.rows("SELECT id, path, bytes FROM gathered_files ORDER BY gathered_at_us, id")
    return tuple(str(id_) for id_, path, size in rows if _size(lake.file(str(path))) == size)


def to_read(book: Book, sealed: Sequence[Segment], ids: tuple[str, ...]) -> list[Segment]:
    """Each sealed row once: the sealed files, but for those of which one of these copies holds the rows."""
    if not ids:
        return list(sealed)
    known = {segment.id: segment for segment in sealed}
    copied: set[str] = set()
    copies = []
    for one in listed(book):
        if one.id in ids and copied.isdisjoint(one.members) and _is_copy_of(one, known):
            copied.update(one.members)
            copies.append(_as_segment(one))
    return [*copies, *(segment for segment in sealed if segment.id not in copied)]


def files_of(book: Book, lake: Lake, kind: str) -> list[Segment]:
    """The files to read for every sealed row of a kind."""
    return to_read(book, segments.listed(book, kind), usable(book, lake))


def gather(book: Book, lake: Lake, now_us: int, on_wait: Callable[[str], None] | None = None) -> int:
    """Gather the small files of each kind that has enough of them; returns how many files were."""
    if all(len(_waiting(book, kind)) < FILES_MIN for kind in KINDS):
        return 0
    total = 0
    with claiming.held(book, lake, on_wait):
        for kind in KINDS:
            sound = [one for one in _waiting(book, kind) if _is_as_sealed(lake, one)]
            for members in _batches(sound):
                _gather(book, lake, kind, members, now_us)
                total += len(members)
    return total


def problems(book: Book, lake: Lake, *, quick: bool = False) -> Iterator[tuple[Gathered, str]]:
    """Gathered files that readers do not, or should not, take, each with what is wrong."""
    known = {segment.id: segment for segment in segments.listed(book)}
    for one in listed(book):
        if not _is_copy_of(one, known):
            yield one, "is said to hold files that it cannot hold"
        elif _size(lake.file(one.path)) != one.size_bytes:
            yield one, "is not there, or was cut: the files that it holds are read instead"
        elif not quick and checksum(lake.file(one.path)) != one.sha256:
            yield one, "has other content than was gathered"
        elif not quick and not _is_same(one, [known[id_] for id_ in one.members], lake):
            yield one, "holds other rows than its files"


def drop(book: Book, lake: Lake, gathered: Iterable[Gathered]) -> list[str]:
    """Take copies away, so that the files that they were made of are read; returns their paths."""
    over = list(gathered)
    with claiming.held(book, lake), book.writing():
        for one in over:
            book.execute("DELETE FROM gathered_files WHERE id = ?", (one.id,))
            lake.remove(one.path)
    return [one.path for one in over]


def contradicted(book: Book) -> Iterator[tuple[str, str]]:
    """Gathered files that are listed otherwise than they were gathered, each with what is wrong."""
    query = "SELECT subject, content FROM chained_records WHERE chain = ? AND kind = ?"
    said = {str(subject): content for subject, content in book.rows(query, (CHAIN, _RECORD))}
    for one in listed(book):
        if one.id not in said:
            yield one.path, "is listed and was never gathered"
        elif said[one.id] != _content(one):
            yield one.path, "is listed otherwise than it was gathered"


def _waiting(book: Book, kind: str) -> list[Segment]:
    """Small files that are in no gathered file, by the time of their rows.

    A file whose tasks replace older ones is told from others as it is read, and stays apart.
    """
    copied = {id_ for one in listed(book) for id_ in one.members}
    small = [
        segment
        for segment in segments.listed(book, kind)
        if segment.rows <= SMALL_ROWS
        and segment.size_bytes <= SMALL_BYTES
        and not segment.replaces_rows
        and segment.id not in copied
    ]
    return sorted(small, key=lambda segment: (segment.first_at_us or 0, segment.id))


def _batches(waiting: list[Segment]) -> Iterator[list[Segment]]:
    batch: list[Segment] = []
    for segment in waiting:
        if sum(one.rows for one in batch) + segment.rows > ROWS_MAX:
            if len(batch) >= FILES_MIN:
                yield batch
            batch = []
        batch.append(segment)
    if len(batch) >= FILES_MIN:
        yield batch


def _gather(book: Book, lake: Lake, kind: str, members: list[Segment], now_us: int) -> None:
    engine = open_engine(spill=lake.spill)
    try:
        with lake.staging(str(uuid.uuid4())) as folder:
            staged = folder / "gathered.parquet"
            _write(engine, lake, kind, members, staged)
            one = _placed(engine, book, lake, kind, members, staged)
    finally:
        engine.close()
    with segments.taken_back(book, lake, [one.path]), book.writing():
        _list(book, one, now_us)


def _write(engine: "DuckDBPyConnection", lake: Lake, kind: str, members: list[Segment], staged: Path) -> None:
    """Copy the rows of files into one, and prove that they are the same.

    Raises ``StoreFailure`` where they are not.
    """
    first, _ = segments.TIME_COLUMNS[kind]
    rows = _rows(engine, lake, kind, members)
    write_parquet(engine, f"SELECT * FROM {rows} ORDER BY {first}", staged)
    with translated(f"Gathering {kind}"):
        copy = f"read_parquet({quoted(str(staged))})"
        sums = control_sums(engine, kind, copy)
        if sums != _sums_as_sealed(members, sums) or not _are_same(engine, kind, rows, copy):
            raise StoreFailure(
                f"Gathering {len(members)} files of {kind} gave other rows than they hold. Nothing was "
                "changed; see what flatfare doctor says of them."
            )


def _rows(engine: "DuckDBPyConnection", lake: Lake, kind: str, members: list[Segment]) -> str:
    """The relation of all rows of files, with every column that there is now."""
    engine.execute(lake_table("no_rows", KINDS[kind]))
    rows = f"SELECT * FROM no_rows UNION ALL BY NAME SELECT * FROM {sealed_rows(members, lake)}"
    return f"(SELECT {names(KINDS[kind])} FROM ({rows}))"


def _sums_as_sealed(members: list[Segment], sums: dict[str, int]) -> dict[str, int]:
    """What the book lists of files, added up; a sum that some of them lack is taken as it is."""
    added = {"rows": sum(one.rows for one in members)}
    for name in sums.keys() - added.keys():
        known = [one.sums[name] for one in members if name in one.sums]
        added[name] = sum(known) if len(known) == len(members) else sums[name]
    return added


def _are_same(engine: "DuckDBPyConnection", kind: str, one: str, other: str) -> bool:
    """Two relations hold the same rows, each as often: as many, and their hashes add up alike."""
    query = f"SELECT count(*), sum(CAST(hash({names(KINDS[kind])}) AS HUGEINT)) FROM "
    return engine.execute(query + one).fetchall() == engine.execute(query + other).fetchall()


def _placed(
    engine: "DuckDBPyConnection", book: Book, lake: Lake, kind: str, members: list[Segment], staged: Path
) -> Gathered:
    first, last = segments.TIME_COLUMNS[kind]
    query = f"SELECT count(*), min({first}), max({last}) FROM read_parquet({quoted(str(staged))})"
    ((rows, first_us, last_us),) = engine.execute(query).fetchall()
    own, folder = (
        str(uuid.uuid4()),
        f"gathered/{kind}",
    )  # whoever reads the folders of kinds reads each row once
    segments.begin(book, path_of(folder, own))
    placed = lake.place(staged, folder, own)
    ids = tuple(one.id for one in members)
    return Gathered(own, kind, placed.path, rows, placed.size_bytes, placed.sha256, first_us, last_us, ids)


def _list(book: Book, one: Gathered, now_us: int) -> None:
    segments.end_begun(book, one.path)
    chains.append(
        book,
        CHAIN,
        kind=_RECORD,
        subject=one.id,
        by_whom="flatfare",
        at_us=now_us,
        content=_content(one),
    )
    book.execute(
        f"INSERT INTO gathered_files ({_LISTED}, gathered_at_us) VALUES ({', '.join('?' * 10)})",
        (
            *(one.id, one.kind, one.path, one.rows, one.size_bytes, one.sha256),
            *(one.first_at_us, one.last_at_us, json.dumps(one.members), now_us),
        ),
    )


def _content(one: Gathered) -> str:
    return json.dumps(asdict(one), sort_keys=True)


def _is_copy_of(one: Gathered, known: dict[str, Segment]) -> bool:
    """It holds as many rows as its members, all of its kind, and none that replace others."""
    members = [known[id_] for id_ in one.members if id_ in known]
    return (
        len(members) == len(set(one.members)) == len(one.members)
        and sum(member.rows for member in members) == one.rows
        and all(member.kind == one.kind and not member.replaces_rows for member in members)
    )


def _is_same(one: Gathered, members: list[Segment], lake: Lake) -> bool:
    """Where a member is broken nobody can say, and the copy may be all that is left of its rows."""
    if not all(_is_as_sealed(lake, member) for member in members):
        return True
    engine = open_engine()
    try:
        with translated("Reading gathered files"):
            rows = _rows(engine, lake, one.kind, members)
            return _are_same(engine, one.kind, rows, f"read_parquet({quoted(str(lake.file(one.path)))})")
    finally:
        engine.close()


def _is_as_sealed(lake: Lake, segment: Segment) -> bool:
    file = lake.file(segment.path)
    return _size(file) == segment.size_bytes and checksum(file) == segment.sha256


def _size(file: Path) -> int | None:
    try:
        return os.stat(file).st_size
    except FileNotFoundError:
        return None


def _as_segment(one: Gathered) -> Segment:
    return Segment(
        id=one.id,
        kind=one.kind,
        path=one.path,
        rows=one.rows,
        size_bytes=one.size_bytes,
        sha256=one.sha256,
        first_at_us=one.first_at_us,
        last_at_us=one.last_at_us,
        sums={},
    )
