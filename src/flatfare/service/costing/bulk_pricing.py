"""Pricing millions of rows: each distinct condition is resolved once in Python, and SQL multiplies.

Row for row the same nano unit, state and reason as ``priced_row`` gives, which is the single path: whole
counts times whole weights, divided once, half to even. Rows with usage beyond the columns go through it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

import msgspec

from flatfare.core.errors import BadInput, Contradiction
from flatfare.core.moments import DAY_US
from flatfare.core.units import UNITS
from flatfare.core.usage import COUNT_MAX, Count, Usage
from flatfare.dialects.reading import Asked, Exchange, Part, Reading
from flatfare.prices.book import Missing, PriceBook
from flatfare.prices.statement import COUNTED
from flatfare.service.costing.bulk_plan import (
    DAY_MARK,
    DAYS_OF_KEY,
    Key,
    Plan,
    State,
    day_rows,
    hash_sql,
    planned,
)
from flatfare.service.costing.pricing import NO_TIME, no_exchange_rate, price_reading
from flatfare.store.engine import quoted

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

PRICED = (
    *("computed_nano", "computed_state", "computed_reason", "original_nano", "original_currency"),
    "price_version",
)
"""What pricing adds: the cost in nano-dollars, beside it in its own currency where that is another, and the
prices that it was computed with."""

NO_USAGE = "the record does not say what was used"
ESTIMATED = "the record's counts are estimated"
TOO_LARGE = "the cost is larger than any call's"
NANO_MAX = 2**63 - 1  # what a column of the lake holds: 9.2 billion dollars
_BATCH = 20_000

Row = Mapping[str, object]
Priced = tuple[int | None, str, str | None, int | None, str | None, str | None]


def priced_sql(
    connection: "DuckDBPyConnection",
    source: str,
    book: PriceBook,
    *,
    keep: Sequence[str] | None = None,
) -> str:
    """A query over ``source`` that adds the columns of ``PRICED``, exact to the nano-dollar.

    ``source`` is a table, view or query in brackets with the lake's columns: provider, model,
    service_tier, region, at_us, a BIGINT per unit, and where it has them ``other_usage`` and
    ``usage_state``. ``keep`` are the columns that stay, all if left out. The query reads temporary
    tables named ``ff_…`` that stand on the connection until the next call.
    """
    columns = [str(row[0]) for row in connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()]
    kept = ", ".join(f's."{name}"' for name in (columns if keep is None else keep) if name not in PRICED)
    has_others = "other_usage" in columns and _price_others(connection, source, book) > 0
    whole = f"(SELECT * FROM {source} WHERE other_usage IS NULL)" if has_others else source
    units = tuple(column for column in columns if column in UNITS)
    plan = planned(connection, whole, units, book)
    _write(connection, plan)
    query = _query(plan, whole, kept, "usage_state" in columns)
    if has_others:
        added = ", ".join(f"p.{column}" for column in PRICED)
        query += f" UNION ALL SELECT {kept}, {added} FROM ff_others s JOIN ff_others_priced p USING (ff_row)"
    return query


def priced_row(book: PriceBook, row: Row, units: Iterable[str]) -> Priced:
    """One row through the single path: the columns of ``PRICED`` in order."""
    state = row.get("usage_state") or "measured"
    try:
        counts = _counts(row, units)
    except Contradiction as problem:
        return None, "unknown", str(problem), None, None, None
    if counts is None or state == "unknown":
        return None, "unknown", NO_USAGE, None, None, None
    model, tier, region = (_text(row.get(name)) for name in ("model", "service_tier", "region"))
    at_us = row.get("at_us")
    part = Part(model, counts, estimated=ESTIMATED if state == "estimated" else None)
    exchange = Exchange(
        str(row.get("provider") or ""),
        "import",
        asked=Asked(service_tier=tier, region=region),
        at_us=at_us if isinstance(at_us, int) else None,
    )
    priced = price_reading(book, Reading(parts=(part,)), exchange)
    dollars, own = priced.dollars, priced.cost
    original: tuple[int | None, str | None] = (None, None)
    if own.currency != "USD" and own.amount_nano is not None and own.amount_nano <= NANO_MAX:
        original = own.amount_nano, own.currency
    if dollars.amount_nano is not None and dollars.amount_nano > NANO_MAX:
        return None, "unknown", TOO_LARGE, *original, None
    return dollars.amount_nano, str(dollars.state), dollars.reason, *original, dollars.price_version


def _counts(row: Row, units: Iterable[str]) -> Usage | None:
    """The row's usage; None where it says nothing at all."""
    found: dict[str, Count] = {}
    for unit in units:
        if (count := row.get(unit)) is not None:
            found[unit] = count  # type: ignore[assignment]
    if (other := row.get("other_usage")) is not None:
        try:
            said = msgspec.json.decode(str(other), type=dict[str, str | int])
            found |= {unit: _count(value) for unit, value in said.items()}
        except (msgspec.MsgspecError, InvalidOperation):
            raise Contradiction(
                f"Found {str(other)[:80]!r} as other usage: expected JSON of unit to count."
            ) from None
    return Usage(found) if found else None


