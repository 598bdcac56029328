"""From what a provider's answer used to what it cost, with the dated rates behind it: the one way there.

The gateway, an import, the meter and a re-price all come through here. The lean
way and the explained way give the same nano unit.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from flatfare.config import Settings
from flatfare.core.cost import Cost
from flatfare.core.money import half_even
from flatfare.core.pricing import Rate
from flatfare.core.usage import Count
from flatfare.dialects.reading import Exchange, Part, Reading
from flatfare.prices.book import Circumstances, Found, Missing, PriceBook
from flatfare.prices.exchange import Exchanged
from flatfare.prices.log import FileLog
from flatfare.prices.schedule import Provenance
from flatfare.prices.version import joined

AMOUNT_NANO_MAX = 10**15
"""A million in one call is a broken count; sums of many such would not fit their columns either."""

NO_MODEL = "neither the request nor the answer names a model: name it with --model"
NO_TIME = "the moment of the call is not known: give it with --at, prices change"


def price_log_of(settings: Settings) -> FileLog:
    """The log of own rates that the settings name: else a file beside the book."""
    if settings.prices:
        return FileLog(Path(settings.prices))
    place = settings.database.removeprefix("sqlite:///")
    book = Path("flatfare.db") if "://" in place else Path(place)
    return FileLog(book.with_suffix(".prices.jsonl"))


def open_price_book(settings: Settings) -> PriceBook:
    """The price book under the settings' own rates, deployment names and organisation."""
    return PriceBook.standard(price_log_of(settings), settings.deployments, settings.organisation)


@dataclass(frozen=True, slots=True)
class PricedLine:
    """So many of a unit at this rate make this amount; who says so, and since when."""

    unit: str
    count: Count
    rated_as: str  # the unit whose rate applied
    rate: Rate
    provider: str
    model: str  # as the book lists it
    provenance: Provenance

    @property
    def amount(self) -> Fraction:
        """Exact, in nano units."""
        return self.rate.times(self.count)


@dataclass(frozen=True, slots=True)
class PricedReading:
    """A computed cost in the currency of its rates, the lines that make it up, and the same in dollars."""

    cost: Cost
    lines: tuple[PricedLine, ...] = ()
    exchanged: Exchanged | None = None  # the exchange rate of the day, where the rates are not in dollars

    @property
    def dollars(self) -> Cost:
        """The cost in dollars at the day's exchange rate; unknown where that is not known."""
        return in_dollars(self.cost, self.exchanged)


def price_reading(
    book: PriceBook,
    reading: Reading,
    exchange: Exchange,
    at_us: int | None = None,
) -> PricedReading:
    """What the answer cost by the book, line by line; never borrows from a charge the provider reported.

    ``at_us`` is the moment to price at where neither the exchange nor the answer names one.
    """
    if not reading.parts:
        return PricedReading(_without_usage(reading))
    moment = moment_of(reading, exchange, at_us)
    if moment is None:
        return PricedReading(Cost.unknown(NO_TIME))
    found = [(part, rates_of(book, part, reading, exchange, moment)) for part in reading.parts]
    lines = tuple(line for part, rates in found if isinstance(rates, Found) for line in _lines(rates, part))
    reasons = [reason for part, rates in found if (reason := _why_unknown(part, rates))]
    if reasons:
        return PricedReading(Cost.unknown("; ".join(dict.fromkeys(reasons))), lines)
    rated = [(part, rates) for part, rates in found if isinstance(rates, Found)]
    cost, exchanged = _summed(book, rated, moment)
    return PricedReading(_qualified(cost, reading), lines, exchanged)


def cost_reading(
    book: PriceBook,
    reading: Reading,
    exchange: Exchange,
    at_us: int | None = None,
) -> Cost:
    """The same cost as ``price_reading`` gives, in dollars, without its lines: the hot path."""
    parts = reading.parts
    if len(parts) != 1 or not reading.is_complete:
        return price_reading(book, reading, exchange, at_us).dollars
    part = parts[0]
    moment = exchange.at_us or reading.created_at_us or at_us
    conditions, asked = part.conditions, exchange.asked
    model = part.model or reading.model or asked.model
    if moment is None or model is None or conditions.details or asked.details:
        return price_reading(book, reading, exchange, at_us).dollars
    found = book.find_plain(
        part.provider or exchange.provider,
        model,
        conditions.service_tier or asked.service_tier,
        conditions.region or asked.region,
        moment,
        part.usage,
    )
    if isinstance(found, Missing) or found.currency != "USD" or part.estimated:
        return price_reading(book, reading, exchange, at_us).dollars
    amount_nano = found.cost_nano(part.usage)
    if amount_nano is None:
        return price_reading(book, reading, exchange, at_us).dollars
    return Cost.measured(amount_nano, None, "USD", found.version)


