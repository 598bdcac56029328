"""Hours of the week in which a price holds: peak and off-peak, with holidays and worked weekends.

A window is a set of half-open spans of time; whether a moment lies in it depends
on nothing but the moment.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from flatfare.core.errors import BadInput
from flatfare.core.moments import DAY_US, datetime_of, micros_of

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MINUTES_OF_DAY = 24 * 60
QUARTER_US = 900_000_000

_SPAN = re.compile(r"(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})")


@dataclass(frozen=True, slots=True)
class Window:
    """Spans of the day, in minutes of local time, on some days of the week."""

    zone: str
    days: frozenset[int]  # 0 is Monday
    spans: tuple[
        tuple[int, int], ...
    ]  # minutes since local midnight, the end exclusive; start > end passes midnight
    except_dates: frozenset[date] = frozenset()
    also_dates: frozenset[date] = frozenset()

    @property
    def text(self) -> str:
        """The window in a line: ``mon tue 01:00-04:00 UTC``."""
        days = " ".join(name for day, name in enumerate(DAYS) if day in self.days)
        hours = " ".join(
            f"{start // 60:02d}:{start % 60:02d}-{end // 60:02d}:{end % 60:02d}" for start, end in self.spans
        )
        return f"{'daily' if len(self.days) == len(DAYS) else days} {hours} {self.zone}"

    def holds(self, at_us: int) -> bool:
        """Whether the moment lies in the window. A span past midnight belongs to the day it starts on."""
        moment = datetime_of(at_us).astimezone(ZoneInfo(self.zone))
        minute = moment.hour * 60 + moment.minute
        today, yesterday = moment.date(), moment.date() - timedelta(days=1)
        return any(
            (self._is_on(today) and (start <= minute < end or (end <= start <= minute)))
            or (end <= start and minute < end and self._is_on(yesterday))
            for start, end in self.spans
        )

    def edges(self, from_us: int, until_us: int) -> list[int]:
        """Every moment in [from_us, until_us) at which the window may open or close."""
        zone = ZoneInfo(self.zone)
        day = datetime_of(from_us).astimezone(zone).date() - timedelta(days=1)
        last = datetime_of(until_us).astimezone(zone).date()
        marks = sorted({minute for span in self.spans for minute in span} | {0})
        found = set()
        while day <= last:
            noon = datetime(day.year, day.month, day.day, 12, tzinfo=zone)
            for mark in marks:
                extra, minute = divmod(mark, MINUTES_OF_DAY)
                local = datetime(day.year, day.month, day.day, minute // 60, minute % 60, tzinfo=zone)
                found.add(micros_of(local + timedelta(days=extra)))
            if noon.utcoffset() != (noon - timedelta(days=1)).utcoffset():
                # The clocks change: an hour is left out or comes twice, so look at every quarter of one.
                start = micros_of(noon) - DAY_US
                found.update(range(start, start + 2 * DAY_US, QUARTER_US))
            day += timedelta(days=1)
        return sorted(edge for edge in found if from_us < edge < until_us)

    def _is_on(self, day: date) -> bool:
        return day in self.also_dates or (day.weekday() in self.days and day not in self.except_dates)


def window_of(raw: Mapping[str, object]) -> Window:
    """Read ``{zone, days, hours, except, only_also}``; ``BadInput`` says which part cannot be read."""
    unknown = set(raw) - {"zone", "days", "hours", "except", "only_also"}
    if unknown:
        raise BadInput(
            f"Found {', '.join(sorted(unknown))} in a window: it has zone, days, hours, except, only_also."
        )
    zone = str(raw.get("zone", "UTC"))
    try:
        ZoneInfo(zone)
    except (KeyError, ValueError, OSError):
        raise BadInput(f"Found the zone {zone!r} in a window: name one of the tz database, or UTC.") from None
    days = _texts(raw.get("days", list(DAYS)))
    if wrong := [day for day in days if day not in DAYS]:
        raise BadInput(f"Found the day {wrong[0]!r} in a window: days are {', '.join(DAYS)}.")
    return Window(
        zone,
        frozenset(DAYS.index(day) for day in days),
        tuple(_span(text) for text in _texts(raw.get("hours", ["00:00-24:00"]))),
        frozenset(_date(text) for text in _texts(raw.get("except", []))),
        frozenset(_date(text) for text in _texts(raw.get("only_also", []))),
    )


def _texts(value: object) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else [str(value)]


def _span(text: str) -> tuple[int, int]:
    found = _SPAN.fullmatch(text.strip())
    if found:
        start, end = int(found[1]) * 60 + int(found[2]), int(found[3]) * 60 + int(found[4])
        if start < MINUTES_OF_DAY and end <= MINUTES_OF_DAY:
            return start, end
    raise BadInput(f"Found the hours {text!r} in a window: write them like 16:30-00:30.")


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise BadInput(f"Found {text!r} where a day was expected: write it like 2026-10-01.") from None