def _count(value: str | int) -> Count:
    number = Decimal(value)
    return int(number) if number.is_finite() and number == number.to_integral_value() else number


def _text(value: object) -> str | None:
    return str(value) if value else None


# Writing the tables that the query reads


def _write(connection: "DuckDBPyConnection", plan: Plan) -> None:
    edges = "".join(f", edge{place} BIGINT" for place in range(plan.edges_max))
    sizes = "".join(
        f", {kind}{place} BIGINT" for kind in plan.kinds for place in range(plan.thresholds_max(kind))
    )
    key_columns = f"hashed UBIGINT, key_id BIGINT, is_busy BOOLEAN{edges}{sizes}"
    _fill(connection, "ff_keys", key_columns, (_key_row(plan, key) for key in plan.keys))
    days = list(day_rows(plan))
    plan.day_edges_max = max((len(day[2]) for day in days), default=0)
    day_edges = "".join(f", edge{place} BIGINT" for place in range(plan.day_edges_max))
    _fill(
        connection,
        "ff_days",
        f"day_key BIGINT, epoch INTEGER{day_edges}",
        ((*day[:2], *_padded(day[2], plan.day_edges_max)) for day in days),
    )
    _write_rates(connection, plan)


def _write_rates(connection: "DuckDBPyConnection", plan: Plan) -> None:
    """Each state with the number of its rates, and each distinct set of rates once: few stay near."""
    numbers: dict[object, int] = {}
    distinct: list[State] = []
    states: list[tuple[int, int]] = []
    for state in plan.states:
        same = state.reason if isinstance(state.found, Missing) else (id(state.found), state.exchange)
        number = numbers.setdefault(same, len(numbers))
        if number == len(distinct):
            distinct.append(state)
        states.append((plan.point(state), number))
    _fill(connection, "ff_states", "point BIGINT, rates_id INTEGER", states)
    integer = "BIGINT" if plan.is_narrow else "HUGEINT"
    weights = "".join(f", w_{unit} {integer}" for unit in plan.billed)
    weights += "".join(f", m_{unit} BIGINT" for unit in plan.with_minimum)
    weights += "".join(f", l_{unit} BOOLEAN" for unit in plan.lacking)
    _fill(
        connection,
        "ff_rates",
        "rates_id INTEGER, reason VARCHAR, version VARCHAR, currency VARCHAR, "
        f"x_num HUGEINT, x_den HUGEINT, den {integer}, lacks BOOLEAN{weights}",
        ((number, *_rate_row(plan, state)) for number, state in enumerate(distinct)),
    )


def _key_row(plan: Plan, key: Key) -> tuple[object, ...]:
    edges = [] if key.is_busy else key.starts
    sizes: list[int | None] = []
    for kind in plan.kinds:
        sizes += _padded(key.schedule.thresholds.get(kind, []), plan.thresholds_max(kind))
    return (key.hashed, key.key_id, key.is_busy, *_padded(edges, plan.edges_max), *sizes)


