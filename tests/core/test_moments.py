"""Moments are microseconds in UTC, read from the forms that exports use."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flatfare.core.errors import BadInput
from flatfare.core.moments import datetime_of, iso, micros_of, parse_moment

moments = st.datetimes(datetime(2001, 1, 1), datetime(2199, 1, 1), timezones=st.just(UTC))


@given(moments)
def test_iso_and_back(moment: datetime) -> None:
    at_us = micros_of(moment)
    assert datetime_of(at_us) == moment
    assert parse_moment(iso(at_us)) == (at_us, True)


@pytest.mark.parametrize(
    ("text", "at_us", "is_zoned"),
    [
        ("2026-01-01", 1767225600000000, False),
        ("2026-01-01T00:00:00", 1767225600000000, False),
        ("2026-01-01T01:00:00+01:00", 1767225600000000, True),
        ("2026-01-01 00:00:00.5Z", 1767225600500000, True),
        ("1767225600", 1767225600000000, True),
        ("1767225600.25", 1767225600250000, True),
        ("1767225600000", 1767225600000000, True),
        ("1767225600000000", 1767225600000000, True),
        ("1767225600000000000", 1767225600000000, True),
    ],
)
def test_the_forms_that_exports_use(text: str, at_us: int, is_zoned: bool) -> None:
    assert parse_moment(text) == (at_us, is_zoned)


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "12345678901", "0001-01-01", "9999-01-01"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="Found"):
        parse_moment(text)
