"""Allocating: fixed fees shared out to the calls they served, beside what those would have cost by list.

A call that a commitment covers is not billed by itself: it bears its share of the
fee. List cost, billed cost and allocated fixed cost stand apart, and what a fee
served to nobody is idle, so that shares and idle are the fee to the last nano-dollar.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

from flatfare.core.commitment import AllocatedBy, Commitment, periods
from flatfare.store import commitments
from flatfare.store.book import Book
from flatfare.store.engine import quoted

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_EPOCH = date(1970, 1, 1)
_MILLI = 1000

_MEASURE = {
    AllocatedBy.TOKENS: "input_tokens + output_tokens",
    AllocatedBy.CALLS: "n",
    AllocatedBy.TIME: "duration_ms",
}

_UNCHARGED = """CREATE TEMP VIEW charged AS
    SELECT *, cost_nano AS list_nano, CAST(0 AS BIGINT) AS allocated_nano,
           CAST(NULL AS VARCHAR) AS commitment_id
    FROM folded"""


@dataclass(frozen=True, slots=True)
class Fee:
    """What one period of a commitment cost, and how much of that served somebody."""

    commitment: Commitment
    from_day: date
    until_day: date
    fee_nano: int
    served_calls: int
    served_nano: int

    @property
    def idle_nano(self) -> int:
        """What was paid and served nobody."""
        return self.fee_nano - self.served_nano


def has_fees(book: Book) -> bool:
    """Any fixed fee was ever agreed."""
    return book.value("SELECT 1 FROM commitments LIMIT 1") is not None


def charge(engine: "DuckDBPyConnection", book: Book, today: date) -> list[Fee]:
    """Make the relation ``charged`` of the view ``folded``: its rows with fees shared out to them.

    Beside the columns of ``folded`` it has ``list_nano`` (what the calls cost by
    themselves), ``allocated_nano`` and ``commitment_id``. ``cost_nano`` is what was
    billed for them: 0 where a commitment covers them, and then none is unknown.
    Returns each period's fee.
    """
    found = commitments.all_of(book)
    if not found:
        engine.execute(_UNCHARGED)
        return []
    _load_periods(engine, found, today)
    _load_models(engine, found)
    engine.execute(
        "CREATE TEMP TABLE numbered AS SELECT ROW_NUMBER() OVER "
        "(ORDER BY first_at_us, task_id, purpose, provider, model, key_id, labels, session, source) "
        "AS row, * FROM folded"
    )
    engine.execute(f"CREATE TEMP TABLE covered AS {_covered(found)}")
    engine.execute(_SHARED)
    engine.execute(_CHARGED)
    return _fees(engine, {commitment.id: commitment for commitment in found})


def _day(day: date) -> int:
    return (day - _EPOCH).days


def _load_periods(engine: "DuckDBPyConnection", found: list[Commitment], today: date) -> None:
    engine.execute(
        "CREATE TEMP TABLE periods (commitment_id VARCHAR, number BIGINT, from_day BIGINT, until_day BIGINT, "
        "fee_nano HUGEINT, milli_units HUGEINT, overage_nano HUGEINT)"
    )
    rows = [
        (
            commitment.id,
            period.number,
            _day(period.from_day),
            _day(period.until_day),
            period.fee_nano,
            None if period.units is None else period.units * _MILLI,
            commitment.overage_nano,
        )
        for commitment in found
        for period in periods(commitment, today)
    ]
    if rows:
        with engine.appender("periods") as appender:
            appender.append_rows(rows)


def _load_models(engine: "DuckDBPyConnection", found: list[Commitment]) -> None:
    """Which models each commitment covers, and at what multiplier, worked out once per model."""
    engine.execute(
        "CREATE TEMP TABLE covered_models (commitment_id VARCHAR, rank BIGINT, provider VARCHAR, "
        "model VARCHAR, milli_multiplier BIGINT)"
    )
    ranked = sorted(found, key=lambda one: (-one.serves.specificity, one.from_day, one.id))
    models = engine.execute("SELECT DISTINCT provider, model FROM folded").fetchall()
    rows = [
        (commitment.id, rank, provider, model, round(commitment.multiplier(model) * _MILLI))
        for rank, commitment in enumerate(ranked)
        for provider, model in models
        if commitment.serves.names_model(provider, model)
    ]
    if rows:
        with engine.appender("covered_models") as appender:
            appender.append_rows(rows)


def _covered(found: list[Commitment]) -> str:
    """The query for which row falls under which period of which commitment, one at most, and its weight."""
    measures = " ".join(
        f"WHEN {quoted(commitment.id)} THEN {_MEASURE[commitment.allocated_by]}" for commitment in found
    )
    conditions = " ".join(f"WHEN {quoted(one.id)} THEN {_condition(one)}" for one in found)
    return f"""
        SELECT row, commitment_id, number, n,
               CAST(CASE commitment_id {measures} END AS HUGEINT) * milli_multiplier AS weight
        FROM numbered
        JOIN covered_models ON numbered.provider IS NOT DISTINCT FROM covered_models.provider
                           AND numbered.model IS NOT DISTINCT FROM covered_models.model
        JOIN periods USING (commitment_id)
        WHERE day >= from_day AND day < until_day AND CASE commitment_id {conditions} END
        QUALIFY ROW_NUMBER() OVER (PARTITION BY row ORDER BY rank) = 1"""


def _condition(commitment: Commitment) -> str:
    parts = ["TRUE"]
    if commitment.serves.key is not None:
        parts.append(f"key_id = {quoted(commitment.serves.key)}")
    for key, value in commitment.serves.labels.items():
        parts.append(f"json_extract_string(labels, {quoted(f'$.{chr(34)}{key}{chr(34)}')}) = {quoted(value)}")
    return " AND ".join(parts)


# A running sum shares the fee without losing a nano-dollar, as core.commitment.shares does.
_SHARED = """CREATE TEMP TABLE shared AS
    WITH weighed AS (
        SELECT row, commitment_id, number, n, weight,
               SUM(weight) OVER running AS up_to_here,
               SUM(weight) OVER (PARTITION BY commitment_id, number) AS total
        FROM covered WINDOW running AS (PARTITION BY commitment_id, number ORDER BY row)),
    owed AS (
        SELECT weighed.*, GREATEST(total, COALESCE(milli_units, 0)) AS whole,
               fee_nano + CASE WHEN total > milli_units
                               THEN (total - milli_units) * overage_nano // 1000 ELSE 0 END AS owed_nano
        FROM weighed JOIN periods USING (commitment_id, number))
    SELECT row, commitment_id, number, n, owed_nano,
           CASE WHEN whole = 0 THEN 0
                ELSE owed_nano * up_to_here // whole - owed_nano * (up_to_here - weight) // whole END AS nano
    FROM owed"""

_CHARGED = """CREATE TEMP VIEW charged AS
    SELECT numbered.* EXCLUDE (row) REPLACE (
               CASE WHEN commitment_id IS NULL THEN cost_nano ELSE 0 END AS cost_nano,
               CASE WHEN commitment_id IS NULL THEN unknown_n ELSE 0 END AS unknown_n),
           numbered.cost_nano AS list_nano,
           CAST(COALESCE(shared.nano, 0) AS BIGINT) AS allocated_nano,
           commitment_id
    FROM numbered LEFT JOIN shared USING (row)"""


def _fees(engine: "DuckDBPyConnection", by_id: dict[str, Commitment]) -> list[Fee]:
    rows = engine.execute(
        """SELECT commitment_id, from_day, until_day, COALESCE(MAX(owed_nano), ANY_VALUE(fee_nano)),
                  COALESCE(SUM(n), 0), COALESCE(SUM(nano), 0)
        FROM periods LEFT JOIN shared USING (commitment_id, number)
        GROUP BY commitment_id, number, from_day, until_day ORDER BY from_day, commitment_id"""
    ).fetchall()
    return [
        Fee(
            by_id[commitment_id],
            _EPOCH + timedelta(days=from_day),
            _EPOCH + timedelta(days=until_day),
            int(fee),
            int(calls),
            int(served),
        )
        for commitment_id, from_day, until_day, fee, calls, served in rows
    ]
