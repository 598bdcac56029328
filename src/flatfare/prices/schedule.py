"""One model's statements under fixed conditions, and the rates that hold at a moment for a size of prompt.

The statements that could hold are gathered once; time and prompt size then only choose among states that are
each worked out a single time. Two calls in one state have the same rates, always.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import gcd, lcm

from flatfare.core.moments import DAY_US
from flatfare.core.money import half_even
from flatfare.core.pricing import Rate, Rates
from flatfare.core.units import UNITS, lineage
from flatfare.core.usage import Count
from flatfare.prices.statement import (
    COUNTED,
    STANDARD,
    TOKENS,
    Derived,
    Statement,
)
from flatfare.prices.version import version_name
from flatfare.prices.windows import Window

# Where two rates state as many conditions as each other, the one that states the weightier applies.
WEIGHT: Mapping[str, int] = {"tier": 8, "region": 4, "context": 2, "during": 1}


DAYS_MAX = 1000  # reasons kept per schedule

Point = tuple[int, tuple[bool, ...], tuple[int, ...]]
"""Where a call stands: which stretch of dates, which windows are open, which sizes are passed."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A statement and where it stands: how trusted its layer is, and whether it is the model's own."""

    statement: Statement
    trust: int
    is_own_model: bool
    position: int


@dataclass(frozen=True, slots=True)
class Provenance:
    """Who says so, since when, and when a person last compared it."""

    since_us: int | None
    source: str
    checked: str | None
    note: str | None = None
    trust: int = 0
    conditions: tuple[str, ...] = ()
    multipliers: tuple[str, ...] = ()


