"""The book in a thread of its own: what the runner writes is written in order, and the loop never waits."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Concatenate, ParamSpec, TypeVar

from flatfare.config import Settings
from flatfare.store.book import Book, open_book
from flatfare.store.lake import Lake

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Shelf:
    """Book and lake, open in the thread that holds them."""

    book: Book
    lake: Lake


class Books:
    """Runs verbs in the thread that has the book open. Close it at the end."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="runner-book")
        self._shelf: Shelf | None = None

    async def do(self, verb: Callable[Concatenate[Shelf, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """What the verb gives; it is called with the shelf first, after all that was asked before."""

        def work() -> R:
            if self._shelf is None:
                self._shelf = Shelf(open_book(self._settings.database), Lake(self._settings.lake))
            return verb(self._shelf, *args, **kwargs)

        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def close(self) -> None:
        """Finish what was asked, and close the book."""

        def close() -> None:
            if self._shelf is not None:
                self._shelf.book.close()

        await asyncio.get_running_loop().run_in_executor(self._thread, close)
        self._thread.shutdown()
