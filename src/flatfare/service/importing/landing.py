"""Landing: what was read goes into the lake and the book in one step, or not at all.

Files are written aside and placed; the one transaction that lists them, with the
import's own row, is the moment the rows come to be.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from flatfare.service.importing.marking import Tally
from flatfare.service.importing.order import Order
from flatfare.store import segments
from flatfare.store.book import Book, Row
from flatfare.store.engine import quoted, write_parquet
from flatfare.store.folding import folding
from flatfare.store.lake import Lake
from flatfare.store.layout import FOLDED, names
from flatfare.store.segments import Segment

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


@dataclass(slots=True)
class Landing:
    """Files placed in the lake and statements for the book, not yet true."""

    book: Book
    lake: Lake
    folder: Path  # the staging folder
    import_id: str
    placed: list[Segment] = field(default_factory=list)
    writes: list[Callable[[Book], None]] = field(default_factory=list)

    def take(self, engine: "DuckDBPyConnection", kind: str, query: str, *, replaces_rows: int = 0) -> int:
        """Write a query's rows to a file of this kind and place it; returns how many. No rows, no file."""
        staged = self.folder / f"{kind}.parquet"
        rows = write_parquet(engine, query, staged)
        if not rows:
            staged.unlink()
            return 0
        if kind == "calls":
            self._take_calls(engine, staged)
        else:
            self.placed.append(
                segments.seal_file(
                    engine,
                    self.book,
                    self.lake,
                    kind,
                    staged,
                    replaces_rows=replaces_rows,
                    import_id=self.import_id,
                )
            )
        return rows

    def _take_calls(self, engine: "DuckDBPyConnection", staged: Path) -> None:
        """Calls come with their fold, made from the very file."""
        relation = f"read_parquet({quoted(str(staged))})"
        folded = self.folder / "folded.parquet"
        write_parquet(engine, f"SELECT {names(FOLDED)} FROM ({folding(relation)})", folded)
        calls = segments.seal_file(engine, self.book, self.lake, "calls", staged, import_id=self.import_id)
        self.placed.append(calls)
        self.placed.append(
            segments.seal_file(
                engine,
                self.book,
                self.lake,
                "folded",
                folded,
                calls_segment_id=calls.id,
                import_id=self.import_id,
            )
        )

    def list_all(self, row: "ImportRow", now_us: int) -> None:
        """Make it all true in one transaction."""
        with self.book.writing():
            for segment in self.placed:
                segments.list_segment(self.book, segment, now_us)
            for write in self.writes:
                write(self.book)
            row.insert(self.book, now_us)


@contextmanager
def landing(book: Book, lake: Lake, folder: Path, import_id: str) -> Iterator[Landing]:
    """A landing whose placed files are taken away again if it fails."""
    opened = Landing(book, lake, folder, import_id)
    with segments.taken_back(book, lake, opened.placed):
        yield opened


@dataclass(frozen=True, slots=True)
class ImportRow:
    """The book's row of one import."""

    id: str
    order: Order
    file: str
    file_hash: str
    tally: Tally

    def insert(self, book: Book, now_us: int) -> None:
        """Write it; call it inside the landing's transaction."""
        book.execute(
            "INSERT INTO imports (id, kind, source, file, file_hash, settings, rows_read, rows_new, "
            "rows_known, "
            "rows_rejected, at_us, url, licence) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                self.id,
                self.order.kind,
                self.order.source,
                self.file,
                self.file_hash,
                self.order.settings(),
                self.tally.read,
                self.tally.new + self.tally.updated,
                self.tally.known,
                self.tally.rejected,
                now_us,
                self.order.url,
                self.order.licence,
            ),
        )


def imported_before(book: Book, order: Order, file_hash: str) -> Row | None:
    """When this very file was imported under this very order, and how many rows of it were rejected."""
    rows = book.rows(
        "SELECT at_us, rows_read, rows_rejected FROM imports "
        "WHERE file_hash = ? AND kind = ? AND source = ? AND settings = ? ORDER BY at_us DESC LIMIT 1",
        (file_hash, order.kind, order.source, order.settings()),
    )
    return rows[0] if rows else None


def has_imports(book: Book, kind: str) -> bool:
    """Whether anything of this kind was imported before."""
    return bool(book.rows("SELECT 1 FROM imports WHERE kind = ? LIMIT 1", (kind,)))
