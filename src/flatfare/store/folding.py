"""Folding: calls summed to one row per task, day, purpose, model and labels.

The same statement folds a sealed file, the hot calls and a test's own rows, so
that reports over folded rows equal reports over calls to the last nano-dollar.
"""

from flatfare.core.moments import DAY_US
from flatfare.store.layout import FOLD_KEYS

_INPUT = (
    "input",
    "cache_read",
    "cache_write",
    "cache_write_5m",
    "cache_write_1h",
    "tool_use_input",
    "input_audio",
    "cache_read_audio",
    "input_image",
    "cache_read_image",
)
_CACHED = ("cache_read", "cache_read_audio", "cache_read_image")
_OUTPUT = ("output", "reasoning", "output_audio", "output_image")


def _added(columns: tuple[str, ...]) -> str:
    return " + ".join(f"COALESCE({column}, 0)" for column in columns)


FIGURES = {
    "n": "SUM(n)",
    "failed_n": "SUM(CASE WHEN status IN ('ok', 'cached') THEN 0 ELSE n END)",
    "unknown_n": "SUM(CASE WHEN cost_state = 'unknown' THEN n ELSE 0 END)",
    "estimated_n": "SUM(CASE WHEN cost_state = 'estimated' THEN n ELSE 0 END)",
    "cost_nano": "COALESCE(SUM(cost_nano), 0)",
    "computed_n": "SUM(CASE WHEN computed_nano IS NULL THEN 0 ELSE n END)",
    "computed_nano": "COALESCE(SUM(computed_nano), 0)",
    "reported_n": "SUM(CASE WHEN reported_nano IS NULL THEN 0 ELSE n END)",
    "reported_nano": "COALESCE(SUM(reported_nano), 0)",
    "input_tokens": f"SUM({_added(_INPUT)})",
    "cached_tokens": f"SUM({_added(_CACHED)})",
    "output_tokens": f"SUM({_added(_OUTPUT)})",
    "duration_ms": "SUM(COALESCE(duration_ms, 0))",
}
"""The sums that a folded row holds, as SQL over calls."""


def folding(calls: str, division: str = "//") -> str:
    """The query that folds a relation of calls, in the order of the folded layout.

    ``division`` is the sign of whole division: ``//`` in the lake, ``/`` in the book.
    """
    keys = ", ".join(f"at_us {division} {DAY_US} AS day" if key == "day" else key for key in FOLD_KEYS)
    figures = ", ".join(f"CAST({sql} AS BIGINT) AS {name}" for name, sql in FIGURES.items())
    positions = ", ".join(str(position) for position in range(1, len(FOLD_KEYS) + 1))
    return (
        f"SELECT {keys}, {figures}, MIN(at_us) AS first_at_us, MAX(at_us) AS last_at_us "
        f"FROM {calls} GROUP BY {positions}"
    )


def refolding(folded: str) -> str:
    """The query that sums folded rows of the same key to one, in the order of the folded layout."""
    figures = ", ".join(f"CAST(SUM({name}) AS BIGINT) AS {name}" for name in FIGURES)
    return (
        f"SELECT {', '.join(FOLD_KEYS)}, {figures}, MIN(first_at_us) AS first_at_us, "
        f"MAX(last_at_us) AS last_at_us FROM {folded} GROUP BY ALL"
    )


def sums_of(kind: str, relation: str) -> str:
    """The query for the control sums of a relation of one kind: one row, a column a sum."""
    if kind == "calls":
        figures = FIGURES
    elif kind == "folded":
        figures = {name: f"SUM({name})" for name in FIGURES}
    elif kind == "tasks":
        figures = {
            "tasks": "COUNT(*)",
            "verified": "COUNT(*) FILTER (WHERE outcome = 'verified')",
            "given_nano": "SUM(given_nano)",
        }
    else:
        figures = {"verdicts": "COUNT(*)", "passes": "COUNT(*) FILTER (WHERE judgement = 'pass')"}
    body = ", ".join(f"COALESCE({sql}, 0) AS {name}" for name, sql in figures.items())
    return f'SELECT COUNT(*) AS "rows", {body} FROM {relation}'
