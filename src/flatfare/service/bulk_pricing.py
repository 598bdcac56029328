"""Pricing millions of rows: each distinct condition is resolved once in Python, and SQL multiplies.

Row for row the same nano unit, state and reason as ``priced_row`` gives, which is the single path: whole
counts times whole weights, divided once, half to even. Rows with usage beyond the columns go through it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

import msgspec

from flatfare.core.errors import BadInput, Contradiction
from flatfare.core.moments import iso
from flatfare.core.units import UNITS
from flatfare.core.usage import COUNT_MAX, Count, Usage
from flatfare.dialects.reading import Asked, Exchange, Part, Reading
from flatfare.prices.book import Circumstances, Found, Missing, PriceBook
from flatfare.prices.schedule import Schedule
from flatfare.prices.statement import COUNTED
from flatfare.service.pricing import NO_MODEL, NO_TIME, no_exchange_rate, price_reading

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

CONDITIONS = ("provider", "model", "service_tier", "region")
PRICED = ("computed_nano", "computed_state", "computed_reason", "original_nano", "original_currency")
"""What pricing adds: the cost in nano-dollars, and beside it in its own currency where that is another."""

NO_USAGE = "the record does not say what was used"
ESTIMATED = "the record's counts are estimated"
TOO_LARGE = "the cost is larger than any call's"
EDGES_IN_COLUMNS_MAX = 6  # beyond that a join by time is cheaper than comparing
BIGINT_SAFE = 2**62
NANO_MAX = 2**63 - 1  # what a column of the lake holds: 9.2 billion dollars
_DAY = "{day}"
_BATCH = 20_000

Row = Mapping[str, object]
Priced = tuple[int | None, str, str | None, int | None, str | None]


@dataclass(frozen=True, slots=True)
class State:
    """One distinct condition in one stretch of time and at one size of prompt."""

    key_id: int
    epoch: int
    sizes: tuple[int, ...]
    found: Found | Missing
    reason: str | None  # of what is missing; the day still open
    exchange: tuple[int | None, int | None]  # dollars per unit, as numerator and denominator


@dataclass(frozen=True, slots=True)
class Key:
    """One combination of provider, model, tier and region, and the moments its rates change."""

    conditions: tuple[str, ...]
    key_id: int
    schedule: Schedule
    starts: list[int]

    @property
    def is_busy(self) -> bool:
        return len(self.starts) > EDGES_IN_COLUMNS_MAX


@dataclass(slots=True)
class Plan:
    """What SQL needs to know, resolved."""

    units: tuple[str, ...]  # columns of the source that are units
    kinds: tuple[str, ...] = ()  # what size conditions count, of those in use
    keys: list[Key] = field(default_factory=list)
    states: list[State] = field(default_factory=list)
    is_narrow: bool = True  # 64 bits hold every sum

    @property
    def found(self) -> list[Found]:
        return [state.found for state in self.states if isinstance(state.found, Found)]

    @property
    def edges_max(self) -> int:
        return max((len(key.starts) for key in self.keys if not key.is_busy), default=0)

    def thresholds_max(self, kind: str) -> int:
        return max(len(key.schedule.thresholds.get(kind, ())) for key in self.keys)

    @property
    def billed(self) -> tuple[str, ...]:
        """The units that a row may be billed for: its columns, and the request where requests have a fee."""
        has_fee = any("request" in found.weights for found in self.found)
        return (*self.units, "request") if has_fee and "request" not in self.units else self.units


def priced_sql(
    connection: "DuckDBPyConnection",
    source: str,
    book: PriceBook,
    *,
    keep: Sequence[str] | None = None,
    organisation: str | None = None,
) -> str:
    """A query over ``source`` that adds the columns of ``PRICED``, exact to the nano-dollar.

    ``source`` is a table, view or query in brackets with the lake's columns: provider, model,
    service_tier, region, at_us, a BIGINT per unit, and where it has them ``other_usage`` and
    ``usage_state``. ``keep`` are the columns that stay, all if left out. The query reads temporary
    tables named ``ff_…`` that stand on the connection until the next call.
    """
    columns = [str(row[0]) for row in connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()]
    kept = ", ".join(f's."{name}"' for name in (columns if keep is None else keep) if name not in PRICED)
    has_others = "other_usage" in columns
    whole = f"(SELECT * FROM {source} WHERE other_usage IS NULL)" if has_others else source
    units = tuple(column for column in columns if column in UNITS)
    plan = _planned(connection, whole, units, book, organisation)
    _write(connection, plan)
    query = _query(plan, whole, kept, "usage_state" in columns)
    if has_others and _price_others(connection, source, book, organisation):
        added = ", ".join(f"p.{column}" for column in PRICED)
        query += f" UNION ALL SELECT {kept}, {added} FROM ff_others s JOIN ff_others_priced p USING (ff_row)"
    return query


def priced_row(book: PriceBook, row: Row, units: Iterable[str], organisation: str | None = None) -> Priced:
    """One row through the single path: the columns of ``PRICED`` in order."""
    state = row.get("usage_state") or "measured"
    try:
        counts = _counts(row, units)
    except Contradiction as problem:
        return None, "unknown", str(problem), None, None
    if counts is None or state == "unknown":
        return None, "unknown", NO_USAGE, None, None
    model, tier, region = (_text(row.get(name)) for name in ("model", "service_tier", "region"))
    at_us = row.get("at_us")
    part = Part(model, counts, estimated=ESTIMATED if state == "estimated" else None)
    exchange = Exchange(
        str(row.get("provider") or ""),
        "import",
        asked=Asked(service_tier=tier, region=region),
        at_us=at_us if isinstance(at_us, int) else None,
    )
    priced = price_reading(book, Reading(parts=(part,)), exchange, organisation=organisation)
    dollars, own = priced.dollars, priced.cost
    original: tuple[int | None, str | None] = (None, None)
    if own.currency != "USD" and own.amount_nano is not None and own.amount_nano <= NANO_MAX:
        original = own.amount_nano, own.currency
    if dollars.amount_nano is not None and dollars.amount_nano > NANO_MAX:
        return None, "unknown", TOO_LARGE, *original
    return dollars.amount_nano, str(dollars.state), dollars.reason, *original


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


# Resolving


def _planned(
    connection: "DuckDBPyConnection",
    source: str,
    units: tuple[str, ...],
    book: PriceBook,
    organisation: str | None,
) -> Plan:
    names = ", ".join(f"coalesce({name}, '') AS {name}" for name in CONDITIONS)
    maxima = "".join(f', max("{unit}")' for unit in units)
    rows = connection.execute(
        f"SELECT {names}, min(at_us), max(at_us) {maxima} FROM {source} GROUP BY ALL ORDER BY ALL"
    ).fetchall()
    plan = Plan(units)
    for key_id, row in enumerate(rows):
        provider, model, tier, region = row[:4]
        schedule = book.schedule(
            provider, model, Circumstances(tier or None, region or None, organisation=organisation)
        )
        first_us, last_us = row[4] or 0, row[5] or 0
        plan.keys.append(Key(row[:4], key_id, schedule, _starts(book, schedule, first_us, last_us + 1)))
    plan.kinds = tuple(sorted({kind for key in plan.keys for kind in key.schedule.thresholds}))
    for key, row in zip(plan.keys, rows, strict=True):
        for epoch, at_us in enumerate([row[4] or 0, *key.starts]):
            plan.states += _states(plan, book, key, epoch, at_us)
    largest = [max((row[6 + place] or 0 for row in rows), default=0) for place in range(len(units))]
    plan.is_narrow = all(_fits(state, units, largest) for state in plan.states)
    return plan


def _starts(book: PriceBook, schedule: Schedule, first_us: int, until_us: int) -> list[int]:
    """The moments after the first at which rates, windows or exchange rates may change."""
    edges = set(schedule.segments(first_us, until_us))
    for currency in schedule.currencies - {"USD"}:
        edges.update(book.exchange.days(currency))
    return sorted(edge for edge in edges if first_us < edge < until_us)


def _states(plan: Plan, book: PriceBook, key: Key, epoch: int, at_us: int) -> Iterator[State]:
    """A state for each combination of sizes of prompt."""
    schedule = key.schedule
    windows = [window.holds(at_us) for window in schedule.windows]
    combinations: list[tuple[int, ...]] = [()]
    for kind in plan.kinds:
        reach = range(len(schedule.thresholds.get(kind, ())) + 1)
        combinations = [(*chosen, size) for chosen in combinations for size in reach]
    for chosen in combinations:
        size_of = dict(zip(plan.kinds, chosen, strict=True))
        found = schedule.state(at_us, windows, [size_of[kind] for kind in schedule.thresholds])
        if not key.conditions[1]:
            found = Missing(NO_MODEL)
        reason = None
        exchange: tuple[int | None, int | None] = (1, 1)
        if isinstance(found, Missing):
            reason = found.reason.replace(f" on {iso(at_us)[:10]}.", f" on {_DAY}.", 1)
        elif found.currency != "USD":
            known = book.exchange.at(found.currency, at_us)
            exchange = (known.rate.numerator, known.rate.denominator) if known else (None, None)
        yield State(key.key_id, epoch, chosen, found, reason, exchange)


def _fits(state: State, units: Sequence[str], largest: Sequence[int]) -> bool:
    """Whether no row's sum in this state leaves 64 bits."""
    if isinstance(state.found, Missing):
        return True
    weights, denominator = state.found.weights, state.found.denominator
    most = dict(zip(units, largest, strict=True))
    minimums = state.found.minimums
    total = sum(
        weight * max(most.get(unit, 0), int(minimums.get(unit, 0)), 1)
        for unit, weight in weights.items()
        if unit in most or unit == "request"
    )
    return total < BIGINT_SAFE and denominator < BIGINT_SAFE and state.exchange == (1, 1)


