"""The book: one transactional database that keeps what must never be half-written.

SQLite by default, PostgreSQL where several nodes share it. The statements are written
once, in the words that both share, with ``?`` for parameters; what differs stands in the
modules of the two homes and nowhere else.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager

from flatfare.core.errors import StoreFailure
from flatfare.store.home import Home, Row, Value
from flatfare.store.migrations import MIGRATIONS, InFile
from flatfare.store.postgres import SCHEMES, PostgresHome
from flatfare.store.sqlite import SqliteHome, sqlite_path

__all__ = ["Book", "Row", "Value", "migrate", "open_book"]


class Book:
    """An open book. Close it, or use it as a context."""

    def __init__(self, home: Home) -> None:
        self._home = home

    @property
    def place(self) -> str:
        """Where it is kept, as it may be printed."""
        return self._home.place

    @property
    def is_shared(self) -> bool:
        """Whether nodes on other machines may write it too."""
        return self._home.is_shared

    def __enter__(self) -> "Book":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; an open transaction is rolled back."""
        self._home.close()

    def execute(self, statement: str, parameters: Sequence[Value] = ()) -> int:
        """Run one statement; returns how many rows it changed.

        Raises ``KeyTaken`` where a row of the same key stands.
        """
        return self._home.execute(statement, parameters)

    def execute_many(self, statement: str, rows: Iterable[Sequence[Value]]) -> int:
        """Run one statement for each row; returns how many rows it changed in all."""
        return self._home.execute_many(statement, rows)

    def rows(self, statement: str, parameters: Sequence[Value] = ()) -> list[Row]:
        """All rows of a query."""
        return self._home.rows(statement, parameters)

    def stream(
        self, statement: str, parameters: Sequence[Value] = (), size: int = 10_000
    ) -> Iterator[list[Row]]:
        """The rows of a query in batches, so that memory stays bounded."""
        return self._home.stream(statement, parameters, size)

    def value(self, statement: str, parameters: Sequence[Value] = ()) -> Value:
        """The first column of the first row, or None."""
        rows = self.rows(statement, parameters)
        return rows[0][0] if rows else None

    def writing(self) -> AbstractContextManager[None]:
        """All that is written inside is kept together, or not at all; nobody else writes meanwhile."""
        return self._home.writing()

    def writing_of(self, subject: str) -> AbstractContextManager[None]:
        """As ``writing``, for what is one subject's alone, such as a customer's accounts.

        Other subjects may be written meanwhile, where the book's home can do that; so
        nothing may be read and relied on inside that somebody else's transaction of this
        kind could change.
        """
        return self._home.writing_of(subject)

    def reading(self) -> AbstractContextManager[None]:
        """All that is read inside is of one moment."""
        return self._home.reading()

    def number_of_write(self) -> str:
        """SQL for the number of the transaction under way: rows keep it, so that what changed is found."""
        return self._home.number_of_write()

    def unseen_from(self) -> int:
        """Rows that are not seen at this moment will have at least this number; lower ones are all seen."""
        return self._home.unseen_from()

    def alone(
        self, purpose: str, on_wait: Callable[[str], None] | None = None
    ) -> AbstractContextManager[None]:
        """Be the only one at a purpose, beside a lock on a file that holds on one machine only."""
        return self._home.alone(purpose, on_wait)

    def integrity(self) -> str:
        """What the database says of its own soundness: ``ok``, or what is wrong."""
        return self._home.integrity()


def open_book(database: str, *, create: bool = True) -> Book:
    """Open the book at ``sqlite:///path``, a bare path or ``postgresql://…``, its schema up to date.

    With ``create=False`` a book that is not there is an error. Raises
    ``StoreFailure`` where it cannot be opened, ``BadUsage`` for an address of
    another kind.
    """
    book = Book(_home_at(database, create=create))
    try:
        migrate(book, create=create)
    except BaseException:
        book.close()
        raise
    return book


def _home_at(database: str, *, create: bool) -> Home:
    if database.startswith(SCHEMES):
        return PostgresHome(database)
    path = sqlite_path(database)
    if not create and not path.exists():
        raise _absent(str(path))
    return SqliteHome(path)


def migrate(book: Book, *, create: bool = True) -> None:
    """Bring the schema to the newest number, each step whole or not at all."""
    known = _schema_number(book)
    if known > len(MIGRATIONS):
        raise StoreFailure(
            f"The book {book.place} was written by a newer flatfare (schema {known}, this one knows "
            f"{len(MIGRATIONS)}). Upgrade flatfare to open it."
        )
    if not known and book.is_shared and not create:
        raise _absent(book.place)
    for number, statements in enumerate(MIGRATIONS[known:], start=known + 1):
        with book.writing():
            if _schema_number(book) >= number:  # another process took this step meanwhile
                continue
            if number == 1:
                book.execute("CREATE TABLE IF NOT EXISTS migrations (number INTEGER PRIMARY KEY)")
            for statement in statements():
                if not (book.is_shared and isinstance(statement, InFile)):
                    book.execute(statement.format_map(book._home.words))
            book.execute("INSERT INTO migrations (number) VALUES (?)", (number,))


def _schema_number(book: Book) -> int:
    if not book._home.has_table("migrations"):
        return 0
    return int(book.value("SELECT COALESCE(MAX(number), 0) FROM migrations") or 0)


def _absent(place: str) -> StoreFailure:
    return StoreFailure(
        f"There is no book at {place}. One is made by flatfare import, flatfare keys create, "
        "flatfare budgets create or flatfare serve; or name another with --database."
    )
