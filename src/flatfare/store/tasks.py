"""Tasks that were told of: the log of what was told, and the rows that it adds up to.

The log is append-only and known by its ids. A task's row, its attempts, rework and signals
are written anew from it whenever something new was told; verdicts are appended to the
task's chain and never change.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from flatfare.core.chain import GENESIS, link
from flatfare.store.book import Book, Row, Value
from flatfare.store.layout import TASKS, VERDICT_SAYS, VERDICTS, names

_TOGETHER = 500
"""How many ids one statement names: both databases take that many parameters."""

_KEPT = ("id", "version", "settlement")
"""Columns that no telling changes: a task's money is moved by sales alone."""

TaskRow = Mapping[str, Value]
"""A task as its columns say it, by their names."""


@dataclass(frozen=True, slots=True)
class Told:
    """One event of the log."""

    id: str
    task_id: str
    kind: str
    at_us: int
    content: str  # canonical JSON
    source: str
    by_whom: str
    recorded_at_us: int


def known(book: Book, ids: Sequence[str]) -> dict[str, tuple[str, str, str]]:
    """Task, kind and content of each event that was told before."""
    return {
        str(one): (str(task), str(kind), str(content))
        for one, task, kind, content in _rows(book, "id, task_id, kind, content FROM task_events", "id", ids)
    }


def insert_events(book: Book, told: Iterable[Told]) -> None:
    """Append to the log."""
    book.execute_many(
        "INSERT INTO task_events (id, task_id, kind, at_us, content, source, by_whom, recorded_at_us) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        ((e.id, e.task_id, e.kind, e.at_us, e.content, e.source, e.by_whom, e.recorded_at_us) for e in told),
    )


def events_of(book: Book, task_ids: Sequence[str]) -> dict[str, list[Told]]:
    """What was told of each task, the oldest moment first."""
    found: dict[str, list[Told]] = {}
    columns = "id, task_id, kind, at_us, content, source, by_whom, recorded_at_us FROM task_events"
    for one, task, kind, at_us, content, source, by_whom, recorded in _rows(
        book, columns, "task_id", task_ids
    ):
        told = Told(
            str(one),
            str(task),
            str(kind),
            int(str(at_us)),
            str(content),
            str(source),
            str(by_whom),
            int(str(recorded)),
        )
        found.setdefault(told.task_id, []).append(told)
    for events in found.values():
        events.sort(key=lambda event: (event.at_us, event.id))
    return found


def rows_of(book: Book, task_ids: Sequence[str]) -> dict[str, TaskRow]:
    """The rows of tasks in the book, by their ids."""
    columns = [column.name for column in TASKS]
    found = _rows(book, f"{names(TASKS)} FROM tasks", "id", task_ids)
    return {str(row[0]): dict(zip(columns, row, strict=True)) for row in found}


def verdicts_of(book: Book, task_ids: Sequence[str]) -> dict[str, list[dict[str, Value]]]:
    """The verdicts on each task that are in the book, in the order of their chain."""
    columns = [column.name for column in VERDICTS]
    found: dict[str, list[dict[str, Value]]] = {}
    for row in _rows(book, f"{names(VERDICTS)} FROM verdicts", "task_id", task_ids):
        said = dict(zip(columns, row, strict=True))
        found.setdefault(str(said["task_id"]), []).append(said)
    for verdicts in found.values():
        verdicts.sort(key=lambda said: int(str(said["position"])))
    return found


def is_sealed(book: Book, task_id: str) -> bool:
    """Whether a task, or a verdict that was told of it, lies in the lake."""
    rows = book.rows(
        "SELECT COUNT(*), COALESCE(SUM(CASE WHEN kind IN ('judged', 'signalled') THEN 1 ELSE 0 END), 0), "
        "(SELECT COUNT(*) FROM tasks WHERE id = ?), (SELECT COUNT(*) FROM verdicts WHERE task_id = ?) "
        "FROM task_events WHERE task_id = ?",
        (task_id, task_id, task_id),
    )
    events, spoken, hot, verdicts = (int(value or 0) for value in rows[0])
    return bool(events) and (not hot or verdicts < spoken)