# Writing the tables that the query reads


def _write(connection: "DuckDBPyConnection", plan: Plan) -> None:
    names = ", ".join(f"{name} VARCHAR" for name in CONDITIONS)
    edges = "".join(f", edge{place} BIGINT" for place in range(plan.edges_max))
    sizes = "".join(
        f", {kind}{place} BIGINT" for kind in plan.kinds for place in range(plan.thresholds_max(kind))
    )
    key_columns = f"{names}, key_id INTEGER, is_busy BOOLEAN{edges}{sizes}"
    _fill(connection, "ff_keys", key_columns, (_key_row(plan, key) for key in plan.keys))
    _fill(
        connection,
        "ff_edges",
        "key_id INTEGER, starts_us BIGINT, epoch INTEGER",
        (
            (key.key_id, starts_us, epoch)
            for key in plan.keys
            if key.is_busy
            for epoch, starts_us in enumerate(key.starts, start=1)
        ),
    )
    kinds = "".join(f", at_{kind} INTEGER" for kind in plan.kinds)
    integer = "BIGINT" if plan.is_narrow else "HUGEINT"
    weights = "".join(f", w_{unit} {integer}, m_{unit} BIGINT" for unit in plan.billed)
    _fill(
        connection,
        "ff_rates",
        f"key_id INTEGER, epoch INTEGER{kinds}, reason VARCHAR, named VARCHAR, adds VARCHAR, "
        f"currency VARCHAR, x_num HUGEINT, x_den HUGEINT, den {integer}{weights}",
        (_rate_row(state, plan.billed) for state in plan.states),
    )


