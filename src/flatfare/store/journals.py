"""How far the journals are booked, which calls are still open, what was told early, what could not be read.

All of it changes in the transaction that writes the rows, so that a record is booked
exactly once whatever dies when.
"""

import json
from collections.abc import Iterable, Mapping

from flatfare.store.book import Book, Row, Value


def positions(book: Book, node: str | None = None) -> dict[str, tuple[int, int]]:
    """For each worker, of a node or of all, the file and the offset up to which it is booked."""
    rows = book.rows(
        "SELECT worker_id, file_number, file_offset FROM journal_positions "
        "WHERE (CAST(? AS TEXT) IS NULL OR node = ?)",
        (node, node),
    )
    return {str(worker_id): (int(str(number)), int(str(offset))) for worker_id, number, offset in rows}


def set_position(book: Book, worker_id: str, number: int, offset: int, node: str = "") -> None:
    """Say how far a worker of a node is booked, in the transaction of its rows."""
    book.execute(
        "INSERT INTO journal_positions (worker_id, file_number, file_offset, node) VALUES (?, ?, ?, ?) "
        "ON CONFLICT (worker_id) DO UPDATE SET file_number = excluded.file_number, "
        "file_offset = excluded.file_offset",
        (worker_id, number, offset, node),
    )


def forget_position(book: Book, worker_id: str) -> None:
    """A worker whose folder is gone."""
    book.execute("DELETE FROM journal_positions WHERE worker_id = ?", (worker_id,))


def open_calls(book: Book, node: str | None = None) -> list[Row]:
    """The calls, of a node or of all, that were sent and have no result yet: call id, worker, intent."""
    return book.rows(
        "SELECT call_id, worker_id, intent FROM open_calls WHERE (CAST(? AS TEXT) IS NULL OR node = ?)",
        (node, node),
    )


def is_open(book: Book, call_id: str) -> bool:
    """Whether a call was sent, and has not ended."""
    return book.value("SELECT 1 FROM open_calls WHERE call_id = ?", (call_id,)) is not None


def add_open_calls(book: Book, rows: Iterable[tuple[str, str, str]], node: str = "") -> None:
    """Calls that a node sent, or that have used more since: call id, worker, intent."""
    book.execute_many(
        "INSERT INTO open_calls (call_id, worker_id, intent, node) VALUES (?, ?, ?, ?) "
        "ON CONFLICT (call_id) DO UPDATE SET intent = excluded.intent",
        ((*row, node) for row in rows),
    )


def remove_open_calls(book: Book, call_ids: Iterable[str]) -> None:
    """Calls that have ended."""
    book.execute_many("DELETE FROM open_calls WHERE call_id = ?", ((call_id,) for call_id in call_ids))


def add_notes(book: Book, rows: Iterable[tuple[str, str, int, int, int, str, str, int]]) -> None:
    """What could not be read: id, worker, file, offset, bytes, kind, sentence, moment."""
    book.execute_many(
        "INSERT INTO journal_notes (id, worker_id, file_number, file_offset, bytes, kind, said, at_us) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        rows,
    )


def told_calls(book: Book) -> dict[str, dict[str, Value]]:
    """What was told of calls that are not booked yet: the columns that change, by the call's id."""
    rows = book.rows("SELECT call_id, change FROM told_calls")
    return {str(call_id): json.loads(str(change)) for call_id, change in rows}


def keep_told(book: Book, call_id: str, change: Mapping[str, Value]) -> None:
    """What was told of a call that another journal, or another node's, has yet to bring."""
    book.execute(
        "INSERT INTO told_calls (call_id, change) VALUES (?, ?) "
        "ON CONFLICT (call_id) DO UPDATE SET change = excluded.change",
        (call_id, json.dumps(dict(change), sort_keys=True)),
    )


def remove_told(book: Book, call_id: str) -> None:
    """The call is booked, and was told."""
    book.execute("DELETE FROM told_calls WHERE call_id = ?", (call_id,))
