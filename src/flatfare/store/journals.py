"""How far the journals are booked, which calls are still open, and what could not be read.

All of it changes in the transaction that writes the rows, so that a record is booked
exactly once whatever dies when.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from flatfare.store import reading, segments
from flatfare.store.adjustments import present_calls
from flatfare.store.book import Book, Row, Value
from flatfare.store.engine import open_engine, translated
from flatfare.store.lake import Lake
from flatfare.store.layout import CALLS, names

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_SPREAD_US = 7 * 86_400_000_000  # a call's id and its row are of nearly one moment


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


def present(book: Book, lake: Lake, call_id: str, near_us: int | None) -> dict[str, Value] | None:
    """The newest revision of a call, hot or sealed; None if there is no such call.

    ``near_us`` is about when it was made: only files of that time are read.
    """
    hot = book.rows(
        f"SELECT {names(CALLS)} FROM calls WHERE id = ? AND n = 1 ORDER BY revision DESC LIMIT 1", (call_id,)
    )
    if hot:
        return dict(zip((column.name for column in CALLS), hot[0], strict=True))
    sealed = [
        segment
        for segment in segments.listed(book, "calls")
        if near_us is None
        or (
            (segment.first_at_us or 0) - _SPREAD_US <= near_us <= (segment.last_at_us or near_us) + _SPREAD_US
        )
    ]
    if not sealed:
        return None
    engine = open_engine()
    try:
        with translated("Reading the lake"):
            return _present_sealed(engine, lake, sealed, call_id)
    finally:
        engine.close()


def _present_sealed(
    engine: "DuckDBPyConnection", lake: Lake, sealed: list[segments.Segment], call_id: str
) -> dict[str, Value] | None:
    engine.execute(
        f"CREATE TEMP VIEW calls AS SELECT {names(CALLS)} FROM {reading.sealed_rows(sealed, lake)}"
    )
    found = present_calls(engine, "id = ?", [call_id])
    return found[0] if found else None