def _rate_row(plan: Plan, state: State) -> tuple[object, ...]:
    if isinstance(state.found, Missing):
        nothing = len(plan.billed) + len(plan.with_minimum) + len(plan.lacking)
        return (state.reason, *[None] * (6 + nothing))
    found = state.found
    minimums: list[int | None] = []
    for unit in plan.with_minimum:
        minimum = found.minimums.get(unit)
        if minimum is not None and minimum != int(minimum):
            raise BadInput(f"Found a minimum of {minimum} {unit} of {found.model}: expected a whole number.")
        minimums.append(None if minimum is None else int(minimum))
    named = f"{found.provider}/{found.model}"
    # Why a row is unpriced: here, where a unit that it uses has no rate.
    reason = f"model {found.model!r} at {found.provider}: flatfare prices add {named}"
    weights = [found.weights.get(unit, 0) for unit in plan.billed]
    lacks = [unit not in found.weights for unit in plan.lacking]
    head = (reason, found.version, found.currency, *state.exchange, found.denominator)
    return (*head, any(lacks), *weights, *minimums, *lacks)


def _padded(values: Sequence[int], length: int) -> list[int | None]:
    return [*values, *[None] * (length - len(values))]


def _fill(
    connection: "DuckDBPyConnection", table: str, columns: str, rows: Iterable[Sequence[object]]
) -> None:
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {table} ({columns})")
    with connection.appender(table) as appender:
        batch: list[Sequence[object]] = []
        for row in rows:
            batch.append(row)
            if len(batch) >= _BATCH:
                appender.append_rows(batch)
                batch = []
        if batch:
            appender.append_rows(batch)


def _price_others(connection: "DuckDBPyConnection", source: str, book: PriceBook) -> int:
    """Price the rows with usage beyond the columns one by one; returns how many there are."""
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE ff_others AS SELECT *, row_number() OVER () AS ff_row "
        f"FROM {source} WHERE other_usage IS NOT NULL"
    )
    cursor = connection.execute("SELECT * FROM ff_others")
    names = [str(column[0]) for column in cursor.description or ()]
    units = [name for name in names if name in UNITS]

    def rows() -> Iterator[Sequence[object]]:
        while batch := cursor.fetchmany(_BATCH):
            for values in batch:
                row = dict(zip(names, values, strict=True))
                yield (row["ff_row"], *priced_row(book, row, units))

    priced = list(rows())
    types = "computed_nano BIGINT, computed_state VARCHAR, computed_reason VARCHAR, original_nano BIGINT, "
    types += "original_currency VARCHAR, price_version VARCHAR"
    _fill(connection, "ff_others_priced", f"ff_row BIGINT, {types}", priced)
    return len(priced)


# The query


def _query(plan: Plan, source: str, kept: str, has_state: bool) -> str:
    """The multiplication: rows to keys, keys to states, counts times weights, rounded once."""
    # LEFT keeps the planner from putting the many rows on the side that is held in memory.
    joined = (
        f"({_pointed_sql(plan, source)}) s LEFT JOIN ff_states e ON s.ff_point = e.point "
        "LEFT JOIN ff_rates r ON e.rates_id = r.rates_id"
    )
    total = " + ".join(_term(plan, unit) for unit in plan.billed) or "0"
    if plan.states and all(found.denominator == 1 for found in plan.found):
        own = "s.ff_total"
    else:
        own = _half_even_sql("s.ff_total", "s.ff_den")
    return (
        f"SELECT {kept}, {_nano_sql('s.ff_dollars')} AS computed_nano, "
        f"{_state_sql(has_state)} AS computed_state, {_reason_sql(plan, has_state)} AS computed_reason, "
        f"CASE WHEN s.ff_currency <> 'USD' THEN {_nano_sql('s.ff_own')} END AS original_nano, "
        "CASE WHEN original_nano IS NOT NULL THEN s.ff_currency END AS original_currency, "
        "CASE WHEN computed_nano IS NOT NULL THEN s.ff_version END AS price_version "
        f"FROM (SELECT s.*, {_dollars_sql(plan)} AS ff_dollars FROM (SELECT s.*, {own} AS ff_own "
        f"FROM (SELECT s.*, {_problem_sql(plan, has_state)} AS ff_problem, r.reason AS ff_reason, "
        "r.version AS ff_version, r.currency AS ff_currency, "
        "r.x_num AS ff_num, r.x_den AS ff_of, r.den AS ff_den, "
        f"{_missing_sql(plan)} AS ff_missing, {total} AS ff_total "
        f"FROM {joined}) s) s) s"
    )


