"""Dated exchange rates: what one unit of a currency was worth in dollars on a day, and who says so.

An amount stays in its own currency; the rate of its day stands beside it. A day before the
first known rate, or more than 45 days after the last, has none.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from flatfare.core.moments import DAY_US
from flatfare.core.money import half_even
from flatfare.core.pricing import Rate
from flatfare.prices.statement import day_us

STALE_AFTER_US = 45 * DAY_US


@dataclass(frozen=True, slots=True)
class Exchanged:
    """Dollars per unit of the currency, since a day."""

    rate: Fraction
    since_us: int
    source: str

    def to_dollars_nano(self, amount_nano: int) -> int:
        """The amount in nano-dollars, rounded once, half to even."""
        exact = amount_nano * self.rate
        return half_even(exact.numerator, exact.denominator)


class ExchangeRates:
    """Rates to the dollar by currency and day."""

    def __init__(self, rows: Iterable[tuple[str, str, str, str]] = ()) -> None:
        """Rows of (currency, day, dollars per unit, source), in any order; a later row of a day wins."""
        found: dict[str, dict[int, Exchanged]] = {}
        for currency, day, rate, source in rows:
            since = day_us(day)
            assert since is not None
            found.setdefault(currency.upper(), {})[since] = Exchanged(Fraction(rate), since, source)
        self._rates: Mapping[str, list[Exchanged]] = {
            currency: [days[day] for day in sorted(days)] for currency, days in found.items()
        }

    def at(self, currency: str, at_us: int) -> Exchanged | None:
        """What the currency was worth at the moment; None where it is not known."""
        if currency == "USD":
            return Exchanged(Fraction(1), 0, "")
        days = self._rates.get(currency, [])
        position = bisect_right([day.since_us for day in days], at_us) - 1
        if position < 0 or at_us - days[position].since_us > STALE_AFTER_US:
            return None
        return days[position]

    def days(self, currency: str) -> list[int]:
        """The moments at which the currency's rate may change: a new one, or an old one gone stale."""
        starts = [day.since_us for day in self._rates.get(currency, [])]
        return sorted({*starts, *(start + STALE_AFTER_US + 1 for start in starts)})

    def convert(self, rate: Rate, own: str, wanted: str, at_us: int) -> Rate | None:
        """A rate in another currency, exactly; None where either exchange rate is not known."""
        before, after = self.at(own, at_us), self.at(wanted, at_us)
        if before is None or after is None:
            return None
        exact = rate.amount_nano * before.rate / after.rate
        return Rate(exact.numerator, rate.per * exact.denominator)
