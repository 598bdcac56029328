"""The plan of a bulk pricing: every distinct condition of a table of calls, resolved once.

Each row of the table falls into exactly one key, one stretch of time and one size of prompt; together
they are its state, and a state has one set of rates.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from flatfare.core.errors import StoreFailure
from flatfare.core.moments import DAY_US, iso
from flatfare.core.usage import COUNT_MAX
from flatfare.prices.book import Circumstances, Found, Missing, PriceBook
from flatfare.prices.schedule import Schedule
from flatfare.service.costing.pricing import NO_MODEL

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

CONDITIONS = ("provider", "model", "service_tier", "region")
DAY_MARK = "{day}"
"""Stands in a reason where the row's day belongs."""

EDGES_IN_COLUMNS_MAX = 6  # beyond that a join by day is cheaper than comparing
BIGINT_SAFE = 2**62
SALTS_MAX = 8
DAYS_OF_KEY = 1_000_000  # days since 1970 of any year to come


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

    hashed: int  # of its conditions, as SQL hashes them
    key_id: int
    model: str
    schedule: Schedule
    first_us: int
    last_us: int
    starts: list[int]

    @property
    def is_busy(self) -> bool:
        return len(self.starts) > EDGES_IN_COLUMNS_MAX


@dataclass(slots=True)
class Plan:
    """What SQL needs to know, resolved."""

    units: tuple[str, ...]  # columns of the source that are units and are used
    columns: tuple[str, ...]  # all that are units
    salt: int  # with which no two keys hash alike
    epochs_max: int = 1
    kinds: tuple[str, ...] = ()  # what size conditions count, of those in use
    keys: list[Key] = field(default_factory=list)
    states: list[State] = field(default_factory=list)
    found: tuple[Found, ...] = ()  # the distinct rates among the states
    billed: tuple[
        str, ...
    ] = ()  # units a row may be billed for: its columns, and requests where they have a fee
    with_minimum: tuple[str, ...] = ()
    lacking: tuple[str, ...] = ()  # units that some rates have no price for
    odd: tuple[str, ...] = ()  # columns that hold counts no call has
    day_edges_max: int = 0
    is_narrow: bool = True  # 64 bits hold every sum

    @property
    def radices(self) -> list[int]:
        """What a stretch of time and each size count in a state's number."""
        found = [1]
        for kind in reversed(self.kinds):
            found.insert(0, found[0] * (self.thresholds_max(kind) + 1))
        return found

    def point(self, state: State) -> int:
        """The number of a state, as the query works it out for a row."""
        parts = (state.key_id * self.epochs_max + state.epoch, *state.sizes)
        return sum(part * radix for part, radix in zip(parts, self.radices, strict=True))

    @property
    def edges_max(self) -> int:
        return max((len(key.starts) for key in self.keys if not key.is_busy), default=0)

    def thresholds_max(self, kind: str) -> int:
        return max(len(key.schedule.thresholds.get(kind, ())) for key in self.keys)


def planned(
    connection: "DuckDBPyConnection",
    source: str,
    columns: tuple[str, ...],
    book: PriceBook,
) -> Plan:
    salt, rows = _distinct(connection, source, columns)
    least = [min((row[7 + 2 * place] or 0 for row in rows), default=0) for place in range(len(columns))]
    most = [max((row[8 + 2 * place] or 0 for row in rows), default=0) for place in range(len(columns))]
    reach = dict(zip(columns, zip(least, most, strict=True), strict=True))
    units = tuple(unit for unit in columns if reach[unit] != (0, 0))  # the others add nothing anywhere
    plan = Plan(units, columns, salt)
    plan.odd = tuple(unit for unit in units if reach[unit][0] < 0 or reach[unit][1] > COUNT_MAX)
    plan.keys = [_key(book, key_id, row) for key_id, row in enumerate(rows)]
    plan.kinds = tuple(sorted({kind for key in plan.keys for kind in key.schedule.thresholds}))
    for key in plan.keys:
        for epoch, at_us in enumerate([key.first_us, *key.starts]):
            plan.states += _states(plan, book, key, epoch, at_us)
    plan.epochs_max = max((len(key.starts) + 1 for key in plan.keys), default=1)
    found = {id(state.found): state.found for state in plan.states if isinstance(state.found, Found)}
    plan.found = tuple(found.values())
    has_fee = any("request" in found.weights for found in plan.found)
    plan.with_minimum = tuple(unit for unit in units if any(unit in found.minimums for found in plan.found))
    plan.lacking = tuple(unit for unit in units if any(unit not in found.weights for found in plan.found))
    plan.billed = (*units, "request") if has_fee and "request" not in units else units
    plan.is_narrow = all(_fits(state, {unit: reach[unit][1] for unit in units}) for state in plan.states)
    return plan


