"""What imports say of tasks that are told of as well: their newest row and their verdicts in the lake."""

from collections.abc import Sequence

from flatfare.store import segments
from flatfare.store.book import Book
from flatfare.store.engine import open_engine, translated
from flatfare.store.home import Value
from flatfare.store.lake import Lake
from flatfare.store.layout import TASKS, VERDICTS, Column
from flatfare.store.reading import sealed_rows
from flatfare.store.segments import Segment
from flatfare.store.tasks import TaskRow

Imported = tuple[TaskRow | None, list[dict[str, Value]]]


def imported_of(book: Book, lake: Lake, task_ids: Sequence[str]) -> dict[str, Imported]:
    """The newest sealed row and the sealed verdicts of each of these tasks that has any."""
    sealed = segments.listed(book)
    in_files = {
        kind: [segment for segment in sealed if segment.kind == kind] for kind in ("tasks", "verdicts")
    }
    if not any(in_files.values()):
        return {}
    engine = open_engine(threads=1)
    try:
        with translated("Reading the lake"):
            engine.execute("CREATE TEMP TABLE asked (id UUID)")
            with engine.appender("asked") as appender:
                appender.append_rows([(task_id,) for task_id in task_ids])
            found: dict[str, Imported] = {}
            for row in _rows(engine, in_files["tasks"], lake, TASKS, "id"):
                former = found.get(str(row["id"]))
                if former is None or int(str((former[0] or {})["version"])) < int(str(row["version"])):
                    found[str(row["id"])] = (row, [])
            for row in _rows(engine, in_files["verdicts"], lake, VERDICTS, "task_id"):
                found.setdefault(str(row["task_id"]), (None, []))[1].append(row)
            return found
    finally:
        engine.close()


def _rows(
    engine: object, files: Sequence[Segment], lake: Lake, columns: tuple[Column, ...], key: str
) -> list[dict[str, Value]]:
    """The rows of these files that speak of a task asked for, in the book's types."""
    if not files:
        return []
    selected = ", ".join(
        f"CAST({column.name} AS {_BOOK_TYPES.get(column.kind, column.lake_type)})" for column in columns
    )
    query = f"SELECT {selected} FROM {sealed_rows(list(files), lake)} WHERE {key} IN (SELECT id FROM asked)"
    found = engine.execute(query).fetchall()  # type: ignore[attr-defined]
    return [dict(zip((column.name for column in columns), row, strict=True)) for row in found]


_BOOK_TYPES = {"uuid": "VARCHAR", "boolean": "BIGINT"}
