"""Commitments: fixed fees, the periods they are owed for, and how each is shared out.

A fee is shared among the calls it served in proportion to what they used, and what
served none is idle. Shares and idle add up to the fee, to the last nano unit.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum
from fnmatch import fnmatchcase
from fractions import Fraction
from types import MappingProxyType

from flatfare.core.errors import BadInput
from flatfare.core.money import half_even


class CommitmentKind(StrEnum):
    """What a fixed fee buys."""

    SEAT = "seat"  # a subscription, such as Claude Max or ChatGPT Pro
    CAPACITY = "capacity"  # provisioned throughput
    COMPUTE = "compute"  # rented machines that serve an own model
    CREDITS = "credits"  # a plan of credits, models drawing on it at multipliers


class Every(StrEnum):
    """How often the fee is owed."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    YEAR = "year"
    ONCE = "once"


class AllocatedBy(StrEnum):
    """What a call's share is measured by."""

    TOKENS = "tokens"
    CALLS = "calls"
    TIME = "time"


@dataclass(frozen=True, slots=True)
class Serves:
    """Which calls a commitment covers; what is not stated does not matter."""

    provider: str | None = None
    model: str | None = None  # a pattern such as claude-*
    key: str | None = None
    labels: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def names_model(self, provider: str | None, model: str | None) -> bool:
        """The provider and the model are among those covered."""
        if self.provider is not None and provider != self.provider:
            return False
        return self.model is None or (model is not None and fnmatchcase(model.lower(), self.model.lower()))

    @property
    def specificity(self) -> int:
        """How many conditions it states; of two that cover a call, the more specific serves it."""
        stated = sum(value is not None for value in (self.provider, self.model, self.key))
        return stated + len(self.labels)


@dataclass(frozen=True, slots=True)
class Commitment:
    """A fixed fee as agreed: what is owed, how often, for which calls, and how it is shared out."""

    id: str
    name: str
    kind: CommitmentKind
    amount_nano: int
    every: Every
    from_day: date
    until_day: date | None = None  # the first day that is no longer owed for
    serves: Serves = field(default_factory=Serves)
    allocated_by: AllocatedBy = AllocatedBy.TOKENS
    units: int | None = None  # what one period can serve: tokens, calls or credits; None if without limit
    overage_nano: int = 0  # for each unit beyond those
    multipliers: Mapping[str, Fraction] = field(default_factory=lambda: MappingProxyType({}))
    currency: str = "USD"

    def __post_init__(self) -> None:
        if self.amount_nano < 0:
            raise BadInput(f"Found a fee of {self.amount_nano} for {self.name!r}: a fee is never negative.")
        if self.until_day is not None and self.until_day <= self.from_day:
            raise BadInput(f"The commitment {self.name!r} ends on {self.until_day}, before it begins.")
        if self.units is not None and self.units <= 0:
            raise BadInput(f"Found {self.units} units for {self.name!r}: a period serves at least one.")

    def multiplier(self, model: str | None) -> Fraction:
        """How many units one unit of a model's use draws; the longest pattern that fits decides."""
        fitting = [
            pattern for pattern in self.multipliers if model and fnmatchcase(model.lower(), pattern.lower())
        ]
        return self.multipliers[max(fitting, key=len)] if fitting else Fraction(1)


@dataclass(frozen=True, slots=True)
class Period:
    """One stretch of days that a fee is owed for, as far as it has passed."""

    number: int
    from_day: date
    until_day: date
    fee_nano: int  # for the days that have passed
    units: int | None

    @property
    def days(self) -> int:
        return (self.until_day - self.from_day).days


def periods(commitment: Commitment, today: date) -> Iterator[Period]:
    """The periods that have begun by ``today``, each from its own anniversary.

    A period that has not passed yet, or was cut short, owes for its days so far,
    today included; fees by the hour are owed by the day.
    """
    end = min(commitment.until_day or today + timedelta(days=1), today + timedelta(days=1))
    number, start = 0, commitment.from_day
    while start < end:
        whole_end = _next(commitment, number + 1)
        until = min(whole_end, end) if whole_end else end
        share = Fraction((until - start).days, (whole_end - start).days) if whole_end else Fraction(1)
        fee = share * commitment.amount_nano * _fees_in_period(commitment)
        units = None if commitment.units is None else max(1, int(share * commitment.units))
        yield Period(number, start, until, half_even(fee.numerator, fee.denominator), units)
        if whole_end is None:
            return
        number, start = number + 1, whole_end


def _fees_in_period(commitment: Commitment) -> int:
    return 24 if commitment.every is Every.HOUR else 1


def _next(commitment: Commitment, number: int) -> date | None:
    """The first day of the period with that number; None where a fee is owed once."""
    start = commitment.from_day
    match commitment.every:
        case Every.HOUR | Every.DAY:
            return start + timedelta(days=number)
        case Every.WEEK:
            return start + timedelta(weeks=number)
        case Every.MONTH:
            return _months_later(start, number)
        case Every.YEAR:
            return _months_later(start, 12 * number)
        case Every.ONCE:
            return commitment.until_day


def _months_later(start: date, months: int) -> date:
    """The same day of a later month, or its last day where the month is shorter.

    >>> _months_later(date(2026, 1, 31), 1)
    datetime.date(2026, 2, 28)
    """
    year, month = divmod(start.year * 12 + start.month - 1 + months, 12)
    following = date(year + (month == 11), (month + 1) % 12 + 1, 1)
    return min(date(year, month + 1, 1) + timedelta(days=start.day - 1), following - timedelta(days=1))
