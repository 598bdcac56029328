"""What a reading costs, as the columns of its call: priced once, the way every other part prices it.

The charge that a provider reported and the cost computed from usage stand side by
side; which of them counts is a setting.
"""

from decimal import Decimal
from fractions import Fraction

import msgspec

from flatfare.core.cost import CostState
from flatfare.core.money import NANO, half_even
from flatfare.dialects.reading import Exchange, Reading, Reported
from flatfare.gateway.records import Figures
from flatfare.prices.book import Found, PriceBook
from flatfare.service.costing.pricing import (
    AMOUNT_NANO_MAX,
    bounded,
    cost_reading,
    moment_of,
    no_exchange_rate,
    price_reading,
    rates_of,
)


def figures_of(
    prices: PriceBook,
    reading: Reading,
    exchange: Exchange,
    at_us: int,
    *,
    counts_reported: bool = True,
) -> Figures:
    """Price a reading. ``at_us`` is when the call was made, if neither request nor answer says so.

    ``counts_reported`` as the setting ``cost_that_counts`` has it.
    """
    computed = bounded(cost_reading(prices, reading, exchange, at_us))
    figures = Figures(
        usage=_usage_of(reading),
        usage_state=str(_usage_state(reading)),
        cost_nano=computed.amount_nano,
        cost_state=str(computed.state),
        cost_reason=computed.reason,
        cost_basis="computed" if computed.is_known else None,
        computed_nano=computed.amount_nano,
        computed_state=str(computed.state),
        computed_reason=computed.reason,
        price_version=computed.price_version,
    )
    figures = _with_own_currency(figures, prices, reading, exchange, at_us)
    if reading.reported is None:
        return figures
    moment = moment_of(reading, exchange, at_us) or at_us
    return _with_reported(figures, prices, reading.reported, moment, counts_reported)


def _usage_of(reading: Reading) -> dict[str, int | str]:
    if len(reading.parts) == 1:
        counts = dict(reading.parts[0].usage)
    else:
        counts = {}
        for part in reading.parts:
            for unit, count in part.usage.items():
                counts[unit] = counts.get(unit, 0) + count
    return {
        unit: format(count, "f") if isinstance(count, Decimal) else count for unit, count in counts.items()
    }


def _usage_state(reading: Reading) -> CostState:
    if not reading.parts:
        return CostState.MEASURED if reading.is_free else CostState.UNKNOWN
    if not reading.is_complete or any(part.estimated for part in reading.parts):
        return CostState.ESTIMATED
    return CostState.MEASURED


def _with_own_currency(
    figures: Figures, prices: PriceBook, reading: Reading, exchange: Exchange, at_us: int
) -> Figures:
    """The amount in the currency of its rates, where that is not dollars, and the rate of exchange used."""
    moment = moment_of(reading, exchange, at_us)
    if not figures.cost_nano or moment is None:
        return figures
    rates = rates_of(prices, reading.parts[0], reading, exchange, moment)
    if not isinstance(rates, Found) or rates.currency == "USD":
        return figures
    priced = price_reading(prices, reading, exchange, at_us)
    if priced.cost.currency == "USD" or priced.exchanged is None:
        return figures
    return msgspec.structs.replace(
        figures,
        original_nano=priced.cost.amount_nano,
        original_currency=priced.cost.currency,
        exchange_rate=str(priced.exchanged.rate),
    )


def _with_reported(
    figures: Figures, prices: PriceBook, reported: Reported, at_us: int, counts_reported: bool
) -> Figures:
    own_nano = _nano_of(reported.amount)
    exchanged = prices.exchange.at(reported.currency, at_us)
    dollars_nano = None if own_nano is None or exchanged is None else exchanged.to_dollars_nano(own_nano)
    figures = msgspec.structs.replace(
        figures,
        reported_nano=dollars_nano,
        reported_digits=reported.amount,
        reported_source=reported.source,
    )
    if reported.currency != "USD":
        figures = msgspec.structs.replace(
            figures,
            original_nano=own_nano,
            original_currency=reported.currency,
            exchange_rate=None if exchanged is None else str(exchanged.rate),
        )
    if not counts_reported:
        return figures
    if dollars_nano is None:
        if figures.cost_nano is not None:
            return figures
        return msgspec.structs.replace(figures, cost_reason=no_exchange_rate(reported.currency))
    return msgspec.structs.replace(
        figures,
        cost_nano=dollars_nano,
        cost_state=str(CostState.MEASURED),
        cost_reason=None,
        cost_basis="reported",
    )


def _nano_of(amount: str) -> int | None:
    """Nano units of a reported amount; None where it is no amount that a call can cost."""
    try:
        exact = Fraction(Decimal(amount)) * NANO
    except (ArithmeticError, ValueError):
        return None
    nano = half_even(exact.numerator, exact.denominator)
    return nano if abs(nano) <= AMOUNT_NANO_MAX else None
