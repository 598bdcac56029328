"""Holdings: what a book and its lake hold at all, so that a report sums nothing that is not there.

Looking costs next to nothing, since Parquet files say of each column what it spans; what
is left out would have added nothing but zeros.
"""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flatfare.store.book import Book

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

HEADLINE_PURPOSES = frozenset({"work", "verification"})


@dataclass(frozen=True, slots=True)
class Holdings:
    """What there is."""

    purposes: frozenset[str]
    is_empty: bool
    has_outside: bool  # calls that belong to no task
    has_withdrawn: bool  # folded rows whose calls were corrected away
    has_moved: bool  # corrections that may have moved the first call of a task
    has_unknown: bool
    has_computed: bool
    has_reported: bool
    has_given: bool
    has_given_verification: bool
    has_given_simulation: bool
    has_given_size: bool  # calls or tokens as the source gave them
    has_rework: bool
    has_verdict_costs: bool
    has_attempts: bool
    has_fixed: bool

    @property
    def has_task_amounts(self) -> bool:
        """Some cost belongs to a task and to none of its calls."""
        return (
            self.has_given
            or self.has_given_verification
            or self.has_given_simulation
            or self.has_rework
            or self.has_verdict_costs
        )


def holdings(engine: "DuckDBPyConnection", book: Book, *, has_fixed: bool = False) -> Holdings:
    """Look into the views ``folded``, ``tasks`` and ``verdicts``, and the book's attempts."""
    row = (
        engine.execute(
            """SELECT COUNT(*), COUNT(given_nano), COUNT(given_verification_nano),
                  COUNT(given_simulation_nano),
                  COUNT(given_calls) + COUNT(given_input_tokens) + COUNT(given_output_tokens),
                  COUNT(rework_nano) + COUNT(rework_ms) FROM tasks"""
        ).fetchone()
        or (0,) * 6
    )
    purposes = engine.execute("SELECT DISTINCT purpose FROM folded").fetchall()
    return Holdings(
        purposes=frozenset(str(purpose) for (purpose,) in purposes),
        is_empty=not row[0] and not purposes,
        has_outside=_any(engine, "folded", "task_id IS NULL"),
        has_withdrawn=_any(engine, "folded", "n <= 0"),
        has_moved=book.value("SELECT 1 FROM adjustments LIMIT 1") is not None,
        has_unknown=_any(engine, "folded", "unknown_n <> 0"),
        has_computed=_any(engine, "folded", "computed_n <> 0"),
        has_reported=_any(engine, "folded", "reported_n <> 0"),
        has_given=row[1] > 0,
        has_given_verification=row[2] > 0,
        has_given_simulation=row[3] > 0,
        has_given_size=row[4] > 0,
        has_rework=row[5] > 0,
        has_verdict_costs=_any(engine, "verdicts", "cost_nano IS NOT NULL"),
        has_attempts=book.value("SELECT 1 FROM attempts LIMIT 1") is not None,
        has_fixed=has_fixed,
    )


def label_keys(engine: "DuckDBPyConnection", book: Book) -> set[str]:
    """The keys of all labels there are, on tasks, calls and published aggregates."""
    found = engine.execute(
        """SELECT DISTINCT UNNEST(json_keys(labels)) FROM
           (SELECT DISTINCT labels FROM tasks UNION SELECT DISTINCT labels FROM folded)"""
    ).fetchall()
    published = book.rows("SELECT DISTINCT labels FROM aggregates")
    known = {str(key) for (key,) in found}
    for (labels,) in published:
        known |= set(json.loads(str(labels)))
    if published:
        known |= {"benchmark", "domain"}
    return known


def _any(engine: "DuckDBPyConnection", relation: str, condition: str) -> bool:
    return bool(engine.execute(f"SELECT 1 FROM {relation} WHERE {condition} LIMIT 1").fetchall())
