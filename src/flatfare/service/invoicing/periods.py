"""Months in a time zone, as documents are made for them."""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

from flatfare.core.errors import BadInput
from flatfare.core.invoice import Period
from flatfare.core.moments import datetime_of, micros_of, parse_moment
from flatfare.service.reporting.question import checked_zone

_MONTH = re.compile(r"(\d{4})-(0[1-9]|1[0-2])")


def month(name: str, time_zone: str) -> Period:
    """The calendar month of that name, from midnight to midnight in the zone, daylight saving heeded.

    >>> march = month("2026-03", "Europe/Berlin")
    >>> (march.until_us - march.from_us) / 3_600_000_000 - 31 * 24
    -1.0
    """
    found = _MONTH.fullmatch(name)
    if found is None:
        raise BadInput(f"Found the month {name[:20]!r}: write it like 2026-11.")
    first = date(int(found[1]), int(found[2]), 1)
    zone = ZoneInfo(checked_zone(time_zone))
    return Period(name, _midnight(first, zone), _midnight(_next(first), zone))


def month_of(at_us: int, time_zone: str) -> str:
    """The name of the month that a moment lies in.

    >>> month_of(1_767_225_600_000_000, "UTC")
    '2026-01'
    """
    return f"{datetime_of(at_us).astimezone(ZoneInfo(checked_zone(time_zone))):%Y-%m}"


def month_before(name: str, time_zone: str) -> str:
    """The month before one."""
    return month_of(month(name, time_zone).from_us - 1, time_zone)


def moment_in(text: str, time_zone: str) -> int:
    """The moment that somebody names; a day begins in the zone.

    >>> moment_in("2026-03-01", "Europe/Berlin") == month("2026-03", "Europe/Berlin").from_us
    True
    """
    try:
        day = date.fromisoformat(text.strip())
    except ValueError:
        return parse_moment(text)[0]
    return _midnight(day, ZoneInfo(checked_zone(time_zone)))


def period_of(document: Mapping[str, object]) -> Period:
    """The period that an issued document says."""
    from_us, until_us = (micros_of(datetime.fromisoformat(str(document[name]))) for name in ("from", "until"))
    return Period(str(document["period"]), from_us, until_us)


def days_of(period: Period, from_us: int, until_us: int | None, time_zone: str) -> tuple[int, int]:
    """How many days of a month lie between two moments, a begun day counted whole, and how many it has."""
    zone = ZoneInfo(checked_zone(time_zone))
    first, end = (_day(at_us, zone) for at_us in (period.from_us, period.until_us))
    since = max(first, _day(from_us, zone))
    until = end if until_us is None or until_us >= period.until_us else min(end, _day(until_us, zone))
    return max(0, (until - since).days), (end - first).days


def _day(at_us: int, zone: ZoneInfo) -> date:
    return datetime_of(at_us).astimezone(zone).date()


def _next(first: date) -> date:
    return date(first.year + first.month // 12, first.month % 12 + 1, 1)


def _midnight(day: date, zone: ZoneInfo) -> int:
    return micros_of(datetime.combine(day, time(), zone).astimezone(UTC))