def hash_sql(salt: int) -> str:
    """The hash of a row's conditions; null and empty text are told apart, which does no harm."""
    return f"hash({salt}, {', '.join(CONDITIONS)})"


def _distinct(
    connection: "DuckDBPyConnection", source: str, columns: Sequence[str]
) -> tuple[int, list[tuple[Any, ...]]]:
    """Each distinct condition with its hash, times and extreme counts, under a salt without collisions."""
    extremes = "".join(f', min("{unit}"), max("{unit}")' for unit in columns)
    names = ", ".join(CONDITIONS)
    for salt in range(SALTS_MAX):
        rows = connection.execute(
            f"SELECT {hash_sql(salt)}, {names}, min(at_us), max(at_us) {extremes} FROM {source} "
            f"GROUP BY {names} ORDER BY {names}"
        ).fetchall()
        if len({row[0] for row in rows}) == len(rows):
            return salt, rows
    raise StoreFailure(f"{len(rows)} conditions collide under every hash: price the table in parts.")


def _key(book: PriceBook, key_id: int, row: Sequence[Any]) -> Key:
    hashed, provider, model, tier, region, first_us, last_us = row[:7]
    circumstances = Circumstances(tier or None, region or None)
    schedule = book.schedule(provider or "", model or "", circumstances)
    first_us, last_us = first_us or 0, last_us or 0
    starts = _starts(book, schedule, first_us, last_us + 1)
    return Key(hashed, key_id, model or "", schedule, first_us, last_us, starts)


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
        if not key.model:
            found = Missing(NO_MODEL)
        reason = None
        exchange: tuple[int | None, int | None] = (1, 1)
        if isinstance(found, Missing):
            reason = found.reason.replace(f" on {iso(at_us)[:10]}.", f" on {DAY_MARK}.", 1)
        elif found.currency != "USD":
            known = book.exchange.at(found.currency, at_us)
            exchange = (known.rate.numerator, known.rate.denominator) if known else (None, None)
        yield State(key.key_id, epoch, chosen, found, reason, exchange)


def _fits(state: State, most: Mapping[str, int]) -> bool:
    """Whether no row's sum in this state leaves 64 bits."""
    if isinstance(state.found, Missing):
        return True
    weights, denominator = state.found.weights, state.found.denominator
    minimums = state.found.minimums
    total = sum(
        weight * max(most.get(unit, 0), int(minimums.get(unit, 0)), 1)
        for unit, weight in weights.items()
        if unit in most or unit == "request"
    )
    return total < BIGINT_SAFE and denominator < BIGINT_SAFE


def day_rows(plan: Plan) -> Iterator[tuple[int, int, list[int]]]:
    """Of each key that changes often, each day: its number, the stretch it begins in, the edges within it."""
    for key in plan.keys:
        if not key.is_busy:
            continue
        epoch = place = 0
        for day in range(key.first_us // DAY_US, key.last_us // DAY_US + 1):
            start = place
            while place < len(key.starts) and key.starts[place] < (day + 1) * DAY_US:
                place += 1
            yield day_key(key.key_id, day), epoch, key.starts[start:place]
            epoch = place


def day_key(key_id: int, day: int) -> int:
    """The number of a key's day."""
    return key_id * DAYS_OF_KEY + day
