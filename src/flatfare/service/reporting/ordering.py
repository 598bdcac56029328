"""Ordering: in which order the rows of a report come, in SQL and among rows already read alike.

Ties are broken by the keys, so that the same books always print the same report.
"""

import difflib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from flatfare.core.errors import BadUsage
from flatfare.core.statistics import MIN_SUCCESSES
from flatfare.service.reporting.figures import Row
from flatfare.service.reporting.keys import PERIODS, TURN

_SPEND = "cost_nano + open_nano + outside_nano + simulation_nano + test_nano"


@dataclass(frozen=True, slots=True)
class _Measure:
    sql: str
    of: Callable[[Row], float | None]
    is_rising: bool = False


def _per(above: str, below: str) -> str:
    return f"CAST({above} AS DOUBLE) / NULLIF({below}, 0)"


_WITH_HANDOFF = "cost_nano + {handoff} * (failed + reversed)"
_IS_COSTED = "(costed_tasks > 0 AND (cost_nano > 0 OR unknown_cost_tasks = 0))"
_PRICED = f"{_IS_COSTED} AND verified >= {MIN_SUCCESSES}"
_COSTED = f"CASE WHEN {_IS_COSTED} THEN cost_nano END"
_MEASURES = {
    "cost": _Measure(_COSTED, lambda row: row.cost_nano),
    "spend": _Measure(_SPEND, lambda row: row.figures.spend_nano),
    "tasks": _Measure("tasks", lambda row: row.n),
    "verified": _Measure("verified", lambda row: row.verified),
    "failed": _Measure("failed", lambda row: row.figures.failed),
    "open": _Measure("open", lambda row: row.figures.open),
    "success_rate": _Measure(_per("verified", "tasks"), lambda row: row.success_rate),
    "cost_per_verified_outcome": _Measure(
        f"CASE WHEN {_PRICED} THEN {_per(_WITH_HANDOFF, 'verified')} END",
        lambda row: row.cost_with_handoff_nano / row.verified if row.is_priced else None,
        is_rising=True,
    ),
    "cost_per_attempt": _Measure(
        _per(_COSTED, "attempts"),
        lambda row: (
            row.figures.cost_nano / row.figures.attempts
            if row.figures.attempts and row.figures.is_costed
            else None
        ),
        is_rising=True,
    ),
    "unverified_spend_share": _Measure(
        _per("cost_nano - success_nano", "cost_nano"), lambda row: row.unverified_share
    ),
    "calls_per_task": _Measure(_per("calls", "called_tasks"), lambda row: row.calls_per_task),
    "unknown_cost_tasks": _Measure("unknown_cost_tasks", lambda row: row.figures.unknown_cost_tasks),
    "cost_p50": _Measure("percentiles[1]", lambda row: row.percentiles.p50_nano),
    "cost_p90": _Measure("percentiles[2]", lambda row: row.percentiles.p90_nano),
    "cost_p99": _Measure("percentiles[3]", lambda row: row.percentiles.p99_nano),
}
NAMES = (*_MEASURES, "key")
"""What rows can be sorted by."""


@dataclass(frozen=True, slots=True)
class Order:
    """The order asked for; without a measure by keys alone."""

    measure: str | None
    is_rising: bool
    handoff_nano: int = 0

    def sql(self, keys: Iterable[str]) -> str:
        """The ORDER BY list over a result's columns."""
        parts = []
        if self.measure is not None:
            formula = _MEASURES[self.measure].sql.replace("{handoff}", str(self.handoff_nano))
            parts.append(f"{formula} {'ASC' if self.is_rising else 'DESC'} NULLS LAST")
        direction = "ASC" if self.measure is not None or self.is_rising else "DESC"
        return ", ".join([*parts, *(f"{key} {direction} NULLS LAST" for key in keys)]) or "1"


def order(sort: str | None, by: tuple[str, ...], handoff_nano: int = 0) -> Order:
    """The order of that name; a minus in front turns it round.

    Without a name: by the keys where time or turns lead, else what was spent most on first.
    """
    if sort is None:
        leads = bool(by) and by[0] in (*PERIODS, TURN)
        return Order(None, True) if leads else Order("spend", False)
    name = sort.strip().removeprefix("-").replace("-", "_")
    turned = sort.strip().startswith("-")
    if name == "key":
        return Order(None, not turned)
    if name not in _MEASURES:
        near = difflib.get_close_matches(name, NAMES, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise BadUsage(f"There is no order {sort!r}.{hint} Rows can be sorted by: {', '.join(NAMES)}.")
    return Order(name, _MEASURES[name].is_rising != turned, handoff_nano)


def sorted_rows(rows: Iterable[Row], order: Order) -> list[Row]:
    """The rows in that order, as SQL would have it."""
    by_keys = sorted(
        rows,
        key=lambda row: tuple(_text_last(key) for key in row.keys),
        reverse=order.measure is None and not order.is_rising,
    )
    if order.measure is None:
        return by_keys
    of = _MEASURES[order.measure].of
    known = [row for row in by_keys if of(row) is not None]
    return sorted(known, key=lambda row: of(row) or 0, reverse=not order.is_rising) + [
        row for row in by_keys if of(row) is None
    ]


def _text_last(key: str | None) -> tuple[bool, str]:
    return key is None, key or ""
