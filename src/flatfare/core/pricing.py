"""Usage times rates is cost: each unit once, at its most specific rate, rounded once.

The sum over the leaves is exact; rounding to whole nano units happens a single
time at the end, half to even. A unit that has no rate, nor a kind of unit that
has one, makes the cost unknown: nothing is priced at zero for want of a price.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from flatfare.core.cost import Cost
from flatfare.core.errors import BadInput
from flatfare.core.money import NANO, half_even, nano_of
from flatfare.core.units import UNITS, lineage
from flatfare.core.usage import Count, Usage

MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Rate:
    """The price of ``per`` of one unit, in nano units of currency.

    Tokens are priced per million; searches often per thousand, audio per 60 or
    3,600 seconds: the provider's own quantity is kept so that the rate stays whole.
    """

    amount_nano: int
    per: int = MILLION

    def times(self, count: Count) -> Fraction:
        """The exact price of so many, in nano units."""
        return Fraction(count) * self.amount_nano / self.per


class Rates(Mapping[str, Rate]):
    """The rate of each unit, for one model under one set of conditions.

    >>> Rates.per_million(input="2.50", cache_read="0.25")["cache_read"]
    Rate(amount_nano=250000000, per=1000000)
    """

    __slots__ = ("_rates",)

    def __init__(self, rates: Mapping[str, Rate]) -> None:
        for unit in rates:
            if unit not in UNITS:
                raise BadInput(
                    f"Found a rate for {unit!r}, which is no billable unit: see flatfare.core.units."
                )
        self._rates = dict(rates)

    @classmethod
    def per_million(cls, **amounts: str) -> "Rates":
        """Rates in units of currency per million, as decimal text."""
        return cls({unit: Rate(nano_of(Decimal(amount))) for unit, amount in amounts.items()})

    def __getitem__(self, unit: str) -> Rate:
        return self._rates[unit]

    def __iter__(self) -> Iterator[str]:
        return iter(self._rates)

    def __len__(self) -> int:
        return len(self._rates)

    def governing(self, unit: str) -> str | None:
        """The unit whose rate prices this one: itself, else the nearest kind of it that has a rate."""
        return next((name for name in lineage(unit) if name in self._rates), None)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the explanation: so many of a unit, at this rate, make this amount."""

    unit: str
    count: Count
    rated_as: str  # the unit whose rate applied
    rate: Rate

    @property
    def amount(self) -> Fraction:
        """Exact, in nano units."""
        return self.rate.times(self.count)


@dataclass(frozen=True, slots=True)
class Priced:
    """A cost and the lines that make it up."""

    cost: Cost
    lines: tuple[Line, ...]


def price(usage: Usage, rates: Rates, currency: str = "USD") -> Priced:
    """Price each unit once, at its most specific rate.

    >>> price(Usage(input=600, cache_read=400), Rates.per_million(input="2.50", cache_read="0.25")).cost
    Cost('$0.0016', measured)
    >>> price(Usage(web_search=1), Rates.per_million(input="2.50")).cost.reason
    "no rate for 'web_search'"
    """
    lines = []
    missing = []
    for unit, count in usage.items():
        governing = rates.governing(unit)
        if governing is None:
            missing.append(unit)
        else:
            lines.append(Line(unit, count, governing, rates[governing]))
    if missing:
        return Priced(Cost.unknown(f"no rate for {', '.join(map(repr, missing))}", currency), tuple(lines))
    return Priced(Cost.measured(sum_lines(lines), currency=currency), tuple(lines))


def sum_lines(lines: Iterable[Line]) -> int:
    """The lines' amounts summed exactly and rounded once, half to even, in nano units."""
    exact = sum((line.amount for line in lines), Fraction(0))
    return half_even(exact.numerator, exact.denominator)


def rate_text(rate: Rate) -> str:
    """The rate as decimal text in units of currency, at least two decimals.

    >>> rate_text(Rate(2_500_000_000)), rate_text(Rate(37_500_000))
    ('2.50', '0.0375')
    """
    whole, rest = divmod(rate.amount_nano, NANO)
    return f"{whole}.{f'{rest:09d}'.rstrip('0').ljust(2, '0')}"


def amount_text(amount_nano: Fraction) -> str:
    """An exact amount in units of currency: nine decimals, more where it has them, fifteen at most."""
    scaled = half_even(amount_nano.numerator * 10**6, amount_nano.denominator)
    sign, size = ("-" if scaled < 0 else ""), abs(scaled)
    whole, rest = divmod(size, NANO * 10**6)
    digits = f"{rest:015d}"
    return f"{sign}{whole}.{digits[:9]}{digits[9:].rstrip('0')}"
