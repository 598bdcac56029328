"""SQLite as the book's home: one file in WAL mode, synced at each commit.

The processes that share it are all on one machine.
"""

import re
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from flatfare.core.errors import BadInput, BadUsage, StoreFailure
from flatfare.store.durable import make_folder
from flatfare.store.home import BUSY_MS, KeyTaken, Row, Value


class SqliteHome:
    """An open file."""

    is_shared = False
    words: Mapping[str, str] = {"bigint": "INTEGER", "strict": " STRICT", "numbered": ""}

    def __init__(self, path: Path) -> None:
        self.place = str(path)
        try:
            make_folder(path.parent)
            self._connection = sqlite3.connect(path, timeout=BUSY_MS / 1000, isolation_level=None)
            _set_wal(self._connection)
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.execute("PRAGMA foreign_keys = ON")
        except OSError as problem:
            raise StoreFailure(
                f"The book's folder {path.parent} cannot be made: {problem.strerror}."
            ) from problem
        except sqlite3.Error as problem:
            raise StoreFailure(_said(problem, self.place)) from problem

    def close(self) -> None:
        self._connection.close()

    def execute(self, statement: str, parameters: Sequence[Value]) -> int:
        with self._translated_errors():
            return self._connection.execute(statement, parameters).rowcount

    def execute_many(self, statement: str, rows: Iterable[Sequence[Value]]) -> int:
        with self._translated_errors():
            return self._connection.executemany(statement, rows).rowcount

    def rows(self, statement: str, parameters: Sequence[Value]) -> list[Row]:
        with self._translated_errors():
            return self._connection.execute(statement, parameters).fetchall()

    def stream(self, statement: str, parameters: Sequence[Value], size: int) -> Iterator[list[Row]]:
        with self._translated_errors():
            cursor = self._connection.execute(statement, parameters)
            while batch := cursor.fetchmany(size):
                yield batch

    @contextmanager
    def writing(self) -> Iterator[None]:
        self.execute("BEGIN IMMEDIATE", ())
        yield from self._ended()

    def writing_of(self, subject: str) -> AbstractContextManager[None]:
        return self.writing()  # the file has one writer at a time, whatever it writes

    @contextmanager
    def reading(self) -> Iterator[None]:
        self.execute("BEGIN", ())
        yield from self._ended()

    def _ended(self) -> Iterator[None]:
        try:
            yield
            self.execute("COMMIT", ())
        except BaseException:
            if self._connection.in_transaction:  # also where the disk failed at the commit itself
                self._connection.execute("ROLLBACK")
            raise

    def number_of_write(self) -> str:
        return str(self.rows("UPDATE writes SET number = number + 1 RETURNING number", ())[0][0])

    def unseen_from(self) -> int:
        return int(str(self.rows("SELECT number FROM writes", ())[0][0])) + 1

    @contextmanager
    def alone(self, purpose: str, on_wait: Callable[[str], None] | None) -> Iterator[None]:
        yield  # whoever else there is stands on this machine, where a lock on a file keeps them apart

    def has_table(self, name: str) -> bool:
        return bool(self.rows("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (name,)))

    def integrity(self) -> str:
        return str(self.rows("PRAGMA integrity_check", ())[0][0])

    @contextmanager
    def _translated_errors(self) -> Iterator[None]:
        try:
            yield
        except OverflowError as problem:
            raise BadInput("Found a number that is too large: whole numbers have 64 bits.") from problem
        except sqlite3.IntegrityError as problem:
            raise KeyTaken(f"The book {self.place} holds that already: {problem}.") from problem
        except sqlite3.OperationalError as problem:
            raise StoreFailure(_said(problem, self.place)) from problem
        except sqlite3.DatabaseError as problem:
            raise StoreFailure(f"The book {self.place} could not be read: {problem}.") from problem


def _set_wal(connection: sqlite3.Connection) -> None:
    """Let readers read beside the writer; waits for others that open the same new file.

    SQLite does not wait by itself here: it would be two that wait for each other.
    """
    deadline = time.monotonic() + BUSY_MS / 1000
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as problem:
            if "locked" not in str(problem) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def is_file(database: str) -> bool:
    """Whether an address is of a file on this machine."""
    return "://" not in database or database.startswith("sqlite:")


def sqlite_path(database: str) -> Path:
    """The file of a book's address: ``sqlite:///relative.db``, ``sqlite:////absolute.db`` or a path."""
    scheme = re.match(r"([a-z+]+)://", database)
    if scheme is None:
        return Path(database).expanduser()
    if scheme[1] == "sqlite" and database.startswith("sqlite:///"):
        return Path(database.removeprefix("sqlite:///")).expanduser()
    raise BadUsage(
        f"Found a database of the kind {scheme[1]}://: a book is kept in SQLite, written like "
        "sqlite:///flatfare.db, or in PostgreSQL, written like postgresql://user@host/flatfare."
    )


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
