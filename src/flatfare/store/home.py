"""What a database must do to be a book's home: few words, and the same meaning of each in every home.

A home runs statements written with ``?``; one writer at a time changes it, and all that
is read inside ``reading`` is of one moment.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol, TypeAlias

from flatfare.core.errors import Conflict

Value: TypeAlias = str | int | float | bytes | None
Row: TypeAlias = tuple[Value, ...]

BUSY_MS = 30_000
"""How long a writer waits for another before it gives up."""


class KeyTaken(Conflict):
    """A row of the same key stands already."""


class Home(Protocol):
    """A database that is open; its failures are ``StoreFailure``, a key that stands is ``KeyTaken``."""

    place: str  # as it may be printed: without any password
    is_shared: bool  # processes on other machines may write it too
    words: Mapping[str, str]  # what stands for the words in braces of the schema's statements

    def close(self) -> None:
        """Close it; an open transaction is rolled back."""

    def execute(self, statement: str, parameters: Sequence[Value]) -> int:
        """Run one statement; returns how many rows it changed."""

    def execute_many(self, statement: str, rows: Iterable[Sequence[Value]]) -> int:
        """Run one statement for each row; returns how many rows it changed in all."""

    def rows(self, statement: str, parameters: Sequence[Value]) -> list[Row]:
        """All rows of a query."""

    def stream(self, statement: str, parameters: Sequence[Value], size: int) -> Iterator[list[Row]]:
        """The rows of a query in batches, so that memory stays bounded."""

    def writing(self) -> AbstractContextManager[None]:
        """A transaction of the only writer there is: it waits until no other writes."""

    def writing_of(self, subject: str) -> AbstractContextManager[None]:
        """A transaction that writes what is one subject's alone; no other writes of the same subject."""

    def reading(self) -> AbstractContextManager[None]:
        """A transaction that sees one moment."""

    def number_of_write(self) -> str:
        """SQL for the number of the transaction that writes: no later one has a lower."""

    def unseen_from(self) -> int:
        """The number that whatever this moment does not see yet has at least."""

    def alone(self, purpose: str, on_wait: Callable[[str], None] | None) -> AbstractContextManager[None]:
        """Be the only one of all processes, on all machines, that is at this purpose."""

    def has_table(self, name: str) -> bool:
        """Whether there is such a table."""

    def integrity(self) -> str:
        """What the database says of its own soundness: ``ok``, or what is wrong."""
