"""Take tasks out of a book as outcome records, in the order in which they were opened, page by page.

What is exported is of one moment of the book; pages keep memory bounded however many tasks there are.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from flatfare.service.outcomes.records import Parts, Record, Row, record_of
from flatfare.service.tasks.defining import Register
from flatfare.store import reading
from flatfare.store.book import Book
from flatfare.store.engine import quoted, translated
from flatfare.store.lake import Lake
from flatfare.store.layout import CALLS, TASKS, VERDICTS, Column

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_PAGE = 4_000
_IN_BOOK = {
    "attempts": ("id, task_id, number, path, rung, status, started_at_us, ended_at_us", "number"),
    "rework": ("id, task_id, at_us, minutes_milli, rate_nano_per_hour, cost_nano, by_whom", "at_us, id"),
    "signals": ("id, task_id, at_us, name, value, source", "at_us, id"),
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which tasks."""

    since_us: int | None = None
    until_us: int | None = None
    names: Sequence[str] = ()
    outcomes: Sequence[str] = ()
    labels: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    source: str | None = None
    ids: Sequence[str] | None = None

    def condition(self) -> str:
        """SQL over tasks."""
        parts = ["true"]
        if self.since_us is not None:
            parts.append(f"opened_at_us >= {self.since_us}")
        if self.until_us is not None:
            parts.append(f"opened_at_us < {self.until_us}")
        for column, values in (("name", self.names), ("outcome", self.outcomes)):
            if values:
                parts.append(f"{column} IN ({', '.join(map(quoted, values))})")
        for key, value in self.labels.items():
            path = quoted('$."' + key.replace('"', "") + '"')
            parts.append(f"json_extract_string(labels, {path}) = {quoted(value)}")
        if self.source is not None:
            parts.append(f"source = {quoted(self.source)}")
        if self.ids is not None:
            listed = ", ".join(f"CAST({quoted(one)} AS UUID)" for one in self.ids)
            parts.append(f"id IN ({listed})" if listed else "false")
        return " AND ".join(parts)


EVERYTHING = Wanted()


def exported(
    book: Book, lake: Lake, wanted: Wanted = EVERYTHING, *, with_calls: bool = True
) -> Iterator[Record]:
    """The records of these tasks."""
    with reading.opened(book, lake, "tasks", "verdicts", "calls") as engine, translated("Reading the tasks"):
        _set_aside(engine, wanted)
        register = Register(book)
        carried = _carried(book)
        last = engine.execute("SELECT max(rank) FROM wanted").fetchone()
        for first in range(1, int(last[0] or 0) + 1 if last else 0, _PAGE):
            for parts in _page(engine, book, first, register, carried):
                yield record_of(parts, with_calls=with_calls)


def _set_aside(engine: "DuckDBPyConnection", wanted: Wanted) -> None:
    """Number the tasks, and sort what speaks of them by that number, so that a page is read and no more."""
    engine.execute(
        "CREATE TEMP TABLE wanted AS SELECT row_number() OVER (ORDER BY opened_at_us, id) AS rank, "
        f"{_selected(TASKS)} FROM tasks WHERE {wanted.condition()} ORDER BY rank"
    )
    engine.execute(
        f"CREATE TEMP TABLE wanted_verdicts AS SELECT rank, {_selected(VERDICTS, 'own')} "
        "FROM verdicts AS own JOIN (SELECT rank, CAST(id AS UUID) AS asked FROM wanted) "
        "ON asked = own.task_id ORDER BY rank, position"
    )
    engine.execute(
        f"CREATE TEMP TABLE wanted_calls AS SELECT rank, {_selected(CALLS, 'own')} FROM "
        "(SELECT * FROM calls WHERE task_id IN (SELECT CAST(id AS UUID) FROM wanted) "
        "QUALIFY SUM(n) OVER (PARTITION BY id) > 0 AND n = 1 "
        "AND revision = MAX(revision) FILTER (WHERE n = 1) OVER (PARTITION BY id)) AS own "
        "JOIN (SELECT rank, CAST(id AS UUID) AS asked FROM wanted) ON asked = own.task_id "
        "ORDER BY rank, own.at_us, own.id"
    )


def _selected(columns: tuple[Column, ...], table: str = "") -> str:
    dot = f"{table}." if table else ""
    return ", ".join(
        f"CAST({dot}{column.name} AS VARCHAR) AS {column.name}"
        if column.kind == "uuid"
        else f"{dot}{column.name}"
        for column in columns
    )


def _page(
    engine: "DuckDBPyConnection",
    book: Book,
    first: int,
    register: Register,
    carried: Mapping[str, tuple[str, int]],
) -> Iterator[Parts]:
    within = f"rank BETWEEN {first} AND {first + _PAGE - 1}"
    tasks = _rows(engine, "wanted", TASKS, f"{within} ORDER BY rank")
    verdicts = _by_task(_rows(engine, "wanted_verdicts", VERDICTS, f"{within} ORDER BY rank, position"))
    calls = _by_task(_rows(engine, "wanted_calls", CALLS, f"{within} ORDER BY rank, at_us, id"))
    beside = {table: _of_book(book, table, [str(task["id"]) for task in tasks]) for table in _IN_BOOK}
    for task in tasks:
        key = str(task["id"])
        found = register.of(str(task["name"]), int(task["opened_at_us"] or 0))
        yield Parts(
            task,
            verdicts.get(key, []),
            calls.get(key, []),
            beside["attempts"].get(key, []),
            beside["rework"].get(key, []),
            beside["signals"].get(key, []),
            definition=carried.get(key) or ((found.action, found.version) if found.version else None),
        )


def _rows(engine: "DuckDBPyConnection", table: str, columns: tuple[Column, ...], condition: str) -> list[Row]:
    keys = [column.name for column in columns]
    rows = engine.execute(f"SELECT {', '.join(keys)} FROM {table} WHERE {condition}").fetchall()
    return [dict(zip(keys, row, strict=True)) for row in rows]


def _by_task(rows: Sequence[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(str(row["task_id"]), []).append(row)
    return found


def _of_book(book: Book, table: str, tasks: Sequence[str]) -> dict[str, list[Row]]:
    columns, order = _IN_BOOK[table]
    keys = columns.split(", ")
    found: list[Row] = []
    if book.value(f"SELECT 1 FROM {table} LIMIT 1") is None:
        return {}
    for start in range(0, len(tasks), 500):
        part = tasks[start : start + 500]
        marks = ", ".join("?" * len(part))
        rows = book.rows(f"SELECT {columns} FROM {table} WHERE task_id IN ({marks}) ORDER BY {order}", part)
        found += [dict(zip(keys, row, strict=True)) for row in rows]
    return _by_task(found)


def _carried(book: Book) -> dict[str, tuple[str, int]]:
    """The definitions that imported records say they were judged by."""
    rows = book.rows("SELECT task_id, action, version FROM carried_definitions")
    return {str(task): (str(action), int(str(version))) for task, action, version in rows}