def moment_of(reading: Reading, exchange: Exchange, at_us: int | None) -> int | None:
    """When the call was made: as the request says, else as the answer is stamped, else as given."""
    return exchange.at_us or reading.created_at_us or at_us


def rates_of(
    book: PriceBook,
    part: Part,
    reading: Reading,
    exchange: Exchange,
    at_us: int,
) -> Found | Missing:
    """The rates that apply to one part of an answer."""
    conditions, asked = part.conditions, exchange.asked
    model = part.model or reading.model or asked.model
    if model is None:
        return Missing(NO_MODEL)
    circumstances = Circumstances(
        conditions.service_tier or asked.service_tier,
        conditions.region or asked.region,
        {**asked.details, **conditions.details},
    )
    return book.find(part.provider or exchange.provider, model, at_us, circumstances, part.usage)


def in_dollars(cost: Cost, exchanged: Exchanged | None) -> Cost:
    """A cost in dollars; unknown where the exchange rate of the day is not."""
    if cost.currency == "USD" or cost.amount_nano is None:
        return cost
    if exchanged is None:
        return Cost.unknown(no_exchange_rate(cost.currency))
    dollars_nano = exchanged.to_dollars_nano(cost.amount_nano)
    return Cost(dollars_nano, cost.state, cost.reason, price_version=cost.price_version)


def bounded(cost: Cost) -> Cost:
    """The cost; unknown where no call can cost so much."""
    if cost.amount_nano is not None and abs(cost.amount_nano) > AMOUNT_NANO_MAX:
        return Cost.unknown("its usage costs more than a million dollars: the count cannot be right")
    return cost


def no_exchange_rate(currency: str) -> str:
    """Why a cost in another currency has no dollars."""
    return (
        f"no exchange rate of {currency} to USD is known for the day: "
        f"flatfare prices add exchange/{currency} --rate … --from …"
    )


def why_unpriced(found: Found, counts: Mapping[str, Count]) -> str | None:
    """Which units of a call have no rate and what to do; None where all have one."""
    units = found.without_rate(found.billed(counts))
    if not units:
        return None
    options = " ".join(f"--rate {unit}=…" for unit in units)
    return (
        f"no rate for {', '.join(map(repr, units))} of model {found.model!r} at {found.provider}: "
        f"flatfare prices add {found.provider}/{found.model} {options}"
    )


def _without_usage(reading: Reading) -> Cost:
    if reading.is_free:
        return Cost.measured(0, reading.reason)
    return Cost.unknown(reading.reason or "the answer does not say what it used")


def _why_unknown(part: Part, found: Found | Missing) -> str | None:
    return found.reason if isinstance(found, Missing) else why_unpriced(found, part.usage)


def _lines(found: Found, part: Part) -> list[PricedLine]:
    lines = []
    for unit, count in found.billed(part.usage).items():
        governing = found.rates.governing(unit)
        if governing is not None:
            rate, provenance = found.rates[governing], found.provenance[governing]
            lines.append(PricedLine(unit, count, governing, rate, found.provider, found.model, provenance))
    return lines


def _summed(book: PriceBook, rated: list[tuple[Part, Found]], at_us: int) -> tuple[Cost, Exchanged | None]:
    """The parts' exact amounts summed and rounded once; parts of several currencies are summed in dollars."""
    currencies = {found.currency for _, found in rated}
    currency = currencies.pop() if len(currencies) == 1 else "USD"
    total = Fraction(0)
    for part, found in rated:
        amount = found.exact_nano(part.usage)
        exchanged = Exchanged(Fraction(1), 0, "")
        if found.currency != currency:
            known = book.exchange.at(found.currency, at_us)
            if known is None:
                return Cost.unknown(no_exchange_rate(found.currency)), None
            exchanged = known
        total += (amount or 0) * exchanged.rate
    version = joined([found.version for _, found in rated])
    cost = Cost.measured(half_even(total.numerator, total.denominator), None, currency, version)
    return cost, None if currency == "USD" else book.exchange.at(currency, at_us)


def _qualified(cost: Cost, reading: Reading) -> Cost:
    """Estimated where the counts were inferred, or the answer broke off before its last word on usage."""
    inferred = [part.estimated for part in reading.parts if part.estimated]
    if not reading.is_complete:
        inferred.append(reading.reason or "the answer ended before its last count of usage")
    if not inferred or cost.amount_nano is None:
        return cost
    reason = "; ".join(dict.fromkeys(inferred))
    return Cost.estimated(cost.amount_nano, reason, cost.currency, cost.price_version)
