"""Calls in the order in which they were booked, for whoever watches them come.

Only hot ones: what is booked so late that it is sealed before anybody looks is no news any more,
and reports have it. No number is given twice, so that nothing is passed over after a sealing.
"""

from dataclasses import dataclass

from flatfare.core.units import INPUT_TOKENS
from flatfare.store.book import Book
from flatfare.store.layout import TOKEN_COLUMNS

_COLUMNS = (
    "id",
    "at_us",
    "status",
    "http_status",
    "provider",
    "model",
    "model_asked",
    "endpoint",
    "is_stream",
    "cost_nano",
    "cost_state",
    "cost_reason",
    "duration_ms",
    "labels",
    "key_id",
)
_INPUT = tuple(unit for unit in TOKEN_COLUMNS if unit in INPUT_TOKENS)
_OUTPUT = tuple(unit for unit in TOKEN_COLUMNS if unit not in INPUT_TOKENS)


@dataclass(frozen=True, slots=True)
class Arrivals:
    """What came since the last look, the oldest first, and where to look on from."""

    rows: list[dict[str, str | int | None]]
    cursor: int


def newest(book: Book) -> int:
    """Where to look on from so that only what is booked from now on comes."""
    return int(book.value("SELECT COALESCE(MAX(rowid), 0) FROM calls") or 0)


def since(book: Book, cursor: int, limit: int) -> Arrivals:
    """Calls booked since, at most so many; corrections of former calls are left out."""
    found = book.rows(
        f"SELECT rowid, {_sum(_INPUT)}, {_sum(_OUTPUT)}, {', '.join(_COLUMNS)} "
        "FROM calls WHERE rowid > ? AND revision = 0 AND n = 1 AND source = 'gateway' ORDER BY rowid LIMIT ?",
        (cursor, limit),
    )
    rows = []
    for position, tokens_in, tokens_out, *values in found:
        named = dict(zip(_COLUMNS, values, strict=True))
        rows.append({**named, "input_tokens": tokens_in, "output_tokens": tokens_out})
        cursor = max(cursor, int(position or 0))
    return Arrivals(rows, cursor)  # type: ignore[arg-type]


def _sum(columns: tuple[str, ...]) -> str:
    """The columns' sum; one that is null, since the call used none of it, counts nothing."""
    return " + ".join(f"COALESCE({column}, 0)" for column in columns)
