"""Periods by name: from when to when, and which one before they are held against.

A period begins at midnight in the time zone asked for, so that whole days are compared.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from flatfare.core.errors import BadUsage
from flatfare.core.moments import datetime_of, micros_of, parse_moment

ALL = "all"
CUSTOM = "custom"

TITLES = {
    "today": "Today",
    "7d": "Last 7 days",
    "30d": "Last 30 days",
    "90d": "Last 90 days",
    "month": "This month",
    "last-month": "Last month",
    "quarter": "This quarter",
    "year": "This year",
    ALL: "All time",
}
"""The periods that can be picked, in their order."""

DAYS_OF_DAYS, DAYS_OF_WEEKS = 92, 400
"""Up to so many days a chart has a point a day, or a week; beyond, a month."""


@dataclass(frozen=True, slots=True)
class Period:
    """From when to when, in microseconds; an end that is None is not there."""

    name: str
    title: str
    since_us: int | None
    until_us: int | None
    before: tuple[int, int] | None = None  # the period that it is held against
    before_title: str = ""

    def days_of(self, first_us: int | None, last_us: int | None) -> float:
        """How many days of it lie between the first that is known and the last."""
        if first_us is None or last_us is None:
            return 0
        begins = first_us if self.since_us is None else max(self.since_us, first_us)
        ends = last_us if self.until_us is None else min(self.until_us, last_us)
        return max(0.0, (ends - begins) / 86_400e6)

    def grain(self, first_us: int | None, last_us: int) -> str:
        """How finely a chart tells time: day, week or month."""
        begins = self.since_us if self.since_us is not None else first_us
        days = ((self.until_us or last_us) - (begins if begins is not None else last_us)) / 86_400e6
        if days <= DAYS_OF_DAYS:
            return "day"
        return "week" if days <= DAYS_OF_WEEKS else "month"


def named(name: str, now_us: int, zone: ZoneInfo) -> Period:
    """The period of that name; ``BadUsage`` names those there are."""
    make = _MAKERS.get(name)
    if make is None:
        raise BadUsage(f"There is no period {name[:40]!r}: {', '.join(TITLES)}, or since and until.")
    today = datetime_of(now_us).astimezone(zone).date()
    return make(today, zone)


def between(since: str | None, until: str | None, zone: ZoneInfo) -> Period:
    """The period between two days or moments; a day ``until`` is the last one that counts."""
    since_us = None if since is None else _moment(since, zone, is_end=False)
    until_us = None if until is None else _moment(until, zone, is_end=True)
    if since_us is not None and until_us is not None and until_us <= since_us:
        raise BadUsage(f"The period would end at {until} before it begins at {since}: turn them round.")
    title = " to ".join(filter(None, (since and since[:16], until and until[:16])))
    title = title if since else f"Until {title}"
    before = None
    if since_us is not None and until_us is not None:
        before = (2 * since_us - until_us, since_us)
    return Period(
        CUSTOM, title if until else f"Since {title}", since_us, until_us, before, "the period before"
    )


def _moment(text: str, zone: ZoneInfo, *, is_end: bool) -> int:
    if len(text) == 10:
        try:
            day = date.fromisoformat(text)
        except ValueError:
            raise BadUsage(f"Found the day {text!r}: write it like 2026-11-21.") from None
        parse_moment(text)  # refuses a year in which nothing can have happened
        return _midnight(day + timedelta(days=is_end), zone)
    return parse_moment(text)[0]


def _midnight(day: date, zone: ZoneInfo) -> int:
    return micros_of(datetime.combine(day, time(), zone))


def _days(count: int) -> Callable[[date, ZoneInfo], Period]:
    def make(today: date, zone: ZoneInfo) -> Period:
        first = today - timedelta(days=count - 1)
        before = (_midnight(first - timedelta(days=count), zone), _midnight(first, zone))
        name = f"{count}d" if count > 1 else "today"
        title = f"the {count} days before" if count > 1 else "yesterday"
        return Period(name, TITLES[name], _midnight(first, zone), None, before, title)

    return make


def _so_far(name: str, first: date, former: date, today: date, zone: ZoneInfo) -> Period:
    """A period of the calendar that is under way, against as many days of the one before."""
    gone = (today - first).days + 1
    ends = min(former + timedelta(days=gone), first)
    before = (_midnight(former, zone), _midnight(ends, zone))
    return Period(name, TITLES[name], _midnight(first, zone), None, before, f"as much of the {name} before")


def _month(today: date, zone: ZoneInfo) -> Period:
    first = today.replace(day=1)
    return _so_far("month", first, (first - timedelta(days=1)).replace(day=1), today, zone)


def _last_month(today: date, zone: ZoneInfo) -> Period:
    ends = today.replace(day=1)
    first = (ends - timedelta(days=1)).replace(day=1)
    former = (first - timedelta(days=1)).replace(day=1)
    before = (_midnight(former, zone), _midnight(first, zone))
    return Period(
        "last-month",
        TITLES["last-month"],
        _midnight(first, zone),
        _midnight(ends, zone),
        before,
        "the month before",
    )


def _quarter(today: date, zone: ZoneInfo) -> Period:
    first = date(today.year, (today.month - 1) // 3 * 3 + 1, 1)
    last = first - timedelta(days=1)
    return _so_far("quarter", first, date(last.year, (last.month - 1) // 3 * 3 + 1, 1), today, zone)


def _year(today: date, zone: ZoneInfo) -> Period:
    return _so_far("year", date(today.year, 1, 1), date(today.year - 1, 1, 1), today, zone)


def _all(today: date, zone: ZoneInfo) -> Period:
    return Period(ALL, TITLES[ALL], None, None)


_MAKERS: dict[str, Callable[[date, ZoneInfo], Period]] = {
    "today": _days(1),
    "7d": _days(7),
    "30d": _days(30),
    "90d": _days(90),
    "month": _month,
    "last-month": _last_month,
    "quarter": _quarter,
    "year": _year,
    ALL: _all,
}
