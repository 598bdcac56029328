"""A place to import into, and what stands there afterwards."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from flatfare.config import Settings
from flatfare.service import doctoring
from flatfare.service.importing.order import Imported, Order
from flatfare.service.importing.results import import_results
from flatfare.service.importing.run import Stores, import_file
from flatfare.store import reading
from flatfare.store.book import Book, open_book
from flatfare.store.lake import Lake

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

NOW_US = 1_790_000_000_000_000  # 2026-09-21T14:13:20Z


class Place:
    """A book and a lake in a folder, and files beside them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.book: Book = open_book(str(folder / "flatfare.db"))
        self.lake = Lake(folder / "lake")
        self.now_us = NOW_US

    def file(self, name: str, content: str | bytes) -> str:
        """A file with this content; returns its name."""
        path = self.folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return str(path)

    def bring(self, kind: str, file: str | Path, **asked: object) -> Imported:
        """Import a file; each import is a second after the one before."""
        self.now_us += 1_000_000
        stores = Stores(self.book, self.lake, Settings())
        order = Order(kind, **asked)  # type: ignore[arg-type]
        rejects = str(self.folder / f"{Path(file).name}.rejects.jsonl")
        return import_file(stores, str(file), order, self.now_us, rejects=rejects)

    def text(self, kind: str, content: str, name: str = "given.csv", **asked: object) -> Imported:
        """Import this text."""
        return self.bring(kind, self.file(name, content), **asked)

    def results(self, kind: str, *files: str, **asked: object) -> Imported:
        """Import what another tool wrote."""
        self.now_us += 1_000_000
        stores = Stores(self.book, self.lake, Settings())
        order = Order(kind, **asked)  # type: ignore[arg-type]
        rejects = str(self.folder / f"{Path(files[0]).name}.rejects.jsonl")
        return import_results(stores, list(files), order, self.now_us, rejects=rejects)

    @contextmanager
    def opened(self) -> Iterator["DuckDBPyConnection"]:
        """The views that reports read."""
        with reading.opened(self.book, self.lake) as engine:
            yield engine

    def rows(self, query: str) -> list[tuple[object, ...]]:
        """What a query over those views gives."""
        with self.opened() as engine:
            return engine.execute(query).fetchall()

    def row(self, query: str) -> tuple[object, ...]:
        """The only row of it."""
        (row,) = self.rows(query)
        return row

    def is_sound(self) -> bool:
        """The doctor finds nothing wrong."""
        return doctoring.examine(self.book, self.lake).is_sound

    def rejects(self, name: str = "given.csv") -> str:
        """What the rejects file of a file says."""
        return (self.folder / f"{name}.rejects.jsonl").read_text(encoding="utf-8")


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """An empty book and lake."""
    there = Place(tmp_path)
    yield there
    there.book.close()
