"""Weeks of the calendar in a time zone: from Monday's midnight to the next, however long their days are.

Pure arithmetic over dates: a week in which the clocks change has an hour more or less and is
one week like any other.
"""

import re
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from flatfare.core.errors import BadInput
from flatfare.core.moments import datetime_of, micros_of

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_NAME = re.compile(r"(\d{4})-W(\d\d)")


@dataclass(frozen=True, slots=True)
class Week:
    """One week: its name in ISO 8601, its first day, and its ends in microseconds.

    >>> berlin = ZoneInfo("Europe/Berlin")
    >>> week = Week.of(date(2026, 10, 21), berlin)  # the clocks go back on its Sunday
    >>> week.name, (week.until_us - week.since_us) // 3_600_000_000, week.before().name
    ('2026-W43', 169, '2026-W42')
    """

    monday: date
    zone: ZoneInfo

    @classmethod
    def of(cls, day: date, zone: ZoneInfo) -> "Week":
        """The week that a day lies in."""
        return cls(day - timedelta(days=day.weekday()), zone)

    @classmethod
    def named(cls, text: str, zone: ZoneInfo) -> "Week":
        """From 2026-W46."""
        found = _NAME.fullmatch(text.strip())
        try:
            year, week = (int(part) for part in found.groups())  # type: ignore[union-attr]
            if not 1971 <= year <= 9000:
                raise ValueError
            return cls(date.fromisocalendar(year, week, 1), zone)
        except (AttributeError, ValueError):
            raise BadInput(f"Found the week {text[:20]!r}: write it like 2026-W46.") from None

    @classmethod
    def last(cls, at_us: int, zone: ZoneInfo) -> "Week":
        """The last whole week before a moment."""
        return cls.of(datetime_of(at_us).astimezone(zone).date(), zone).before()

    @property
    def name(self) -> str:
        """As reports by week name it."""
        year, week, _ = self.monday.isocalendar()
        return f"{year}-W{week:02}"

    @property
    def sunday(self) -> date:
        """Its last day."""
        return self.monday + timedelta(days=6)

    @property
    def since_us(self) -> int:
        """Its first moment."""
        return micros_of(datetime.combine(self.monday, time(), self.zone))

    @property
    def until_us(self) -> int:
        """The first moment after it."""
        return micros_of(datetime.combine(self.monday + timedelta(days=7), time(), self.zone))

    def before(self, weeks: int = 1) -> "Week":
        """The week so many weeks earlier."""
        return Week(self.monday - timedelta(weeks=weeks), self.zone)


def last_due(at_us: int, day: str, hour: int, zone: ZoneInfo) -> int:
    """When what is due each week on a day at an hour, by the wall clock, was due last.

    An hour that the clocks leave out is the one after it; of one that comes twice, the first.

    >>> berlin = ZoneInfo("Europe/Berlin")
    >>> at = micros_of(datetime(2026, 11, 23, 7, 59, tzinfo=berlin))
    >>> dues = (last_due(at + minute * 60_000_000, "monday", 8, berlin) for minute in (0, 1))
    >>> [datetime_of(due_us).isoformat() for due_us in dues]
    ['2026-11-16T07:00:00+00:00', '2026-11-23T07:00:00+00:00']
    """
    today = datetime_of(at_us).astimezone(zone).date()
    this = today - timedelta(days=(today.weekday() - DAYS.index(day)) % 7)
    for on in (this, this - timedelta(days=7)):
        due_us = micros_of(datetime.combine(on, time(hour), zone))
        if due_us <= at_us:
            break
    return due_us