def chained(verdict: Mapping[str, Value], after: Mapping[str, Value] | None) -> dict[str, Value]:
    """The verdict set behind the last one of its task's chain."""
    previous = GENESIS if after is None else str(after["hash"])
    says = ("" if verdict.get(name) is None else str(verdict[name]) for name in VERDICT_SAYS)
    return {
        **verdict,
        "position": 0 if after is None else int(str(after["position"])) + 1,
        "previous_hash": previous,
        "hash": link(previous, *says),
    }


def insert_verdicts(book: Book, verdicts: Iterable[Mapping[str, Value]]) -> None:
    """Append verdicts, each with its place in its chain."""
    columns = [column.name for column in VERDICTS]
    book.execute_many(
        f"INSERT INTO verdicts ({names(VERDICTS)}, written) "
        f"VALUES ({', '.join('?' * len(columns))}, {book.number_of_write()})",
        ([verdict.get(name) for name in columns] for verdict in verdicts),
    )


def write_rows(book: Book, rows: Sequence[TaskRow]) -> None:
    """Write the tasks over what was known of them."""
    columns = [column.name for column in TASKS]
    renewed = ", ".join(f"{name} = excluded.{name}" for name in columns if name not in _KEPT)
    book.execute_many(
        f"INSERT INTO tasks ({names(TASKS)}, written) "
        f"VALUES ({', '.join('?' * len(columns))}, {book.number_of_write()}) "
        f"ON CONFLICT (id) DO UPDATE SET version = tasks.version + 1, written = excluded.written, {renewed}",
        ([row[name] for name in columns] for row in rows),
    )


def write_attempts(book: Book, task_ids: Sequence[str], rows: Iterable[Sequence[Value]]) -> None:
    """The attempts of these tasks: id, task, number, path, rung, status, started, ended."""
    _forget(book, "attempts", task_ids)
    book.execute_many(
        "INSERT INTO attempts (id, task_id, number, path, rung, status, started_at_us, ended_at_us) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        rows,
    )


def write_rework(book: Book, task_ids: Sequence[str], rows: Iterable[Sequence[Value]]) -> None:
    """The rework on these tasks: id, task, moment, thousandths of minutes, rate, cost, by whom."""
    _forget(book, "rework", task_ids)
    book.execute_many(
        "INSERT INTO rework (id, task_id, at_us, minutes_milli, rate_nano_per_hour, cost_nano, by_whom) "
        "VALUES (?, ?, ?, ?, ?, ?, ?)",
        rows,
    )


def insert_signals(book: Book, rows: Iterable[Sequence[Value]]) -> None:
    """Signals: id, task, moment, name, value, source."""
    book.execute_many(
        "INSERT INTO signals (id, task_id, at_us, name, value, source) VALUES (?, ?, ?, ?, ?, ?)", rows
    )


def due(book: Book, now_us: int, limit: int) -> list[str]:
    """Open tasks whose window has closed; an open one is never sealed."""
    rows = book.rows(
        "SELECT id FROM tasks WHERE outcome = 'open' AND matures_at_us <= ? ORDER BY matures_at_us LIMIT ?",
        (now_us, limit),
    )
    return [str(one) for (one,) in rows]


def set_settlement(book: Book, task_id: str, settlement: str) -> None:
    """Say what money moved for a task, in the transaction that moves it."""
    book.execute(
        "UPDATE tasks SET settlement = ?, version = version + 1, "
        f"written = {book.number_of_write()} WHERE id = ?",
        (settlement, task_id),
    )


def _forget(book: Book, table: str, task_ids: Sequence[str]) -> None:
    for part in parts(task_ids):
        book.execute(f"DELETE FROM {table} WHERE task_id IN ({', '.join('?' * len(part))})", part)


def _rows(book: Book, columns: str, key: str, ids: Sequence[str]) -> Iterable[Row]:
    for part in parts(ids):
        yield from book.rows(f"SELECT {columns} WHERE {key} IN ({', '.join('?' * len(part))})", part)


def parts(ids: Sequence[str]) -> Iterable[Sequence[str]]:
    """These ids, each once, as many at a time as one statement names."""
    distinct = list(dict.fromkeys(ids))
    for start in range(0, len(distinct), _TOGETHER):
        yield distinct[start : start + _TOGETHER]