def _pointed_sql(plan: Plan, source: str) -> str:
    """Each row with the number of its state: its key, the stretch of time, the sizes of prompt it passes."""
    epoch = _passed_sql("k", plan.edges_max)
    days = ""
    if any(key.is_busy for key in plan.keys):
        in_day = f"coalesce(d.epoch + {_passed_sql('d', plan.day_edges_max)}, 0)"
        epoch = f"CASE WHEN k.is_busy THEN {in_day} ELSE {epoch} END"
        day = f"CASE WHEN k.is_busy THEN k.key_id * {DAYS_OF_KEY} + s.at_us // {DAY_US} END"
        days = f" LEFT JOIN ff_days d ON {day} = d.day_key"
    first, *radices = plan.radices
    sizes = "".join(
        f" + {radix} * ({_size_sql(plan, kind)})" for kind, radix in zip(plan.kinds, radices, strict=True)
    )
    return (
        f"SELECT s.*, {first} * (k.key_id * {plan.epochs_max} + {epoch}){sizes} AS ff_point FROM "
        f"(SELECT *, {hash_sql(plan.salt)} AS ff_hash FROM {source}) s "
        f"LEFT JOIN ff_keys k ON s.ff_hash = k.hashed{days}"
    )


def _passed_sql(table: str, edges: int) -> str:
    """How many of a row's edges lie behind it."""
    parts = [f"coalesce((s.at_us >= {table}.edge{place})::INTEGER, 0)" for place in range(edges)]
    return f"({' + '.join(parts) or '0'})"


def _size_sql(plan: Plan, kind: str) -> str:
    """How many thresholds of this kind the row passes."""
    parts = [f'coalesce(s."{unit}", 0)' for unit in plan.units if unit in COUNTED[kind]]
    size = f"({' + '.join(parts) or '0'})"
    return " + ".join(
        f"coalesce(({size} >= k.{kind}{place})::INTEGER, 0)" for place in range(plan.thresholds_max(kind))
    )


def _term(plan: Plan, unit: str) -> str:
    """What a unit adds to the sum; a unit without a rate adds nothing here and is named in ``ff_missing``."""
    column = f's."{unit}"'
    if unit == "request":
        said = f"coalesce({column}, 0)" if unit in plan.units else "0"
        used = " OR ".join(f'coalesce(s."{other}", 0) > 0' for other in plan.units)
        return (
            f"CASE WHEN r.w_request = 0 THEN 0 WHEN {said} > 0 THEN {said} * r.w_request "
            f"WHEN {used or 'false'} THEN r.w_request ELSE 0 END"
        )
    if unit in plan.with_minimum:
        return f"CASE WHEN {column} > 0 THEN greatest({column}, r.m_{unit}) * r.w_{unit} ELSE 0 END"
    return f"coalesce({column}, 0) * r.w_{unit}"


def _missing_sql(plan: Plan) -> str:
    """The units that a row uses and that have no rate, in order; null where there are none."""
    if not plan.lacking:
        return "NULL::VARCHAR[]"
    used = " OR ".join(f'(s."{unit}" > 0 AND r.l_{unit})' for unit in plan.lacking)
    names = ", ".join(f"CASE WHEN s.\"{unit}\" > 0 AND r.l_{unit} THEN '{unit}' END" for unit in plan.lacking)
    return f"CASE WHEN r.lacks AND ({used}) THEN list_filter([{names}], lambda x: x IS NOT NULL) END"


