"""Budgets: a limit on spend over a window, for some scope; what it allows one subject is an allowance.

A budget for ``team=search`` has one subject; one for ``session=*`` has as many as there are
sessions, each with an allowance of its own. Windows are of the calendar in a time zone,
rolling, or for a lifetime. All of it is pure: moments come in, allowances come out.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from flatfare.core.errors import BadInput
from flatfare.core.moments import datetime_of, micros_of
from flatfare.core.money import decimal_text

EACH = "*"
"""The value of a scope that has an allowance for each value there is."""

ORGANISATION = "organisation"
CALENDAR = ("day", "week", "month", "quarter", "year")
LIFETIME = "lifetime"
ROLLING_SLOTS = 60
"""A rolling window is counted in so many slots; what was spent leaves it with its slot, never sooner."""

ACTIONS = ("alert", "throttle", "stop", "disable")
DEFAULT_THRESHOLDS = ((50, "alert"), (75, "alert"), (90, "alert"), (100, "alert"))
_ROLLING = re.compile(r"rolling (\d{1,5})\s*(m|h|d)")
_SECONDS = {"m": 60, "h": 3600, "d": 86_400}
_NAME_LENGTH_MAX = 128
AMOUNT_NANO_MAX = 10**18


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose spend is limited: a key of a call and its value, any (``*``), or the whole organisation.

    >>> str(Scope.of("team=search")), str(Scope.of("session=*")), str(Scope.of("organisation"))
    ('team=search', 'session=*', 'organisation')
    """

    key: str
    value: str | None = None

    @classmethod
    def of(cls, text: str) -> "Scope":
        """From ``team=search``, ``session=*`` or ``organisation``."""
        key, sign, value = (part.strip() for part in text.partition("="))
        if key == ORGANISATION and not sign:
            return cls(key)
        if not sign or not key or not value or key == ORGANISATION:
            raise BadInput(
                f"Found the scope {text!r}: write organisation, team=search, key=NAME, or session=* for each "
                "session by itself."
            )
        return cls(key, value)

    def __str__(self) -> str:
        return self.key if self.value is None else f"{self.key}={self.value}"


@dataclass(frozen=True, slots=True)
class Whose:
    """What of a call says which budgets it falls under."""

    key: str | None = None
    project: str | None = None
    task: str | None = None
    session: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)

    def value(self, scope_key: str) -> str | None:
        """The call's value of a scope, None where it has none."""
        if scope_key == "key":
            return self.key
        if scope_key == "project":
            return self.project
        if scope_key == "task":
            return self.task
        if scope_key == "session":
            return self.session
        return self.labels.get(scope_key)


@dataclass(frozen=True, slots=True)
class Window:
    """Over which time a budget counts.

    >>> str(Window.of("month", "Europe/Berlin")), str(Window.of("rolling 24h")), Window.of("lifetime").kind
    ('month, Europe/Berlin', 'rolling 24h', 'lifetime')
    """

    kind: str  # day … year, rolling, lifetime
    zone: str = "UTC"
    rolling_s: int = 0
    text: str = ""

    @classmethod
    def of(cls, text: str, zone: str = "UTC") -> "Window":
        """From ``day`` … ``year``, ``rolling 24h`` or ``lifetime``."""
        said = text.strip().lower()
        if said in CALENDAR:
            try:
                ZoneInfo(zone)
            except (ZoneInfoNotFoundError, ValueError):
                raise BadInput(
                    f"Found the time zone {zone!r}: write one like Europe/Berlin or UTC."
                ) from None
            return cls(said, zone, text=said)
        if said == LIFETIME:
            return cls(said, text=said)
        found = _ROLLING.fullmatch(said)
        seconds = int(found[1]) * _SECONDS[found[2]] if found else 0
        if not 60 <= seconds <= 366 * 86_400:
            raise BadInput(
                f"Found the window {text!r}: it is {', '.join(CALENDAR)}, lifetime, or like 'rolling 24h', "
                "of a minute to a year."
            )
        return cls("rolling", rolling_s=seconds, text=said)

    def __str__(self) -> str:
        return f"{self.text}, {self.zone}" if self.kind in CALENDAR else self.text

    def span(self, at_us: int) -> tuple[int, int | None]:
        """From when to when the window lasts that holds a moment; the end is None for a lifetime.

        Of a rolling window it is the slot that holds the moment.
        """
        if self.kind == LIFETIME:
            return 0, None
        if self.kind == "rolling":
            slot_us = self.rolling_s * 1_000_000 // ROLLING_SLOTS
            begins = at_us - at_us % slot_us
            return begins, begins + slot_us
        zone = ZoneInfo(self.zone)
        day = datetime_of(at_us).astimezone(zone).date()
        first, last = _calendar(self.kind, day)
        return _midnight(first, zone), _midnight(last, zone)

    def counted_since(self, begins_us: int) -> int:
        """The beginning of the earliest slot that counts together with the one that begins then."""
        if self.kind != "rolling":
            return begins_us
        return begins_us - self.rolling_s * 1_000_000

    def resets_at(self, at_us: int) -> int | None:
        """When what is spent now no longer counts; None where it always will."""
        _, ends = self.span(at_us)
        return ends + self.rolling_s * 1_000_000 if self.kind == "rolling" and ends else ends