def _key_row(plan: Plan, key: Key) -> tuple[object, ...]:
    edges = [] if key.is_busy else key.starts
    sizes: list[int | None] = []
    for kind in plan.kinds:
        sizes += _padded(key.schedule.thresholds.get(kind, []), plan.thresholds_max(kind))
    return (*key.conditions, key.key_id, key.is_busy, *_padded(edges, plan.edges_max), *sizes)


def _rate_row(state: State, units: Sequence[str]) -> tuple[object, ...]:
    head = (state.key_id, state.epoch, *state.sizes)
    if isinstance(state.found, Missing):
        return (*head, state.reason, *[None] * (6 + 2 * len(units)))
    found = state.found
    weights, denominator = found.weights, found.denominator
    pairs: list[int | None] = []
    for unit in units:
        minimum = found.minimums.get(unit)
        if minimum is not None and minimum != int(minimum):
            raise BadInput(
                f"Found a minimum of {minimum} for {unit!r} of {found.model}: expected a whole number."
            )
        pairs += [weights.get(unit), None if minimum is None else int(minimum)]
    named = f"model {found.model!r} at {found.provider}"
    adds = f"{found.provider}/{found.model}"
    return (*head, None, named, adds, found.currency, *state.exchange, denominator, *pairs)


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


def _price_others(
    connection: "DuckDBPyConnection", source: str, book: PriceBook, organisation: str | None
) -> int:
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
                yield (row["ff_row"], *priced_row(book, row, units, organisation))

    priced = list(rows())
    types = "computed_nano BIGINT, computed_state VARCHAR, computed_reason VARCHAR, original_nano BIGINT, "
    _fill(connection, "ff_others_priced", f"ff_row BIGINT, {types} original_currency VARCHAR", priced)
    return len(priced)