def _problem_sql(plan: Plan, has_state: bool) -> str:
    """Why the row cannot be priced whatever its rates: it contradicts itself, says nothing, has no time."""
    if not plan.columns:
        return quoted(NO_USAGE)
    odd = " OR ".join(f's."{unit}" NOT BETWEEN 0 AND {COUNT_MAX}' for unit in plan.odd)
    which = " ".join(
        f"WHEN s.\"{unit}\" {sign} THEN 'Found ' || s.\"{unit}\" || ' for ''{unit}'': {what}.'"
        for unit in plan.odd
        for sign, what in (("< 0", "a count is never negative"), (f"> {COUNT_MAX}", "no call uses that much"))
    )
    contradiction = f"WHEN {odd} THEN CASE {which} END " if plan.odd else ""
    nothing = " AND ".join(f's."{unit}" IS NULL' for unit in plan.columns)
    unknown = " OR s.usage_state = 'unknown'" if has_state else ""
    return (
        f"CASE {contradiction}WHEN ({nothing}){unknown} THEN {quoted(NO_USAGE)} "
        f"WHEN s.at_us IS NULL THEN {quoted(NO_TIME)} END"
    )


def _dollars_sql(plan: Plan) -> str:
    if all(found.currency == "USD" for found in plan.found):
        return "s.ff_own"
    exchanged = _half_even_sql("s.ff_own::HUGEINT * s.ff_num", "s.ff_of")
    return f"CASE WHEN s.ff_currency = 'USD' THEN s.ff_own ELSE {exchanged} END"


def _half_even_sql(numerator: str, denominator: str) -> str:
    """Division of what is not negative, halves to even."""
    whole, rest = f"(({numerator}) // {denominator})", f"(({numerator}) % {denominator})"
    return (
        f"{whole} + CASE WHEN 2 * {rest} > {denominator} OR (2 * {rest} = {denominator} AND {whole} % 2 = 1) "
        "THEN 1 ELSE 0 END"
    )


def _nano_sql(amount: str) -> str:
    return f"CASE WHEN s.ff_problem IS NULL AND s.ff_missing IS NULL THEN try_cast({amount} AS BIGINT) END"


def _state_sql(has_state: bool) -> str:
    known = (
        "CASE WHEN s.usage_state = 'estimated' THEN 'estimated' ELSE 'measured' END"
        if has_state
        else "'measured'"
    )
    return f"CASE WHEN computed_nano IS NULL THEN 'unknown' ELSE {known} END"


def _reason_sql(plan: Plan, has_state: bool) -> str:
    """The same sentences as the single path's."""
    currencies = {found.currency for found in plan.found} - {"USD"}
    exchange = "".join(
        f"WHEN s.ff_currency = {quoted(one)} AND s.ff_num IS NULL THEN {quoted(no_exchange_rate(one))} "
        for one in sorted(currencies)
    )
    estimated = f"CASE WHEN s.usage_state = 'estimated' THEN {quoted(ESTIMATED)} END" if has_state else "NULL"
    return (
        f"CASE WHEN computed_nano IS NOT NULL THEN {estimated} "
        "WHEN s.ff_problem IS NOT NULL THEN s.ff_problem WHEN s.ff_den IS NULL THEN "
        f"replace(s.ff_reason, '{DAY_MARK}', strftime(make_timestamp(s.at_us), '%Y-%m-%d')) "
        "WHEN s.ff_missing IS NOT NULL THEN 'no rate for ''' || array_to_string(s.ff_missing, ''', ''') || "
        "''' of ' || s.ff_reason || ' --rate ' || "
        " array_to_string(s.ff_missing, '=… --rate ') || '=…' "
        f"{exchange} ELSE {quoted(TOO_LARGE)} END"
    )
