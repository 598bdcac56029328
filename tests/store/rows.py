"""Rows for tests of the store: small, plain, valid."""

import uuid
from collections.abc import Iterator
from pathlib import Path

from flatfare.store import calls
from flatfare.store.book import Book, Value, open_book
from flatfare.store.lake import Lake

NOON_US = 1_767_268_800_000_000  # 2026-01-01T12:00:00Z
MINUTE_US = 60_000_000


def call(number: int, **columns: Value) -> dict[str, Value]:
    """A call that cost ten times its number plus one nano-dollars, a minute after the one before."""
    return {
        "id": str(uuid.UUID(int=number + 1)),
        "at_us": NOON_US + number * MINUTE_US,
        "source": "gateway",
        "task_id": str(uuid.UUID(int=1_000_000 + number // 3)),
        "provider": "openai",
        "model": "gpt-5",
        "input": 100 + number,
        "output": 10,
        "cost_nano": 10 * number + 1,
        "cost_state": "measured",
        "cost_basis": "computed",
        "computed_nano": 10 * number + 1,
        "computed_state": "measured",
        **columns,
    }


def place(folder: Path) -> tuple[Book, Lake]:
    """An empty book and lake in a folder."""
    return open_book(str(folder / "flatfare.db")), Lake(folder / "lake")


def write(book: Book, rows: Iterator[dict[str, Value]] | list[dict[str, Value]]) -> int:
    """Write calls in one transaction."""
    with book.writing():
        return calls.insert(book, rows)
