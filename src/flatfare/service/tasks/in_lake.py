"""What the lake says of tasks that are told of: what was imported of them, and what was sealed.

A task's own row that was sealed is its present row; what an import says stands below what was told.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flatfare.store import segments
from flatfare.store.book import Book
from flatfare.store.engine import open_engine, translated
from flatfare.store.home import Value
from flatfare.store.lake import Lake
from flatfare.store.layout import TASKS, VERDICTS, Column
from flatfare.store.segments import Segment, sealed_rows
from flatfare.store.tasks import TaskRow

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


@dataclass(slots=True)
class InLake:
    """What lies in the lake of one task."""

    imported: TaskRow | None = None  # the newest that an import says
    sealed: TaskRow | None = None  # the newest of its own
    verdicts: list[dict[str, Value]] = field(default_factory=list)


def in_lake(book: Book, lake: Lake, task_ids: Sequence[str], told: Collection[str]) -> dict[str, InLake]:
    """What the lake holds of these tasks; those of ``told`` may have been sealed, all may be imported."""
    if not task_ids and not told:
        return {}
    listed = [one for one in segments.listed(book) if one.kind in ("tasks", "verdicts")]
    imports = [one for one in listed if one.import_id is not None]
    own = [one for one in listed if one.import_id is None] if told else []
    if not imports and not own:
        return {}
    found: dict[str, InLake] = {}
    engine = open_engine(threads=1)
    try:
        with translated("Reading the lake"):
            for files, asked in ((imports, task_ids), (own, list(told))):
                if files and asked:
                    _gather(engine, files, lake, asked, found)
    finally:
        engine.close()
    return found


def _gather(
    engine: "DuckDBPyConnection",
    files: Sequence[Segment],
    lake: Lake,
    asked: Sequence[str],
    found: dict[str, InLake],
) -> None:
    engine.execute("CREATE OR REPLACE TEMP TABLE asked (id UUID)")
    with engine.appender("asked") as appender:
        appender.append_rows([(task_id,) for task_id in asked])
    for row in _rows(engine, files, lake, "tasks", TASKS, "id"):
        one = found.setdefault(str(row["id"]), InLake())
        if row["import_id"] is None:
            one.sealed = _newer(one.sealed, row)
        else:
            one.imported = _newer(one.imported, row)
    for row in _rows(engine, files, lake, "verdicts", VERDICTS, "task_id"):
        found.setdefault(str(row["task_id"]), InLake()).verdicts.append(row)


def _newer(one: TaskRow | None, other: TaskRow) -> TaskRow:
    return other if one is None or int(str(one["version"])) < int(str(other["version"])) else one


def _rows(
    engine: "DuckDBPyConnection",
    files: Sequence[Segment],
    lake: Lake,
    kind: str,
    columns: tuple[Column, ...],
    key: str,
) -> Iterator[dict[str, Value]]:
    """The rows of these files that speak of a task asked for, in the book's types."""
    own = [one for one in files if one.kind == kind]
    if not own:
        return
    selected = ", ".join(
        f"CAST({column.name} AS {_BOOK_TYPES.get(column.kind, column.lake_type)})" for column in columns
    )
    query = f"SELECT {selected} FROM {sealed_rows(own, lake)} WHERE {key} IN (SELECT id FROM asked)"
    for row in engine.execute(query).fetchall():
        yield dict(zip((column.name for column in columns), row, strict=True))


_BOOK_TYPES = {"uuid": "VARCHAR", "boolean": "BIGINT"}
