"""Moments: microseconds since 1970 in UTC, read from the forms that exports use.

A date without a zone is taken as UTC, and the caller is told, so that it can say so.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import overload

from flatfare.core.errors import BadInput

MICROSECONDS = 1_000_000
HOUR_US = 3600 * MICROSECONDS
DAY_US = 24 * HOUR_US
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DIGITS = re.compile(r"\d{9,19}(\.\d+)?")
_SPAN = re.compile(r"(\d{1,6})\s*(s|m|h|d|w|y)")
_SPAN_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800, "y": 31_536_000}
YEAR_MIN, YEAR_MAX = 2000, 2200  # no model call is older; a year outside is a broken clock or a wrong unit


def parse_moment(text: str) -> tuple[int, bool]:
    """Microseconds since 1970, and whether the text named its zone.

    Takes ISO 8601, and seconds, milliseconds, microseconds or nanoseconds since
    1970 told apart by their size. Raises ``BadInput`` otherwise.

    >>> parse_moment("2026-03-20T18:42:31.337302Z"), parse_moment("1774032151")
    ((1774032151337302, True), (1774032151000000, True))
    """
    stripped = text.strip()
    if _DIGITS.fullmatch(stripped):
        return _checked(_from_digits(stripped), text), True
    try:
        moment = datetime.fromisoformat(stripped)
    except ValueError:
        raise BadInput(
            f"Found {text[:60]!r} where a time was expected: write it like 2026-08-01T12:30:00Z."
        ) from None
    zoned = moment.tzinfo is not None
    return _checked(micros_of(moment if zoned else moment.replace(tzinfo=UTC)), text), zoned


def micros_of(moment: datetime) -> int:
    """Microseconds since 1970 of a moment that has a zone, exactly.

    >>> micros_of(datetime(2026, 1, 1, tzinfo=UTC))
    1767225600000000
    """
    return (moment - _EPOCH) // timedelta(microseconds=1)


def datetime_of(at_us: int) -> datetime:
    """The moment as a datetime in UTC."""
    return _EPOCH + timedelta(microseconds=at_us)


@overload
def iso(at_us: int) -> str: ...
@overload
def iso(at_us: None) -> None: ...
def iso(at_us: int | None) -> str | None:
    """The moment in ISO 8601, in UTC, with microseconds only where it has them; None where there is none.

    >>> iso(1767225600000000)
    '2026-01-01T00:00:00Z'
    """
    if at_us is None:
        return None
    return datetime_of(at_us).isoformat().replace("+00:00", "Z")


def is_span(text: str) -> bool:
    """Whether the text says a length of time."""
    return text.strip() == "0" or _SPAN.fullmatch(text.strip()) is not None


def parse_span(text: str) -> int:
    """Microseconds of a length of time such as 90d, 12h or 30m; a year has 365 days.

    >>> parse_span("72h") // 3_600_000_000, parse_span("0")
    (72, 0)
    """
    if text.strip() == "0":
        return 0
    found = _SPAN.fullmatch(text.strip())
    if found is None:
        raise BadInput(
            f"Found {text[:60]!r} where a length of time was expected: write it like 90d, 12h or 30m."
        )
    return int(found[1]) * _SPAN_SECONDS[found[2]] * MICROSECONDS


def span_text(span_us: int) -> str:
    """A length of time as people write it, in the largest unit that holds it whole.

    >>> span_text(259_200_000_000), span_text(90_000_000)
    ('3d', '90s')
    """
    seconds = span_us // MICROSECONDS
    unit = next(unit for unit in ("d", "h", "m", "s") if seconds % _SPAN_SECONDS[unit] == 0)
    return f"{seconds // _SPAN_SECONDS[unit]}{unit}" if seconds else "0"


def _from_digits(digits: str) -> int:
    whole, _, fraction = digits.partition(".")
    exponent = {9: 6, 10: 6, 12: 3, 13: 3, 15: 0, 16: 0, 18: -3, 19: -3}.get(len(whole))
    if exponent is None:
        raise BadInput(f"Found {digits!r} where a time was expected: seconds since 1970 have ten digits.")
    if exponent < 0:
        return int(whole) // 1000
    return int(whole + fraction.ljust(exponent, "0")[:exponent])


def _checked(at_us: int, text: str) -> int:
    if not YEAR_MIN <= datetime_of(at_us).year <= YEAR_MAX:
        raise BadInput(
            f"Found the time {text[:60]!r}, in the year {datetime_of(at_us).year}: no call is from then."
        )
    return at_us