# The query


def _query(plan: Plan, source: str, kept: str, has_state: bool) -> str:
    """The multiplication: rows to keys, keys to states, counts times weights, rounded once."""
    match = " AND ".join(
        (
            "s.ff_key = r.key_id",
            "s.ff_epoch = r.epoch",
            *(f"s.ff_{kind} = r.at_{kind}" for kind in plan.kinds),
        )
    )
    total = " + ".join(_term(plan, unit) for unit in plan.billed) or "0"
    if plan.states and all(found.denominator == 1 for found in plan.found):
        own = "s.ff_total"
    else:
        own = _half_even_sql("s.ff_total", "s.ff_den")
    return (
        f"SELECT {kept}, {_nano_sql('s.ff_dollars')} AS computed_nano, "
        f"{_state_sql(has_state)} AS computed_state, {_reason_sql(plan, has_state)} AS computed_reason, "
        "CASE WHEN s.ff_problem IS NULL AND s.ff_currency <> 'USD' THEN try_cast(s.ff_own AS BIGINT) END "
        "AS original_nano, CASE WHEN original_nano IS NOT NULL THEN s.ff_currency END AS original_currency "
        f"FROM (SELECT s.*, {_dollars_sql(plan)} AS ff_dollars FROM (SELECT s.*, {own} AS ff_own "
        f"FROM (SELECT s.*, {_problem_sql(plan, has_state)} AS ff_problem, r.reason AS ff_reason, "
        "r.named AS ff_named, r.adds AS ff_adds, r.currency AS ff_currency, r.x_num AS ff_num, "
        f"r.x_den AS ff_of, r.den AS ff_den, {_missing_sql(plan)} AS ff_missing, {total} AS ff_total "
        f"FROM ({_keyed_sql(plan, source)}) s JOIN ff_rates r ON {match}) s) s) s"
    )


def _keyed_sql(plan: Plan, source: str) -> str:
    """Each row with its key, the stretch of time it falls in, and the sizes of prompt it passes."""
    on = " AND ".join(f"coalesce(s.{name}, '') = k.{name}" for name in CONDITIONS)
    edges = [f"coalesce((s.at_us >= k.edge{place})::INTEGER, 0)" for place in range(plan.edges_max)]
    epoch = " + ".join(edges) or "0"
    sizes = "".join(f", {_size_sql(plan, kind)} AS ff_{kind}" for kind in plan.kinds)
    keyed = (
        f"SELECT s.*, k.key_id AS ff_key, k.is_busy AS ff_busy, {epoch} AS ff_epoch{sizes} "
        f"FROM {source} s JOIN ff_keys k ON {on}"
    )
    if not any(key.is_busy for key in plan.keys):
        return keyed
    return (
        f"SELECT * FROM ({keyed}) WHERE NOT ff_busy UNION ALL "
        f"SELECT t.* REPLACE (coalesce(e.epoch, 0) AS ff_epoch) "
        f"FROM (SELECT * FROM ({keyed}) WHERE ff_busy) t ASOF LEFT JOIN ff_edges e ON t.ff_key = e.key_id AND t.at_us >= e.starts_us"
    )


def _size_sql(plan: Plan, kind: str) -> str:
    """How many thresholds of this kind the row passes."""
    parts = [f'coalesce(s."{unit}", 0)' for unit in plan.units if unit in COUNTED[kind]]
    size = f"({' + '.join(parts) or '0'})"
    return " + ".join(
        f"coalesce(({size} >= k.{kind}{place})::INTEGER, 0)" for place in range(plan.thresholds_max(kind))
    )