class Found:
    """The rates of one model under stated conditions at a moment, with who says so.

    ``cost_nano`` is the lean way to the same amount as ``core.pricing.price``.
    """

    __slots__ = (
        "_denominator",
        "_on_use",
        "_version",
        "_weights",
        "currency",
        "minimums",
        "model",
        "provenance",
        "provider",
        "rates",
        "trust",
    )

    def __init__(
        self,
        provider: str,
        model: str,
        rates: Rates,
        currency: str,
        provenance: Mapping[str, Provenance],
        minimums: Mapping[str, Count],
        trust: int = 0,
        on_use: "Callable[[Found], None] | None" = None,
    ) -> None:
        self.provider = provider
        self.model = model
        self.rates = rates
        self.currency = currency
        self.provenance = provenance
        self.minimums = minimums
        self.trust = trust  # of the most trusted who says something of these prices
        self._on_use = on_use
        self._version: str | None = None
        denominator = lcm(1, *(rate.per for rate in rates.values()))
        weights: dict[str, int] = {}
        for unit in UNITS:
            governing = rates.governing(unit)
            if governing is not None:
                rate = rates[governing]
                weights[unit] = rate.amount_nano * (denominator // rate.per)
        # In lowest terms most sums of whole counts are whole, and need no division.
        common = gcd(denominator, *weights.values())
        self._denominator = denominator // common
        self._weights = {unit: weight // common for unit, weight in weights.items()}

    @property
    def version(self) -> str:
        """What these prices are called; worked out at their first use, of which the book is told."""
        if self._version is None:
            self._version = version_name(
                self.provider, self.model, self.since_us, self.trust, self.currency, self.rates, self.minimums
            )
            if self._on_use is not None:
                self._on_use(self)
        return self._version

    @property
    def since_us(self) -> int | None:
        """The moment from which all of these rates hold; None where no source names a day."""
        moments = [said.since_us for said in self.provenance.values() if said.since_us is not None]
        return max(moments, default=None)

    @property
    def weights(self) -> Mapping[str, int]:
        """Per unit its price in nano units over ``denominator``, kinds that borrow a rate included."""
        return self._weights

    @property
    def denominator(self) -> int:
        """What a sum of counts times weights is divided by, once."""
        return self._denominator

    def billed(self, counts: Mapping[str, Count]) -> Mapping[str, Count]:
        """What is billed for what was used: minimums kept, and the request where requests have a fee."""
        if not self.minimums and "request" not in self.rates:
            return counts
        raised = {
            unit: max(count, self.minimums.get(unit, count)) if count else count
            for unit, count in counts.items()
        }
        if "request" in self.rates and counts and "request" not in raised:
            raised["request"] = 1
        return raised

    def cost_nano(self, counts: Mapping[str, Count]) -> int | None:
        """The cost in nano units, summed exactly and rounded once; None where a unit has no rate."""
        weights = self._weights
        if self.minimums or "request" in weights:
            counts = self.billed(counts)
        total = 0
        try:
            for unit, count in counts.items():
                if type(count) is not int:
                    exact = self.exact_nano(counts)
                    return None if exact is None else half_even(exact.numerator, exact.denominator)
                total += count * weights[unit]
        except KeyError:
            return None
        return total if self._denominator == 1 else half_even(total, self._denominator)

    def exact_nano(self, counts: Mapping[str, Count]) -> Fraction | None:
        """The cost in nano units, not rounded; None where a unit has no rate."""
        billed = self.billed(counts)
        if any(unit not in self._weights for unit in billed):
            return None
        total = sum((Fraction(count) * self._weights[unit] for unit, count in billed.items()), Fraction(0))
        return total / self._denominator

    def without_rate(self, counts: Iterable[str]) -> list[str]:
        """The units that neither have a rate nor a kind that has one."""
        return [unit for unit in counts if unit not in self._weights]


@dataclass(frozen=True, slots=True)
class Missing:
    """There is no price, and why, in words that a person can act on."""

    reason: str


class Schedule:
    """The rates of one model under fixed tier, region and details, changing with time and prompt size."""

    __slots__ = (
        "_contexts",
        "_explain",
        "_found",
        "_is_plain",
        "_missing",
        "_placed",
        "boundaries",
        "convert",
        "model",
        "on_use",
        "provider",
        "thresholds",
        "tier",
        "windows",
    )

    def __init__(
        self,
        provider: str,
        model: str,
        tier: str,
        placed: Sequence[Placed],
        explain: Callable[[int], str],
        convert: Callable[[Rate, str, str, int], Rate | None] | None = None,
        exchange_days: Callable[[str], Iterable[int]] | None = None,
        on_use: Callable[[Found], None] | None = None,
    ) -> None:
        self.provider = provider
        self.model = model
        self.tier = tier
        self._placed = placed
        self._explain = explain
        self.convert = convert
        self.on_use = on_use
        statements = [item.statement for item in placed]
        moments = {item.from_us for item in statements} | {item.until_us for item in statements}
        if len(self.currencies) > 1 and exchange_days is not None:
            moments |= {day_us for currency in self.currencies for day_us in exchange_days(currency)}
        self.boundaries: list[int] = sorted(moment for moment in moments if moment is not None)
        self.windows: list[Window] = list(
            dict.fromkeys(item.when.during[0] for item in statements if item.when.during)
        )
        self.thresholds: dict[str, list[int]] = {}
        for item in statements:
            if size := item.when.context:
                self.thresholds.setdefault(size.counted, []).append(size.at_least)
        self.thresholds = {kind: sorted(set(sizes)) for kind, sizes in self.thresholds.items()}
        self._is_plain = not self.windows and not self.thresholds
        self._found: dict[Point, Found] = {}
        self._missing: dict[tuple[int, Point], Missing] = {}

    def at(self, at_us: int, counts: Mapping[str, Count]) -> Found | Missing:
        """The rates that hold at the moment for a call of that size."""
        if self._is_plain:
            point: Point = (bisect_right(self.boundaries, at_us), (), ())
            found = self._found.get(point)
            return self._resolved(at_us, point) if found is None else found
        windows = [window.holds(at_us) for window in self.windows]
        sizes = [bisect_right(bounds, counted(kind, counts)) for kind, bounds in self.thresholds.items()]
        return self.state(at_us, windows, sizes)

    def state(self, at_us: int, windows: Sequence[bool], sizes: Sequence[int]) -> Found | Missing:
        """The rates of one state: its moment, the windows open, the thresholds passed of each kind."""
        point = (bisect_right(self.boundaries, at_us), tuple(windows), tuple(sizes))
        return self._found.get(point) or self._resolved(at_us, point)

    def _resolved(self, at_us: int, point: Point) -> Found | Missing:
        """Work a state out and keep it; a reason names the day, so that it is kept by day."""
        day = at_us // DAY_US
        missing = self._missing.get((day, point))
        if missing is not None:
            return missing
        resolved = self._worked_out(at_us, point[1], point[2])
        if isinstance(resolved, Found):
            self._found[point] = resolved
        else:
            if len(self._missing) >= DAYS_MAX:
                self._missing.clear()
            self._missing[day, point] = resolved
        return resolved

    def _worked_out(self, at_us: int, windows: Sequence[bool], sizes: Sequence[int]) -> Found | Missing:
        is_open = dict(zip(self.windows, windows, strict=True))
        passed = {
            kind: self.thresholds[kind][:size] for kind, size in zip(self.thresholds, sizes, strict=True)
        }
        holding = [item for item in self._placed if _holds(item.statement, at_us, is_open, passed)]
        if not any(item.statement.rates for item in holding if item.is_own_model):
            return Missing(self._explain(at_us))
        if self.tier != STANDARD and not any(
            item.statement.when.tier and item.statement.covers_tokens for item in holding
        ):
            return Missing(
                f"No rates for the service tier {self.tier!r} of model {self.model!r} at {self.provider} are "
                f"known, only its standard ones. Add them: flatfare prices add {self.provider}/{self.model} "
                f"--tier {self.tier} --input … --output …"
            )
        return _rated(self, holding, at_us)

    @property
    def currencies(self) -> frozenset[str]:
        """The currencies of all its statements."""
        return frozenset(item.statement.currency for item in self._placed)

    def segments(self, from_us: int, until_us: int) -> list[int]:
        """The moments in (from, until) at which the rates may change, windows included."""
        edges = {edge for window in self.windows for edge in window.edges(from_us, until_us)}
        return sorted(edges | {edge for edge in self.boundaries if from_us < edge < until_us})


def counted(kind: str, counts: Mapping[str, Count]) -> int:
    """How many tokens a context-size condition of that kind sees."""
    units = COUNTED[kind]
    return sum([int(count) for unit, count in counts.items() if unit in units])


def _holds(
    statement: Statement, at_us: int, is_open: Mapping[Window, bool], passed: Mapping[str, Sequence[int]]
) -> bool:
    if statement.from_us is not None and at_us < statement.from_us:
        return False
    if statement.until_us is not None and at_us >= statement.until_us:
        return False
    when = statement.when
    if when.during is not None and is_open[when.during[0]] is not when.during[1]:
        return False
    return when.context is None or when.context.at_least in passed[when.context.counted]


def _rank(item: Placed) -> tuple[int, int, int, int, int, int, int, int]:
    """Which of two statements wins, as docs/price-data.md orders them."""
    statement = item.statement
    stated = statement.when.stated
    return (
        len(stated),
        sum(WEIGHT.get(name, 16) for name in stated),
        statement.when.context.at_least if statement.when.context else 0,
        item.trust,
        statement.organisation is not None,
        item.is_own_model,
        statement.from_us if statement.from_us is not None else -1,
        item.position,
    )


def _rated(schedule: Schedule, holding: Sequence[Placed], at_us: int) -> Found | Missing:
    ordered = sorted(holding, key=_rank, reverse=True)
    plain = _chosen(ordered)
    multipliers = [item for item in ordered if item.statement.times is not None]
    rates: dict[str, Rate] = {}
    provenance: dict[str, Provenance] = {}
    trust = 0
    for unit, (rate, item) in plain.items():
        factor, multiplying = _factor(unit, item.statement, multipliers)
        rates[unit] = _scaled(rate, factor)
        used = [one.statement for one in multiplying]
        trust = max(trust, item.trust, *(one.trust for one in multiplying))
        statement = item.statement
        latest = max(
            (moment for moment in (statement.from_us, *(m.from_us for m in used)) if moment), default=None
        )
        provenance[unit] = Provenance(
            since_us=latest,
            source=statement.source,
            checked=statement.checked,
            note=statement.note,
            trust=item.trust,
            conditions=tuple(sorted(statement.when.stated)),
            multipliers=tuple(f"{m.times}x ({m.name or 'terms'}: {m.source})" for m in used),
        )
    currency = _common_currency(plain)
    rates = _in_one_currency(schedule, rates, plain, currency, at_us)
    if not rates:
        return Missing(_unexchanged(schedule, plain))
    minimums: dict[str, Count] = {}
    for item in reversed(ordered):
        minimums.update(item.statement.minimum or {})
        trust = max(trust, item.trust) if item.statement.minimum else trust
    stated = Rates(rates)
    return Found(
        schedule.provider, schedule.model, stated, currency, provenance, minimums, trust, schedule.on_use
    )


Chosen = Mapping[str, tuple[Rate, Placed]]


def _chosen(ordered: Sequence[Placed]) -> dict[str, tuple[Rate, Placed]]:
    """Each unit's winning rate, before multipliers; derived ones worked out of the unit they come from."""
    first: dict[str, Placed] = {}
    for item in ordered:
        for unit in item.statement.rates:
            first.setdefault(unit, item)
    found: dict[str, tuple[Rate, Placed]] = {}
    for unit, item in first.items():
        amount = item.statement.rates[unit]
        if isinstance(amount, Rate):
            found[unit] = (amount, item)
    for unit, item in first.items():
        amount = item.statement.rates[unit]
        if isinstance(amount, Derived):
            origin = next((found[name] for name in lineage(amount.unit) if name in found), None)
            if origin is not None:
                # What it derives from may state more (a context size, a tier): then so does it.
                stating = origin[1] if len(origin[1].statement.when.stated) > 0 else item
                found[unit] = (_scaled(origin[0], amount.factor), stating)
    return found


def _factor(unit: str, rated: Statement, multipliers: Sequence[Placed]) -> tuple[Fraction, list[Placed]]:
    """The product of the multipliers that reach this unit, one of each name."""
    factor = Fraction(1)
    used: list[Placed] = []
    seen: set[str] = set()
    stated = rated.when.stated
    for item in multipliers:
        statement = item.statement
        if unit not in statement.units or statement.name in seen:
            continue
        seen.add(statement.name)
        if statement.when.stated and statement.when.stated <= stated:
            continue
        assert statement.times is not None
        if statement.times != 1:
            factor *= statement.times
            used.append(item)
    return factor, used


def _scaled(rate: Rate, factor: Fraction) -> Rate:
    """The rate times an exact factor; ``per`` grows only where the amount would not stay whole."""
    if factor == 1:
        return rate
    exact = rate.amount_nano * factor
    return Rate(exact.numerator, rate.per * exact.denominator)


def _common_currency(plain: Chosen) -> str:
    currencies = {item.statement.currency for _, item in plain.values()}
    if len(currencies) == 1:
        return currencies.pop()
    leading = [item.statement.currency for unit, (_, item) in plain.items() if unit in TOKENS]
    return leading[0] if leading and len(set(leading)) == 1 else "USD"


def _unexchanged(schedule: Schedule, plain: Chosen) -> str:
    """Why rates of several currencies are none, and what to add."""
    names = sorted({item.statement.currency for _, item in plain.values()})
    todo = " and ".join(
        f"flatfare prices add exchange/{name} --rate … --from …" for name in names if name != "USD"
    )
    return (
        f"The rates of model {schedule.model!r} at {schedule.provider} are in {' and '.join(names)}, and an "
        f"exchange rate of the day is not known. Add it: {todo}"
    )


def _in_one_currency(
    schedule: Schedule, rates: dict[str, Rate], plain: Chosen, currency: str, at_us: int
) -> dict[str, Rate]:
    """The rates, those of another currency converted at the day's rate; none where that is not known."""
    converted = {}
    for unit, rate in rates.items():
        own = plain[unit][1].statement.currency
        if own == currency:
            converted[unit] = rate
            continue
        exchanged = _exchanged(schedule, rate, own, currency, at_us)
        if exchanged is None:
            return {}
        converted[unit] = exchanged
    return converted


def _exchanged(schedule: Schedule, rate: Rate, own: str, currency: str, at_us: int) -> Rate | None:
    return None if schedule.convert is None else schedule.convert(rate, own, currency, at_us)
