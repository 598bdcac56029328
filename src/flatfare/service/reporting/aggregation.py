"""Aggregation: facts summed to the figures of groups, in one pass over them.

The columns follow the fields of ``Figures``; a test holds them to that.
"""

from flatfare.service.reporting.facts import ASSUMED, FAILED, OPEN, REVERSED, VERIFIED

MATURED = f"state > {OPEN}"
_FAILURE = f"state IN ({FAILED}, {REVERSED})"
_INFERENCE = "COALESCE(work, 0) + COALESCE(judged, 0)"
_TOKENS = "tokens_in + tokens_out"

COSTED = f"""SELECT *,
    CASE WHEN work IS NULL AND judged IS NULL AND rework IS NULL AND fixed = 0 THEN NULL
         ELSE {_INFERENCE} + COALESCE(rework, 0) + fixed END AS cost,
    (work_lacks OR judged_lacks OR rework_lacks) AS lacks"""
"""The select list that puts a fact's parts together: its cost, and whether it lacks any."""

_PRICED = f"{MATURED} AND NOT work_lacks AND NOT judged_lacks AND {_TOKENS} > 0"


def _sum(sql: str, where: str = MATURED) -> str:
    return f"SUM({sql}) FILTER (WHERE {where})"


def _count(where: str) -> str:
    return f"COUNT(*) FILTER (WHERE {where})"


def _squared(state: str) -> str:
    return _sum("CAST(cost AS HUGEINT) * cost", state)


FIGURES = {
    "tasks": _count(MATURED),
    "verified": _count(f"state = {VERIFIED}"),
    "failed": _count(f"state = {FAILED}"),
    "assumed": _count(f"state = {ASSUMED}"),
    "reversed": _count(f"state = {REVERSED}"),
    "open": _count(f"state = {OPEN}"),
    "attempts": _sum("tries"),
    "cost_nano": _sum("cost"),
    "success_nano": _sum("cost", f"state = {VERIFIED}"),
    "success_squared": _squared(f"state = {VERIFIED}"),
    "failure_nano": _sum("cost", _FAILURE),
    "failure_squared": _squared(_FAILURE),
    "assumed_nano": _sum("cost", f"state = {ASSUMED}"),
    "assumed_squared": _squared(f"state = {ASSUMED}"),
    "costed_tasks": _count(f"{MATURED} AND cost IS NOT NULL"),
    "unknown_cost_tasks": _count(f"{MATURED} AND lacks"),
    "unknown_cost_calls": _sum(
        "CASE WHEN work_lacks THEN work_unknown_n ELSE 0 END "
        "+ CASE WHEN judged_lacks THEN judged_unknown_n ELSE 0 END"
    ),
    "verification_nano": _sum("judged"),
    "unknown_verification_tasks": _count(f"{MATURED} AND judged_lacks"),
    "rework_nano": _sum("rework"),
    "unknown_rework_tasks": _count(f"{MATURED} AND rework_lacks"),
    "fixed_nano": _sum("fixed"),
    "open_nano": _sum("cost", f"state = {OPEN}"),
    "unknown_open_tasks": _count(f"state = {OPEN} AND lacks"),
    "outside_nano": "SUM(outside)",
    "outside_calls": "SUM(outside_n)",
    "unknown_outside_calls": "SUM(outside_unknown_n)",
    "simulation_nano": "SUM(simulation)",
    "unknown_simulation_calls": "SUM(simulation_unknown_n)",
    "test_nano": "SUM(test)",
    "unknown_test_calls": "SUM(test_unknown_n)",
    "calls": _sum("calls"),
    "called_tasks": _count(f"{MATURED} AND calls IS NOT NULL"),
    "input_tokens": _sum("tokens_in"),
    "output_tokens": _sum("tokens_out"),
    "token_cost_nano": _sum(_INFERENCE, _PRICED),
    "priced_tokens": _sum(_TOKENS, _PRICED),
    "computed_nano": _sum("computed"),
    "computed_calls": _sum("computed_n"),
    "reported_nano": _sum("reported"),
    "reported_calls": _sum("reported_n"),
}
"""The figures of a group as SQL over its facts."""

PERCENTILES = f"quantile_disc(cost, [0.5, 0.9, 0.99]) FILTER (WHERE {MATURED} AND NOT lacks)"
"""Cost per task at three ranks, over matured tasks whose cost is wholly known."""

OUTSIDE = ("outside", "outside_n", "outside_unknown_n")
"""Columns of the rows that stand for calls outside tasks."""
