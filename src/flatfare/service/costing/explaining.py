"""Why a provider's own charge differs from what its answer and the price book add up to.

Each cause is named and has an amount, and the amounts add up to the difference
exactly; a difference too small for the digits that were reported is none.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction

from flatfare.core.money import NANO
from flatfare.core.pricing import amount_text
from flatfare.core.units import INPUT_TOKENS, OUTPUT_TOKENS
from flatfare.dialects.reading import Reading, Reported
from flatfare.service.costing.pricing import PricedLine, PricedReading

SMALLEST = Fraction(1, 2)
"""Half a nano unit: below it, two amounts are one amount."""


@dataclass(frozen=True, slots=True)
class Cause:
    """One reason why reported and computed differ: reported minus computed, in nano units, exact."""

    amount_nano: Fraction
    currency: str
    why: str

    def as_json(self) -> dict[str, str]:
        """The amount as decimal text."""
        return {"amount": amount_text(self.amount_nano), "currency": self.currency, "cause": self.why}


def causes_of(reading: Reading, priced: PricedReading) -> tuple[Cause, ...]:
    """The causes of the difference, largest first; none where there is no charge or the two agree."""
    reported = reading.reported
    if reported is None or not priced.cost.is_known or priced.cost.currency != reported.currency:
        return ()
    computed = _sum(priced.lines)
    difference = _nano(reported.amount) - computed
    if abs(difference) < SMALLEST:
        return ()
    causes = _by_share(reading, reported, priced.lines)
    left = difference - sum((cause.amount_nano for cause in causes), Fraction(0))
    if abs(left) >= SMALLEST or not causes:
        causes.append(Cause(left, reported.currency, _rest(left)))
        left = Fraction(0)
    causes.sort(key=lambda cause: -abs(cause.amount_nano))
    # What is left are the last digits of the provider's floating point.
    causes[0] = replace(causes[0], amount_nano=causes[0].amount_nano + left)
    return tuple(causes)


def _by_share(reading: Reading, reported: Reported, lines: Iterable[PricedLine]) -> list[Cause]:
    """Causes that follow from what the provider said its charge was made of."""
    shares = {name: _nano(text) for name, text in reported.shares.items()}
    lines = tuple(lines)
    details = next((part.conditions.details for part in reading.parts), {})
    upstream = details.get("upstream")
    who = f"the upstream {upstream}" if upstream else "the upstream"
    computed = {
        "input": _sum(line for line in lines if line.unit in INPUT_TOKENS),
        "output": _sum(line for line in lines if line.unit in OUTPUT_TOKENS),
    }
    causes = []
    for side, own in computed.items():
        gap = shares.get(side, own) - own
        if abs(gap) >= SMALLEST:
            why = (
                f"{who} bills this {side} at {amount_text(shares[side])}, its own rates, where the book has "
            )
            causes.append(Cause(gap, reported.currency, f"{why}{amount_text(own)}"))
    return causes + _fees(reported, shares, lines, details.get("server_tools"))


def _fees(
    reported: Reported, shares: Mapping[str, Fraction], lines: tuple[PricedLine, ...], tools: str | None
) -> list[Cause]:
    """What was charged beyond the model's own tokens, and is not counted in the answer."""
    if "upstream" not in shares:
        return []
    counted = _sum(line for line in lines if line.unit not in INPUT_TOKENS and line.unit not in OUTPUT_TOKENS)
    beyond = _nano(reported.amount) - shares["upstream"]
    within = shares["upstream"] - shares.get("input", Fraction(0)) - shares.get("output", Fraction(0))
    has_sides = "input" in shares and "output" in shares
    fee = beyond + (within if has_sides else 0) - counted
    if abs(fee) < SMALLEST:
        return []
    which = f" ({tools})" if tools else ""
    why = f"tools that were run beside the model{which}, whose tokens or calls the answer does not count"
    return [Cause(fee, reported.currency, why)]


def _rest(left: Fraction) -> str:
    if left > 0:
        return "charged by the provider for what its answer does not show, such as tools it ran"
    return "a discount or credit of the provider that its answer does not show"


def _sum(lines: Iterable[PricedLine]) -> Fraction:
    return sum((line.amount for line in lines), Fraction(0))


def _nano(text: str) -> Fraction:
    return Fraction(Decimal(text)) * NANO