def _term(plan: Plan, unit: str) -> str:
    """What a unit adds to the sum; null where it is used and has no rate."""
    has_minimum = any(unit in found.minimums for found in plan.found)
    if unit == "request" and any("request" in found.weights for found in plan.found):
        count = 's."request"' if "request" in plan.units else "NULL"
        used = " OR ".join(f'coalesce(s."{other}", 0) > 0' for other in plan.units) or "false"
        one = (
            f"CASE WHEN {count} > 0 THEN {count} WHEN ({used}) AND r.w_request IS NOT NULL THEN 1 ELSE 0 END"
        )
        return f"CASE WHEN ({one}) > 0 THEN ({one}) * r.w_request ELSE 0 END"
    count = f'greatest(s."{unit}", r.m_{unit})' if has_minimum else f's."{unit}"'
    if not has_minimum and all(unit in found.weights for found in plan.found):
        return f"coalesce({count}, 0) * r.w_{unit}"
    return f'CASE WHEN s."{unit}" > 0 THEN {count} * r.w_{unit} ELSE 0 END'


def _missing_sql(plan: Plan) -> str:
    """The units that a row uses and that have no rate, in order; null where there are none."""
    lacking = [unit for unit in plan.units if any(unit not in found.weights for found in plan.found)]
    if not lacking:
        return "NULL::VARCHAR[]"
    used = " OR ".join(f'(s."{unit}" > 0 AND r.w_{unit} IS NULL)' for unit in lacking)
    names = ", ".join(
        f"CASE WHEN s.\"{unit}\" > 0 AND r.w_{unit} IS NULL THEN '{unit}' END" for unit in lacking
    )
    return f"CASE WHEN r.reason IS NULL AND ({used}) THEN list_filter([{names}], lambda x: x IS NOT NULL) END"


def _problem_sql(plan: Plan, has_state: bool) -> str:
    """Why the row cannot be priced whatever its rates: it contradicts itself, says nothing, has no time."""
    if not plan.units:
        return _quoted(NO_USAGE)
    odd = " OR ".join(f's."{unit}" NOT BETWEEN 0 AND {COUNT_MAX}' for unit in plan.units)
    which = " ".join(
        f"WHEN s.\"{unit}\" {sign} THEN 'Found ' || s.\"{unit}\" || ' for ''{unit}'': {what}.'"
        for unit in plan.units
        for sign, what in (("< 0", "a count is never negative"), (f"> {COUNT_MAX}", "no call uses that much"))
    )
    nothing = " AND ".join(f's."{unit}" IS NULL' for unit in plan.units)
    unknown = " OR s.usage_state = 'unknown'" if has_state else ""
    return (
        f"CASE WHEN {odd} THEN CASE {which} END WHEN ({nothing}){unknown} THEN {_quoted(NO_USAGE)} "
        f"WHEN s.at_us IS NULL THEN {_quoted(NO_TIME)} END"
    )


def _dollars_sql(plan: Plan) -> str:
    if all(found.currency == "USD" for found in plan.found):
        return "s.ff_own"
    return _half_even_sql("s.ff_own * s.ff_num", "s.ff_of")


def _half_even_sql(numerator: str, denominator: str) -> str:
    """Division of what is not negative, halves to even."""
    whole, rest = f"(({numerator}) // {denominator})", f"(({numerator}) % {denominator})"
    return (
        f"{whole} + CASE WHEN 2 * {rest} > {denominator} OR (2 * {rest} = {denominator} AND {whole} % 2 = 1) "
        "THEN 1 ELSE 0 END"
    )


def _nano_sql(amount: str) -> str:
    return f"CASE WHEN s.ff_problem IS NULL THEN try_cast({amount} AS BIGINT) END"


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
        f"WHEN s.ff_currency = {_quoted(one)} AND s.ff_num IS NULL THEN {_quoted(no_exchange_rate(one))} "
        for one in sorted(currencies)
    )
    estimated = (
        f"CASE WHEN s.usage_state = 'estimated' THEN {_quoted(ESTIMATED)} END" if has_state else "NULL"
    )
    return (
        f"CASE WHEN computed_nano IS NOT NULL THEN {estimated} "
        "WHEN s.ff_problem IS NOT NULL THEN s.ff_problem WHEN s.ff_reason IS NOT NULL THEN "
        f"replace(s.ff_reason, '{_DAY}', strftime(make_timestamp(s.at_us), '%Y-%m-%d')) "
        "WHEN s.ff_missing IS NOT NULL THEN 'no rate for ''' || array_to_string(s.ff_missing, ''', ''') || "
        "''' of ' || s.ff_named || ': flatfare prices add ' || s.ff_adds || ' --rate ' || "
        " array_to_string(s.ff_missing, '=… --rate ') || '=…' "
        f"{exchange} ELSE {_quoted(TOO_LARGE)} END"
    )


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
