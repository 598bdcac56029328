"""Aggregation: facts summed to the figures of groups, and ranked.

First facts that stand alike (same group, state and gaps) are summed plainly, which is
what costs time; then these few sums are put where they belong. The columns of
``FIGURES`` are the fields of ``Figures``; a test holds them to that.
"""

from typing import TYPE_CHECKING

from flatfare.service.reporting.facts import ASSUMED, FAILED, OPEN, REVERSED, VERIFIED

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MATURED = f"state > {OPEN}"

COSTED = """SELECT *,
    CASE WHEN work IS NULL AND judged IS NULL AND rework IS NULL AND COALESCE(fixed, 0) = 0 THEN NULL
         ELSE COALESCE(work, 0) + COALESCE(judged, 0) + COALESCE(rework, 0) + COALESCE(fixed, 0) END AS cost,
    COALESCE(tokens_in + tokens_out > 0, FALSE) AS is_sized"""
"""The select list that puts a fact's parts together: its cost, and whether its tokens are known."""

ALIKE = ("state", "work_lacks", "judged_lacks", "rework_lacks", "is_sized")
"""Beside the keys, what facts must have in common to be summed plainly."""

_SUMMED = (
    *("cost", "work", "judged", "rework", "fixed", "work_unknown_n", "judged_unknown_n"),
    *("simulation", "simulation_unknown_n", "test", "test_unknown_n", "calls", "tokens_in", "tokens_out"),
    *("computed", "computed_n", "reported", "reported_n", "tries"),
    *("outside", "outside_n", "outside_unknown_n"),
)
PLAIN = {
    "facts": "COUNT(*)",
    "costed": "COUNT(cost)",
    "called": "COUNT(calls)",
    "squared": "SUM(CAST(cost AS HUGEINT) * cost)",
    **{name: f"SUM({name})" for name in _SUMMED},
}
"""The plain sums."""

_FAILURE = f"state IN ({FAILED}, {REVERSED})"
_LACKING = "(work_lacks OR judged_lacks OR rework_lacks)"
_PRICED = f"{MATURED} AND NOT work_lacks AND NOT judged_lacks AND is_sized"


def _of(column: str, where: str = MATURED) -> str:
    return f"SUM({column}) FILTER (WHERE {where})"


FIGURES = {
    "tasks": _of("facts"),
    "verified": _of("facts", f"state = {VERIFIED}"),
    "failed": _of("facts", f"state = {FAILED}"),
    "assumed": _of("facts", f"state = {ASSUMED}"),
    "reversed": _of("facts", f"state = {REVERSED}"),
    "open": _of("facts", f"state = {OPEN}"),
    "attempts": _of("tries"),
    "cost_nano": _of("cost"),
    "success_nano": _of("cost", f"state = {VERIFIED}"),
    "success_squared": _of("squared", f"state = {VERIFIED}"),
    "failure_nano": _of("cost", _FAILURE),
    "failure_squared": _of("squared", _FAILURE),
    "assumed_nano": _of("cost", f"state = {ASSUMED}"),
    "assumed_squared": _of("squared", f"state = {ASSUMED}"),
    "costed_tasks": _of("costed"),
    "unknown_cost_tasks": _of("facts", f"{MATURED} AND {_LACKING}"),
    "unknown_cost_calls": (
        f"COALESCE({_of('work_unknown_n', f'{MATURED} AND work_lacks')}, 0) "
        f"+ COALESCE({_of('judged_unknown_n', f'{MATURED} AND judged_lacks')}, 0)"
    ),
    "verification_nano": _of("judged"),
    "unknown_verification_tasks": _of("facts", f"{MATURED} AND judged_lacks"),
    "rework_nano": _of("rework"),
    "unknown_rework_tasks": _of("facts", f"{MATURED} AND rework_lacks"),
    "fixed_nano": _of("fixed"),
    "open_nano": _of("cost", f"state = {OPEN}"),
    "unknown_open_tasks": _of("facts", f"state = {OPEN} AND {_LACKING}"),
    "outside_nano": "SUM(outside)",
    "outside_calls": "SUM(outside_n)",
    "unknown_outside_calls": "SUM(outside_unknown_n)",
    "simulation_nano": "SUM(simulation)",
    "unknown_simulation_calls": "SUM(simulation_unknown_n)",
    "test_nano": "SUM(test)",
    "unknown_test_calls": "SUM(test_unknown_n)",
    "calls": _of("calls"),
    "called_tasks": _of("called"),
    "input_tokens": _of("tokens_in"),
    "output_tokens": _of("tokens_out"),
    "token_cost_nano": f"COALESCE({_of('work', _PRICED)}, 0) + COALESCE({_of('judged', _PRICED)}, 0)",
    "priced_tokens": f"COALESCE({_of('tokens_in', _PRICED)}, 0) + COALESCE({_of('tokens_out', _PRICED)}, 0)",
    "computed_nano": _of("computed"),
    "computed_calls": _of("computed_n"),
    "reported_nano": _of("reported"),
    "reported_calls": _of("reported_n"),
}
"""The figures of a group as SQL over its plain sums."""

PERCENTILES = "quantile_disc(cost, [0.5, 0.9, 0.99])"
"""Cost per task at three ranks: the smallest cost that at least so many tasks do not exceed."""

RANKED = f"{MATURED} AND NOT {_LACKING} AND cost IS NOT NULL"
"""The tasks that are ranked: matured, and their cost wholly known."""

OUTSIDE = ("outside", "outside_n", "outside_unknown_n")
"""Columns of the rows that stand for calls outside tasks."""


def make_groups(engine: "DuckDBPyConnection", facts: str, columns: list[str], *, has_strays: bool) -> str:
    """Sum the facts in groups; returns the query for their figures, and those of all (``is_total``).

    With ``has_strays`` the facts have that column; without it none is a stray. The costs
    to be ranked are gathered in the same pass, since it is the pass that costs time.
    """
    plain = ", ".join(f"{sql} AS {name}" for name, sql in PLAIN.items())
    plain += f", {'SUM(strays)' if has_strays else '0'} AS strays"
    alike = ", ".join([*columns, *ALIKE])
    engine.execute(
        f"CREATE OR REPLACE TEMP TABLE alike AS SELECT {alike}, {plain}, "
        f"LIST(cost) FILTER (WHERE {RANKED}) AS costs FROM ({COSTED} FROM ({facts})) GROUP BY {alike}"
    )
    keys = "".join(f"{column}, " for column in columns)
    listed = ", ".join(columns)
    is_total = f"GROUPING({listed}) > 0" if columns else "TRUE"
    sets = f"GROUPING SETS (({listed}), ())" if columns else "()"
    summed = {**FIGURES, "strays": "SUM(strays)"}
    figures = ", ".join(f"COALESCE({sql}, 0) AS {name}" for name, sql in summed.items())
    same = [f"sums.{name} IS NOT DISTINCT FROM ranks.{name}" for name in ("is_total", *columns)]
    return (
        f"SELECT sums.*, ranks.percentiles "
        f"FROM (SELECT {keys}{is_total} AS is_total, {figures} FROM alike GROUP BY {sets}) AS sums "
        f"LEFT JOIN (SELECT {keys}{is_total} AS is_total, {PERCENTILES} AS percentiles "
        f"FROM (SELECT {keys}UNNEST(costs) AS cost FROM alike) GROUP BY {sets}) AS ranks "
        f"ON {' AND '.join(same)}"
    )
