"""The desk: threads that have the book open and answer one request after another.

Reading and writing have threads apart: the book has one writer at a time, and who only
reads must not stand behind it.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from flatfare.config import Settings
from flatfare.gateway.keyring import KeyRing
from flatfare.service import clock
from flatfare.store.book import Book, open_book
from flatfare.store.lake import Lake
from flatfare.store.reading import OpenLake

Answer = TypeVar("Answer")

READERS, WRITERS = 4, 1


@dataclass(frozen=True, slots=True)
class Books:
    """What a question is answered from."""

    book: Book
    lake: Lake
    keyring: KeyRing
    settings: Settings
    now_us: int


class Desk:
    """Answers questions from the book in threads of its own. Close it at the end.

    Without ``makes_book`` a book that is away is an error, until it is back.
    """

    def __init__(self, settings: Settings, *, makes_book: bool = True) -> None:
        self._settings = settings
        self._makes_book = makes_book
        self._lake = OpenLake(settings.lake)
        self._held = threading.local()
        self._books: list[Book] = []  # of all threads, to be closed at the end
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="reader")
        self._writers = ThreadPoolExecutor(WRITERS, thread_name_prefix="writer")

    async def ask(self, question: Callable[[Books], Answer], *, writes: bool) -> Answer:
        """What the question finds; ``writes`` where it changes the book."""
        threads = self._writers if writes else self._readers
        return await asyncio.get_running_loop().run_in_executor(threads, self._answer, question)

    def close(self) -> None:
        """Finish what is under way; nothing more is answered."""
        self._readers.shutdown()
        self._writers.shutdown()
        self._lake.close()
        for book in self._books:
            if book.is_shared:  # a file is closed with its thread, and by no other
                book.close()

    def _answer(self, question: Callable[[Books], Answer]) -> Answer:
        keyring: KeyRing | None = getattr(self._held, "keyring", None)
        if keyring is None:
            self._held.book = open_book(self._settings.database, create=self._makes_book)
            self._books.append(self._held.book)
            keyring = self._held.keyring = KeyRing(self._held.book)
        keyring.refresh()
        now_us = clock.now_us()
        return question(Books(self._held.book, self._lake, keyring, self._settings, now_us))
