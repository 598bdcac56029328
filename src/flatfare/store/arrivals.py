"""Calls in the order in which they were booked, for whoever watches them come.

What comes is looked for among hot calls alone: one that is booked so late that it is sealed before
anybody looks is no news any more, and reports have it. No number is given twice, so that nothing is
passed over after a sealing.
"""

from dataclasses import dataclass

from flatfare.core.units import INPUT_TOKENS
from flatfare.store import whereabouts
from flatfare.store.book import Book
from flatfare.store.lake import Lake
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
    "cost_basis",
    "price_version",
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


def past(book: Book, lake: Lake, limit: int) -> Arrivals:
    """The last calls that were made, sealed ones too, and where to look on from: one may be both."""
    cursor = newest(book)
    columns = (*_COLUMNS, *TOKEN_COLUMNS)
    where = "revision = 0 AND n = 1 AND source = 'gateway'"
    found, _ = whereabouts.latest(book, lake, ", ".join(columns), where, (), limit)
    rows = []
    for values in reversed(found):
        named = dict(zip(columns, values, strict=True))
        tokens = {unit: int(named.pop(unit) or 0) for unit in TOKEN_COLUMNS}
        counts = (("input_tokens", _INPUT), ("output_tokens", _OUTPUT))
        rows.append({**named, **{name: sum(tokens[unit] for unit in units) for name, units in counts}})
    return Arrivals(rows, cursor)  # type: ignore[arg-type]


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
