"""What something cost, and how well that is known. Unknown is never zero.

A cost has an amount unless it is ``unknown``, and then it has a reason. Sums of
costs keep count of the parts they do not know, so that a total with unknown parts
reads "at least".
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from flatfare.core.money import decimal_text, dollar_text


class CostState(StrEnum):
    """How well a cost is known."""

    MEASURED = "measured"
    ESTIMATED = "estimated"
    UNKNOWN = "unknown"


# By these names they are found in half the time, and a cost is made for each call.
_MEASURED, _UNKNOWN = CostState.MEASURED, CostState.UNKNOWN


@dataclass(frozen=True, slots=True)
class Cost:
    """An amount in nano units of a currency, and its state."""

    amount_nano: int | None
    state: CostState
    reason: str | None = None
    currency: str = "USD"
    price_version: str | None = field(default=None, compare=False)
    """The prices that it was computed with; None where none were."""

    def __post_init__(self) -> None:
        is_unknown = self.state is _UNKNOWN
        if (self.amount_nano is None) is not is_unknown:
            raise ValueError(f"only a known cost has an amount, found {self.amount_nano!r} as {self.state}")
        if is_unknown and not self.reason:
            raise ValueError("an unknown cost says why")

    @classmethod
    def measured(
        cls,
        amount_nano: int,
        reason: str | None = None,
        currency: str = "USD",
        price_version: str | None = None,
    ) -> "Cost":
        """From counts and rates that are facts."""
        return cls(amount_nano, _MEASURED, reason, currency, price_version)

    @classmethod
    def estimated(
        cls, amount_nano: int, reason: str, currency: str = "USD", price_version: str | None = None
    ) -> "Cost":
        """From counts or rates that were inferred; the reason says which and how."""
        return cls(amount_nano, CostState.ESTIMATED, reason, currency, price_version)

    @classmethod
    def unknown(cls, reason: str, currency: str = "USD") -> "Cost":
        """Not to be had; the reason is one that a person can act on."""
        return cls(None, CostState.UNKNOWN, reason, currency)

    @property
    def is_known(self) -> bool:
        return self.state is not CostState.UNKNOWN

    def as_json(self) -> dict[str, str | None]:
        """Shape ``{"amount", "currency", "state", "reason"}``; the amount a decimal string or null."""
        amount = decimal_text(self.amount_nano)
        return {"amount": amount, "currency": self.currency, "state": str(self.state), "reason": self.reason}

    def __repr__(self) -> str:
        amount = "—" if self.amount_nano is None else dollar_text(self.amount_nano)
        return f"Cost({amount!r}, {self.state})"


@dataclass(frozen=True, slots=True)
class Total:
    """A sum of costs: what is known of it, and how many parts are estimated or unknown."""

    known_nano: int = 0
    parts: int = 0
    estimated: int = 0
    unknown: int = 0

    @classmethod
    def of(cls, costs: Iterable[Cost]) -> "Total":
        """Sum costs of one currency.

        >>> Total.of([Cost.measured(5), Cost.unknown("no price")])
        Total(known_nano=5, parts=2, estimated=0, unknown=1)
        """
        known = parts = estimated = unknown = 0
        for cost in costs:
            parts += 1
            known += cost.amount_nano or 0
            estimated += cost.state is CostState.ESTIMATED
            unknown += cost.state is CostState.UNKNOWN
        return cls(known, parts, estimated, unknown)

    def __add__(self, other: "Total") -> "Total":
        return Total(
            self.known_nano + other.known_nano,
            self.parts + other.parts,
            self.estimated + other.estimated,
            self.unknown + other.unknown,
        )

    @property
    def is_whole(self) -> bool:
        """Every part is known."""
        return self.unknown == 0
