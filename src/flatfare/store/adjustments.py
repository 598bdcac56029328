"""Adjustments: corrections of calls that may be sealed, each written beside them and never over them.

A correction appends two rows, the former revision taken back and the new one, and a
record of who changed what and why. The pair (call, revision) is unique, so two
corrections of the same revision cannot both stand.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flatfare.core.errors import Conflict
from flatfare.core.identity import derived
from flatfare.store import budgets, calls
from flatfare.store.book import Book, Value
from flatfare.store.home import KeyTaken
from flatfare.store.layout import CALLS, names

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


@dataclass(frozen=True, slots=True)
class Correction:
    """What becomes of one call: its present row, and the columns that change."""

    call: Mapping[str, Value]
    change: Mapping[str, Value]

    @property
    def is_needed(self) -> bool:
        """Something would differ."""
        return any(self.call.get(name) != value for name, value in self.change.items())


def present_calls(
    engine: "DuckDBPyConnection", where: str, parameters: list[Value]
) -> list[dict[str, Value]]:
    """The calls of the view ``calls`` that meet a condition, each as its newest revision says it."""
    text = {column.name for column in CALLS if column.kind == "uuid"}
    selected = ", ".join(
        f"CAST({column.name} AS VARCHAR) AS {column.name}" if column.name in text else column.name
        for column in CALLS
    )
    rows = engine.execute(
        f"SELECT {selected} FROM (SELECT {names(CALLS)} FROM calls WHERE n = 1 "
        f"QUALIFY ROW_NUMBER() OVER (PARTITION BY id ORDER BY revision DESC) = 1) "
        f"WHERE {where} ORDER BY at_us, id",
        parameters,
    ).fetchall()
    keys = [column.name for column in CALLS]
    return [dict(zip(keys, row, strict=True)) for row in rows]


def write(
    book: Book, corrections: Iterable[Correction], *, kind: str, reason: str, by_whom: str, at_us: int
) -> int:
    """Write the corrections that change something, in the transaction that is open; returns how many.

    Raises ``Conflict`` where another correction of the same revision came first.
    """
    needed = [correction for correction in corrections if correction.is_needed]
    rows: list[dict[str, Value]] = []
    records: list[tuple[Value, ...]] = []
    for correction in needed:
        revision = int(str(correction.call["revision"])) + 1
        rows.append(calls.taken_back(correction.call, revision))
        rows.append({**correction.call, **correction.change, "n": 1, "revision": revision})
        call_id = str(correction.call["id"])
        change = json.dumps(dict(correction.change), sort_keys=True)
        record_id = str(derived("adjustment", call_id, str(revision)))
        records.append((record_id, call_id, revision, kind, change, reason, by_whom, at_us))
    try:
        book.execute_many(
            "INSERT INTO adjustments (id, call_id, revision, kind, change, reason, by_whom, at_us) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            records,
        )
    except KeyTaken as problem:
        raise Conflict(
            "Another correction of the same calls came first. Nothing was changed; run yours again."
        ) from problem
    calls.insert(book, rows)
    budgets.resolve_charges(book, _new_costs(needed))
    return len(needed)


def _new_costs(corrections: Iterable[Correction]) -> Iterator[tuple[str, int, bool]]:
    """What calls turned out to cost, for the budgets that were charged something else; whether for good."""
    for correction in corrections:
        cost_nano = correction.change.get("cost_nano")
        if isinstance(cost_nano, int):
            call = {**correction.call, **correction.change}
            yield str(call["id"]), cost_nano, not calls.may_be_told(call)
