"""Calls as their newest revision says them, hot or sealed: by their ids, or by the answers they are about.

Of the lake only the files of those times are read in which a call may lie.
"""

from collections.abc import Collection, Mapping

from flatfare.core.moments import DAY_US
from flatfare.store import segments
from flatfare.store.adjustments import present_calls
from flatfare.store.book import Book, Value
from flatfare.store.calls import OF_KEPT_ANSWERS
from flatfare.store.engine import open_engine, translated
from flatfare.store.lake import Lake
from flatfare.store.layout import CALLS, names
from flatfare.store.segments import Segment

Call = Mapping[str, Value]
"""A call by column name."""

Answer = tuple[str, str]
"""A provider, and its own id of an answer."""

_SPREAD_US = 7 * DAY_US  # a call's id and its row are of nearly one moment
_EVER_US = 2**63 - 1
_IDS_MAX = 500


def present(book: Book, lake: Lake, near_us: Mapping[str, int | None]) -> dict[str, Call]:
    """Those of the calls that there are, hot or sealed; about when each was made, if that is known."""
    found = hot(book, near_us.keys())
    return found | sealed(book, lake, {one: us for one, us in near_us.items() if one not in found})


def hot(book: Book, call_ids: Collection[str]) -> dict[str, Call]:
    """Those of the calls that are in the book."""
    return _in_book(book, "id", list(call_ids), "n = 1")


def hot_of(book: Book, answers: Collection[Answer]) -> dict[str, Call]:
    """The calls in the book that began these answers or fetched them, by their ids."""
    external_ids = list({external_id for _, external_id in answers})
    found = _in_book(book, "external_id", external_ids, f"{OF_KEPT_ANSWERS} AND n = 1")
    return {call_id: call for call_id, call in found.items() if answer_of(call) in answers}


def answer_of(call: Call) -> Answer:
    """Which answer a call is about."""
    return str(call["provider"]), str(call["external_id"])


def _in_book(book: Book, column: str, values: list[str], where: str) -> dict[str, Call]:
    found: dict[str, Call] = {}
    for start in range(0, len(values), _IDS_MAX):
        some = values[start : start + _IDS_MAX]
        rows = book.rows(
            f"SELECT {names(CALLS)} FROM calls WHERE {column} IN ({', '.join('?' * len(some))}) "
            f"AND {where} ORDER BY revision",
            some,
        )
        for row in rows:  # the newest revision of each comes last
            call = dict(zip((column.name for column in CALLS), row, strict=True))
            found[str(call["id"])] = call
    return found


def sealed(book: Book, lake: Lake, near_us: Mapping[str, int | None]) -> dict[str, Call]:
    """Those of the calls that are in the lake; about when each was made, if that is known."""
    moments = [moment for moment in near_us.values() if moment is not None]
    span = (0, _EVER_US)
    if moments and len(moments) == len(near_us):
        span = (min(moments) - _SPREAD_US, max(moments) + _SPREAD_US)
    files = segments.touching(book, "calls", [span]) if near_us else []
    return _in_lake(lake, files, near_us.keys(), "id IN (SELECT TRY_CAST(id AS UUID) FROM wanted)")


def sealed_of(book: Book, lake: Lake, since_us: Mapping[Answer, int]) -> dict[str, Call]:
    """The calls in the lake that began these answers or fetched them, none from before its answer."""
    first_us = min(since_us.values(), default=0)
    files = segments.touching(book, "calls", [(first_us, _EVER_US)]) if since_us else []
    where = f"{OF_KEPT_ANSWERS} AND at_us >= {first_us} AND external_id IN (SELECT id FROM wanted)"
    found = _in_lake(lake, files, {external_id for _, external_id in since_us}, where)
    return {call_id: call for call_id, call in found.items() if answer_of(call) in since_us}


def _in_lake(lake: Lake, files: list[Segment], wanted: Collection[str], where: str) -> dict[str, Call]:
    """The calls of sealed files that meet a condition, which may name the table ``wanted``."""
    if not files:
        return {}
    engine = open_engine()
    try:
        with translated("Reading the lake"):
            engine.execute("CREATE TEMP TABLE wanted AS SELECT UNNEST(?) AS id", [sorted(wanted)])
            rows = segments.sealed_rows(files, lake)
            engine.execute(f"CREATE TEMP VIEW calls AS SELECT {names(CALLS)} FROM {rows} WHERE {where}")
            found = present_calls(engine, "TRUE", [])
    finally:
        engine.close()
    return {str(call["id"]): call for call in found}
