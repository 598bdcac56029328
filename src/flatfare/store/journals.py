"""How far the journals are booked, which calls are still open, and what could not be read.

All of it changes in the transaction that writes the rows, so that a record is booked
exactly once whatever dies when.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from flatfare.store import segments
from flatfare.store.adjustments import present_calls
from flatfare.store.book import Book, Row, Value
from flatfare.store.engine import open_engine, translated
from flatfare.store.lake import Lake
from flatfare.store.layout import CALLS, names

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_SPREAD_US = 7 * 86_400_000_000  # a call's id and its row are of nearly one moment
_IDS_MAX = 500


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


def present(book: Book, lake: Lake, near_us: Mapping[str, int | None]) -> dict[str, dict[str, Value]]:
    """The newest revision of each call that there is, hot or sealed, by its id.

    ``near_us`` says of each about when it was made: only files of those times are read.
    """
    found = present_hot(book, list(near_us))
    missing = [call_id for call_id in near_us if call_id not in found]
    sealed = _near(book, [near_us[call_id] for call_id in missing]) if missing else []
    if sealed:
        engine = open_engine()
        try:
            with translated("Reading the lake"):
                found |= _present_sealed(engine, lake, sealed, missing)
        finally:
            engine.close()
    return found


def _near(book: Book, moments: list[int | None]) -> list[segments.Segment]:
    """The sealed files that may hold calls of these moments; all of them where one is not known."""
    known = [moment for moment in moments if moment is not None]
    if len(known) < len(moments):
        return segments.listed(book, "calls")
    return segments.touching(book, "calls", [(min(known) - _SPREAD_US, max(known) + _SPREAD_US)])


def present_hot(book: Book, call_ids: list[str]) -> dict[str, dict[str, Value]]:
    """The same of those that are hot alone: a correction of a sealed call is."""
    found: dict[str, dict[str, Value]] = {}
    for start in range(0, len(call_ids), _IDS_MAX):
        some = call_ids[start : start + _IDS_MAX]
        rows = book.rows(
            f"SELECT {names(CALLS)} FROM calls WHERE id IN ({', '.join('?' * len(some))}) AND n = 1 "
            "ORDER BY revision",
            some,
        )
        for row in rows:  # the newest revision of each comes last
            call = dict(zip((column.name for column in CALLS), row, strict=True))
            found[str(call["id"])] = call
    return found


def _present_sealed(
    engine: "DuckDBPyConnection", lake: Lake, sealed: list[segments.Segment], call_ids: list[str]
) -> dict[str, dict[str, Value]]:
    engine.execute(
        f"CREATE TEMP VIEW calls AS SELECT {names(CALLS)} FROM {segments.sealed_rows(sealed, lake)}"
    )
    found: dict[str, dict[str, Value]] = {}
    for start in range(0, len(call_ids), _IDS_MAX):
        some = call_ids[start : start + _IDS_MAX]
        for call in present_calls(engine, f"id IN ({', '.join('?' * len(some))})", list(some)):
            found[str(call["id"])] = call
    return found
