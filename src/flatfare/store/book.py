"""The book: one transactional database that keeps what must never be half-written.

SQLite in WAL mode by default, synced at each commit. The statements are written
once, in the words that SQLite and PostgreSQL share, with ``?`` for parameters; what
differs stands in this module and nowhere else.
"""

import re
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

from flatfare.core.errors import BadUsage, StoreFailure
from flatfare.store.migrations import MIGRATIONS

Value: TypeAlias = str | int | float | bytes | None
Row: TypeAlias = tuple[Value, ...]

BUSY_MS = 30_000
"""How long a writer waits for another before it gives up."""

_TYPES = {"bigint": "INTEGER", "strict": " STRICT"}  # PostgreSQL: BIGINT, and nothing


class Book:
    """An open book. Close it, or use it as a context."""

    def __init__(self, connection: sqlite3.Connection, place: str) -> None:
        self._connection = connection
        self.place = place

    def __enter__(self) -> "Book":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; an open transaction is rolled back."""
        self._connection.close()

    def execute(self, statement: str, parameters: Sequence[Value] = ()) -> int:
        """Run one statement; returns how many rows it changed."""
        with self._translated_errors():
            return self._connection.execute(statement, parameters).rowcount

    def execute_many(self, statement: str, rows: Iterable[Sequence[Value]]) -> int:
        """Run one statement for each row; returns how many rows it changed in all."""
        with self._translated_errors():
            return self._connection.executemany(statement, rows).rowcount

    def rows(self, statement: str, parameters: Sequence[Value] = ()) -> list[Row]:
        """All rows of a query."""
        with self._translated_errors():
            return self._connection.execute(statement, parameters).fetchall()

    def stream(
        self, statement: str, parameters: Sequence[Value] = (), size: int = 10_000
    ) -> Iterator[list[Row]]:
        """The rows of a query in batches, so that memory stays bounded."""
        with self._translated_errors():
            cursor = self._connection.execute(statement, parameters)
            while batch := cursor.fetchmany(size):
                yield batch

    def value(self, statement: str, parameters: Sequence[Value] = ()) -> Value:
        """The first column of the first row, or None."""
        rows = self.rows(statement, parameters)
        return rows[0][0] if rows else None

    @contextmanager
    def writing(self) -> Iterator[None]:
        """All that is written inside is kept together, or not at all."""
        self.execute("BEGIN IMMEDIATE")
        yield from self._ended()

    @contextmanager
    def reading(self) -> Iterator[None]:
        """All that is read inside is of one moment."""
        self.execute("BEGIN")
        yield from self._ended()

    def _ended(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise
        self.execute("COMMIT")

    @contextmanager
    def _translated_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as problem:
            raise StoreFailure(_said(problem, self.place)) from problem
        except sqlite3.DatabaseError as problem:
            if isinstance(problem, sqlite3.IntegrityError):
                raise
            raise StoreFailure(f"The book {self.place} could not be read: {problem}.") from problem


def open_book(database: str, *, create: bool = True) -> Book:
    """Open the book at ``sqlite:///path`` (or a bare path), bringing its schema up to date.

    With ``create=False`` a book that is not there is an error. Raises
    ``StoreFailure`` where it cannot be opened, ``BadUsage`` for an address of
    another kind.
    """
    path = sqlite_path(database)
    if not create and not path.exists():
        raise StoreFailure(f"There is no book at {path}. Import something first: flatfare import calls FILE.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, timeout=BUSY_MS / 1000, isolation_level=None)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
    except OSError as problem:
        raise StoreFailure(
            f"The book's folder {path.parent} cannot be made: {problem.strerror}."
        ) from problem
    except sqlite3.Error as problem:
        raise StoreFailure(_said(problem, str(path))) from problem
    book = Book(connection, str(path))
    try:
        migrate(book)
    except BaseException:
        book.close()
        raise
    return book


def sqlite_path(database: str) -> Path:
    """The file of a book's address: ``sqlite:///relative.db``, ``sqlite:////absolute.db`` or a path."""
    scheme = re.match(r"([a-z+]+)://", database)
    if scheme is None:
        return Path(database).expanduser()
    if scheme[1] == "sqlite" and database.startswith("sqlite:///"):
        return Path(database.removeprefix("sqlite:///")).expanduser()
    raise BadUsage(
        f"Found the database {database!r}: this version keeps its book in SQLite, "
        "written like sqlite:///flatfare.db."
    )


def migrate(book: Book) -> None:
    """Bring the schema to the newest number, each step whole or not at all."""
    known = _schema_number(book)
    if known > len(MIGRATIONS):
        raise StoreFailure(
            f"The book {book.place} was written by a newer flatfare (schema {known}, this one knows "
            f"{len(MIGRATIONS)}). Upgrade flatfare to open it."
        )
    for number, statements in enumerate(MIGRATIONS[known:], start=known + 1):
        with book.writing():
            if _schema_number(book) >= number:  # another process took this step meanwhile
                continue
            for statement in statements():
                book.execute(statement.format_map(_TYPES))
            book.execute("INSERT INTO migrations (number) VALUES (?)", (number,))


def _schema_number(book: Book) -> int:
    book.execute("CREATE TABLE IF NOT EXISTS migrations (number INTEGER PRIMARY KEY)")
    return int(book.value("SELECT COALESCE(MAX(number), 0) FROM migrations") or 0)


def _said(problem: sqlite3.Error, place: str) -> str:
    text = str(problem)
    if "locked" in text or "busy" in text:
        return (
            f"The book {place} is in use by another process and stayed so for {BUSY_MS // 1000} s. Try again."
        )
    if "full" in text:
        return f"The disk of the book {place} is full. Nothing was changed; make room and try again."
    if "readonly" in text or "unable to open" in text:
        return f"The book {place} cannot be written: check that the folder exists and is yours to write."
    return f"The book {place} answered: {text}."
