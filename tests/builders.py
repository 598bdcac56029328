"""Books for tests, built row by row: calls and tasks with plain defaults, hot or sealed."""

import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path

from flatfare.core.labels import canonical
from flatfare.core.moments import parse_moment
from flatfare.store import calls, segments
from flatfare.store.book import Book, Value, open_book
from flatfare.store.engine import load, open_engine, write_parquet
from flatfare.store.lake import Lake
from flatfare.store.layout import TASKS, names

Record = dict[str, Value]

DAY_US = 86_400_000_000
OPENED_US = parse_moment("2026-01-10T09:00:00Z")[0]
MATURED_US = OPENED_US + DAY_US
NOW_US = parse_moment("2026-06-01T00:00:00Z")[0]


def id_of(name: str) -> str:
    """The id that stands for a name in a test."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, name))


def book_in(folder: Path) -> tuple[Book, Lake]:
    """An empty book and lake; the book does not wait for the disk, since no test pulls the plug."""
    book = open_book(str(folder / "flatfare.db"))
    book.execute("PRAGMA synchronous = OFF")
    return book, Lake(folder / "lake")


def task(name: str, outcome: str = "verified", **columns: Value | Mapping[str, str]) -> Record:
    """A matured task; labels are given as a mapping."""
    labels = columns.pop("labels", {})
    assert isinstance(labels, Mapping)
    row: Record = {
        "id": id_of(name),
        "version": 0,
        "name": "resolve-ticket",
        "path": "small",
        "labels": canonical(labels),
        "opened_at_us": OPENED_US,
        "matures_at_us": MATURED_US,
        "outcome": outcome,
        "is_disputed": 0,
        "settlement": "none",
        "source": "import",
    }
    return row | columns  # type: ignore[operator, return-value]


def call(
    name: str, of: str | None, cost_nano: int | None = 0, **columns: Value | Mapping[str, str]
) -> Record:
    """A call for work on the task of that name; a cost of None is unknown."""
    labels = columns.pop("labels", {})
    assert isinstance(labels, Mapping)
    row: Record = {
        "id": id_of(f"call {name}"),
        "at_us": OPENED_US,
        "source": "import",
        "task_id": None if of is None else id_of(of),
        "purpose": "work",
        "provider": "openai",
        "model": "gpt-5-mini",
        "input": 100,
        "output": 10,
        "cost_nano": cost_nano,
        "cost_state": "unknown" if cost_nano is None else "measured",
        "cost_reason": "no price" if cost_nano is None else None,
        "cost_basis": None if cost_nano is None else "reported",
        "reported_nano": cost_nano,
        "labels": canonical(labels),
    }
    return row | columns  # type: ignore[operator, return-value]


def write_tasks(book: Book, rows: Iterable[Mapping[str, Value]]) -> None:
    """Write hot tasks; a newer version replaces the row of an older one."""
    marks = ", ".join("?" * len(TASKS))
    newest = ", ".join(f"{column.name} = excluded.{column.name}" for column in TASKS)
    with book.writing():
        book.execute_many(
            f"INSERT INTO tasks ({names(TASKS)}) VALUES ({marks}) ON CONFLICT (id) DO UPDATE SET {newest}",
            ([row.get(column.name) for column in TASKS] for row in rows),
        )


def write_calls(book: Book, rows: Iterable[Mapping[str, Value]]) -> None:
    """Write hot calls."""
    with book.writing():
        calls.insert(book, rows)


def seal_tasks(book: Book, lake: Lake, *, replaces: bool = False) -> None:
    """Move all hot tasks into one sealed file, as an import leaves them."""
    engine = open_engine()
    try:
        with lake.exclusive(), lake.staging("tasks") as folder:
            stored = book.stream(f"SELECT {names(TASKS)} FROM tasks")
            count = load(engine, "batch", TASKS, stored)
            if count:
                write_parquet(engine, "SELECT * FROM batch", folder / "tasks.parquet")
                sealed = segments.seal_file(
                    engine,
                    book,
                    lake,
                    "tasks",
                    folder / "tasks.parquet",
                    replaces_rows=count if replaces else 0,
                )
                with book.writing():
                    segments.list_segment(book, sealed, NOW_US)
                    book.execute("DELETE FROM tasks")
    finally:
        engine.close()