def _calendar(kind: str, day: date) -> tuple[date, date]:
    """The first day of the period that holds a day, and of the next."""
    if kind == "day":
        return day, day + timedelta(days=1)
    if kind == "week":
        monday = day - timedelta(days=day.weekday())
        return monday, monday + timedelta(days=7)
    months = {"month": 1, "quarter": 3, "year": 12}[kind]
    first = date(day.year, (day.month - 1) // months * months + 1, 1)
    after = first.month - 1 + months
    return first, date(first.year + after // 12, after % 12 + 1, 1)


def _midnight(day: date, zone: ZoneInfo) -> int:
    """When a day begins by the wall clock; where the clocks skip midnight, when they first show the day."""
    return micros_of(datetime.combine(day, time(), zone))


@dataclass(frozen=True, slots=True)
class Threshold:
    """What happens when a share of the budget is spent."""

    percent: int
    action: str  # alert, throttle (calls go slowly), stop (a hard limit there), disable (the key)

    @classmethod
    def of(cls, text: str) -> "Threshold":
        """From ``90`` or ``90:stop``.

        >>> Threshold.of("90"), Threshold.of("75%:stop")
        (Threshold(percent=90, action='alert'), Threshold(percent=75, action='stop'))
        """
        percent, _, action = text.partition(":")
        try:
            return cls(int(percent.strip().rstrip("%")), action.strip() or "alert")
        except ValueError:
            raise BadInput(f"Found the threshold {text!r}: write 90, or 90:stop.") from None


@dataclass(frozen=True, slots=True)
class TopUp:
    """More for one budget: added to its amount, or standing for it, until it expires; by whom and why."""

    amount_nano: int
    from_us: int
    until_us: int | None
    by_whom: str
    reason: str | None = None
    replaces: bool = False  # an override: this amount stands instead
    subject: str | None = None  # one subject alone

    def holds(self, at_us: int, subject: str) -> bool:
        """It counts at a moment, for a subject."""
        is_in_time = self.from_us <= at_us and (self.until_us is None or at_us < self.until_us)
        return is_in_time and self.subject in (None, subject)


@dataclass(frozen=True, slots=True)
class Budget:
    """A limit on spend, as it was agreed."""

    id: str
    name: str
    scope: Scope
    amount_nano: int
    window: Window
    is_hard: bool = True
    thresholds: tuple[Threshold, ...] = tuple(Threshold(*one) for one in DEFAULT_THRESHOLDS)
    queue_ms: int = 2000
    unpriced: str = "refuse"  # or allow: models without a price, under a hard budget
    fail: str = "closed"  # or open: where budgets cannot be asked
    output_limit: str = "set"  # or refuse: calls that name none
    contact: str | None = None  # whom to ask for more
    created_at_us: int = 0
    removed_at_us: int | None = None
    top_ups: tuple[TopUp, ...] = ()

    def __post_init__(self) -> None:
        if not self.name.strip() or len(self.name) > _NAME_LENGTH_MAX or not self.name.isprintable():
            raise BadInput(f"Found the name {self.name[:40]!r} for a budget: a name is plain text.")
        if not 0 <= self.amount_nano <= AMOUNT_NANO_MAX:
            raise BadInput(
                f"Found a budget of ${decimal_text(self.amount_nano)}: expected 0 to $1,000,000,000."
            )
        for one in self.thresholds:
            if not 0 < one.percent <= 1000 or one.action not in ACTIONS:
                raise BadInput(
                    f"Found the threshold {one.percent}% {one.action}: expected 1 to 1000 and one of "
                    f"{', '.join(ACTIONS)}."
                )

    def subject(self, whose: Whose) -> str | None:
        """Whose allowance a call falls under; None where the budget does not concern it."""
        if self.scope.key == ORGANISATION:
            return ORGANISATION
        value = whose.value(self.scope.key)
        if value is None or self.scope.value not in (EACH, value):
            return None
        return value

    def limit_nano(self, at_us: int, subject: str) -> int:
        """What may be spent at a moment, with what was added and not yet expired."""
        holding = [one for one in self.top_ups if one.holds(at_us, subject)]
        replaced = [one.amount_nano for one in holding if one.replaces]
        amount = replaced[-1] if replaced else self.amount_nano
        return amount + sum(one.amount_nano for one in holding if not one.replaces)

    def hard_limit_nano(self, at_us: int, subject: str) -> int | None:
        """What may not be exceeded; None for a soft budget that stops nowhere."""
        limit = self.limit_nano(at_us, subject)
        stops = [one.percent for one in self.thresholds if one.action == "stop"]
        if stops:
            limit = min(limit, limit * min(stops) // 100) if self.is_hard else limit * min(stops) // 100
        return limit if self.is_hard or stops else None


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a budget allows one subject in one window. Its id says all three."""

    budget_id: str
    subject: str
    begins_us: int

    @property
    def id(self) -> str:
        """As the book and the journal write it; a budget's id and a moment have no space."""
        return f"{self.budget_id} {self.begins_us} {self.subject}"

    @classmethod
    def of(cls, text: str) -> "Allowance":
        """From its id."""
        budget_id, begins, subject = text.split(" ", 2)
        return cls(budget_id, subject, int(begins))


def crossed(budget: Budget, limit_nano: int, before_nano: int, after_nano: int) -> Iterator[Threshold]:
    """The thresholds that spend has passed on its way from one sum to another.

    >>> some = Budget("b", "b", Scope("organisation"), 100, Window.of("lifetime"))
    >>> [one.percent for one in crossed(some, 100, 49, 76)]
    [50, 75]
    """
    for one in sorted(budget.thresholds, key=lambda threshold: threshold.percent):
        line = limit_nano * one.percent
        if before_nano * 100 < line <= after_nano * 100 or (line == 0 and before_nano == 0 < after_nano):
            yield one
