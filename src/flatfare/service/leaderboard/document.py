"""Boards as rows and as one JSON document: the same for the command line and the site.

Money is decimal text, shares are numbers from 0 to 1, and what is not known is null;
a lower bound says so in a field of its own.
"""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence

from flatfare.core.money import decimal_text, estimate_text
from flatfare.core.statistics import Interval
from flatfare.service.leaderboard.ranking import Board, Standing
from flatfare.service.leaderboard.wording import note_on

Field = str | int | float | bool | None

ROW_KEYS = (
    "benchmark",
    "domain",
    "place",
    "rank_from",
    "rank_to",
    "path",
    "tasks",
    "verified",
    "success_rate",
    "success_rate_low",
    "success_rate_high",
    "cost",
    "cost_is_at_least",
    "unknown_cost_tasks",
    "cost_per_attempt",
    "cost_per_verified_outcome",
    "cost_per_verified_outcome_low",
    "cost_per_verified_outcome_high",
    "interval_from",
    "failed_share",
    "calls_per_task",
    "simulation_cost",
    "is_on_frontier",
    "same_as",
    "source",
    "note",
)
"""The columns of a row, in their order. Columns are added at the end."""


def rows_of(board: Board) -> list[dict[str, Field]]:
    """The board's standings as flat rows."""
    return [_row(board, standing) for standing in board.standings]


def document_of(boards: Sequence[Board], as_of: str, handoff_nano: int = 0) -> dict[str, object]:
    """The boards as one JSON document."""
    return {
        "as_of": as_of,
        "currency": "USD",
        "confidence": 0.95,
        "handoff_cost": decimal_text(handoff_nano) if handoff_nano else None,
        "boards": [
            {
                "benchmark": board.benchmark,
                "domain": board.domain or None,
                "domains": list(board.domains) or None,
                "paths": [
                    {key: value for key, value in row.items() if key not in ("benchmark", "domain")}
                    for row in rows_of(board)
                ],
            }
            for board in boards
        ],
    }


def csv_text(rows: Iterable[Mapping[str, Field]], keys: Sequence[str] = ROW_KEYS) -> str:
    """Rows as comma-separated values; text that a spreadsheet would run stands behind an apostrophe.

    >>> print(csv_text([{"path": "=1+1", "n": None}], ("path", "n")), end="")
    path,n
    '=1+1,
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(keys)
    for row in rows:
        writer.writerow([_cell(row.get(key)) for key in keys])
    return buffer.getvalue()


def _cell(value: Field) -> Field:
    if value is None:
        return ""
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return "'" + value
    return value


def _row(board: Board, standing: Standing) -> dict[str, Field]:
    showing = standing.showing
    ratio = standing.ratio
    interval = ratio.interval if ratio else None
    is_told = standing.is_anything_known
    return {
        "benchmark": board.benchmark,
        "domain": board.domain or None,
        "place": str(standing.place),
        "rank_from": standing.rank_from,
        "rank_to": standing.rank_to,
        "path": showing.path,
        "tasks": showing.n,
        "verified": showing.successes,
        "success_rate": _share(standing.success_rate),
        **_limits("success_rate", standing.rate),
        "cost": decimal_text(standing.spend_nano if is_told else None),
        "cost_is_at_least": not showing.is_cost_known,
        "unknown_cost_tasks": showing.unknown_n,
        "cost_per_attempt": decimal_text(standing.cost_per_attempt_nano if is_told else None),
        "cost_per_verified_outcome": decimal_text(standing.cost_per_verified_nano if is_told else None),
        "cost_per_verified_outcome_low": estimate_text(interval.low if interval else None),
        "cost_per_verified_outcome_high": estimate_text(interval.high if interval else None),
        "interval_from": ratio.method if ratio and interval else None,
        "failed_share": _share(standing.failed_share),
        "calls_per_task": _share(showing.calls_per_task),
        "simulation_cost": decimal_text(showing.simulation_nano),
        "is_on_frontier": standing.is_on_frontier,
        "same_as": standing.same_as,
        "source": ", ".join(showing.sources) or None,
        "note": note_on(standing),
    }


def _limits(name: str, interval: Interval | None) -> dict[str, Field]:
    return {
        f"{name}_low": _share(interval.low if interval else None),
        f"{name}_high": _share(interval.high if interval else None),
    }


def _share(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
