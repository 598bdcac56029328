"""When a channel is told: quiet hours, and digests that gather what came since the last.

Pure arithmetic over moments in a time zone, so that a night with a clock change is a night
like any other.
"""

import re
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from flatfare.core.errors import BadInput
from flatfare.core.moments import HOUR_US, datetime_of, micros_of

_HOURS = re.compile(r"(\d\d):(\d\d)-(\d\d):(\d\d)")
DIGESTS = ("hourly", "daily")


@dataclass(frozen=True, slots=True)
class Quiet:
    """Hours of the day, by the wall clock, in which nobody is disturbed.

    >>> night = Quiet.of("22:00-07:00")
    >>> berlin = ZoneInfo("Europe/Berlin")
    >>> at = micros_of(datetime(2026, 10, 24, 23, 30, tzinfo=berlin))  # the clocks go back that night
    >>> datetime_of(night.over_at(at, berlin)).isoformat()
    '2026-10-25T06:00:00+00:00'
    """

    begins: time
    ends: time

    @classmethod
    def of(cls, text: str) -> "Quiet":
        """From ``22:00-07:00``."""
        found = _HOURS.fullmatch(text.strip())
        try:
            begins, ends = (time(int(h), int(m)) for h, m in (found.groups()[:2], found.groups()[2:]))  # type: ignore[union-attr]
        except (AttributeError, ValueError):
            raise BadInput(f"Found the quiet hours {text!r}: write them like 22:00-07:00.") from None
        if begins == ends:
            raise BadInput(f"Found the quiet hours {text!r}: they begin and end at the same time.")
        return cls(begins, ends)

    def over_at(self, at_us: int, zone: ZoneInfo) -> int:
        """When the quiet that holds at a moment is over; the moment itself where none holds."""
        local = datetime_of(at_us).astimezone(zone)
        now = local.time().replace(tzinfo=None)
        spans_midnight = self.begins > self.ends
        is_quiet = (
            (now >= self.begins or now < self.ends) if spans_midnight else self.begins <= now < self.ends
        )
        if not is_quiet:
            return at_us
        day = local.date() + timedelta(days=1 if spans_midnight and now >= self.begins else 0)
        return micros_of(datetime.combine(day, self.ends, zone))


def digest_at(at_us: int, every: str, zone: ZoneInfo) -> int:
    """When the next digest is due: the full hour, or eight in the morning.

    >>> at = micros_of(datetime(2026, 11, 21, 9, 15, tzinfo=ZoneInfo("UTC")))
    >>> [datetime_of(digest_at(at, every, ZoneInfo("UTC"))).isoformat() for every in DIGESTS]
    ['2026-11-21T10:00:00+00:00', '2026-11-22T08:00:00+00:00']
    """
    if every == "hourly":
        return at_us - at_us % HOUR_US + HOUR_US
    local = datetime_of(at_us).astimezone(zone)
    morning = datetime.combine(local.date(), time(8), zone)
    if micros_of(morning) <= at_us:
        morning = datetime.combine(local.date() + timedelta(days=1), time(8), zone)
    return micros_of(morning)
