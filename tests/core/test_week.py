"""Weeks of the calendar, through years and changes of the clock."""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flatfare.core.errors import BadInput
from flatfare.core.moments import datetime_of, micros_of
from flatfare.core.week import DAYS, Week, last_due

BERLIN = ZoneInfo("Europe/Berlin")
HOUR_US = 3_600_000_000
ZONES = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe"])
MOMENTS = st.integers(1_500_000_000_000_000, 2_500_000_000_000_000)


def at(*parts: int) -> int:
    return micros_of(datetime(*parts, tzinfo=BERLIN))  # type: ignore[arg-type, misc]


def test_the_last_week_is_whole_and_over() -> None:
    week = Week.last(at(2026, 11, 16, 0, 0), BERLIN)
    assert (week.name, week.monday, week.sunday) == ("2026-W46", date(2026, 11, 9), date(2026, 11, 15))
    assert week.until_us == at(2026, 11, 16)
    assert Week.last(at(2026, 11, 15, 23, 59), BERLIN).name == "2026-W45"


def test_a_week_of_two_years_has_one_name() -> None:
    week = Week.of(date(2027, 1, 1), BERLIN)
    assert (week.name, week.monday) == ("2026-W53", date(2026, 12, 28))


@pytest.mark.parametrize(("name", "hours"), [("2026-W13", 167), ("2026-W43", 169), ("2026-W46", 168)])
def test_a_week_is_as_long_as_its_days(name: str, hours: int) -> None:
    week = Week.named(name, BERLIN)
    assert (week.until_us - week.since_us) // HOUR_US == hours


@pytest.mark.parametrize("text", ["2026-46", "2026-W54", "2026-W00", "last", "", "0000-W01", "9999-W52"])
def test_what_is_no_week_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match=r"write it like 2026-W46"):
        Week.named(text, BERLIN)


def test_an_hour_that_the_clocks_leave_out_is_the_one_after_it() -> None:
    due_us = last_due(at(2026, 3, 29, 12), "sunday", 2, BERLIN)
    assert datetime_of(due_us).astimezone(BERLIN).hour == 3


def test_an_hour_that_comes_twice_is_due_once() -> None:
    dues = {
        last_due(at(2026, 10, 25, 1) + minutes * 60_000_000, "sunday", 2, BERLIN) for minutes in range(240)
    }
    assert sorted(dues) == [at(2026, 10, 18, 2), at(2026, 10, 25, 2)]


@given(at_us=MOMENTS, day=st.sampled_from(DAYS), hour=st.integers(0, 23), zone=ZONES.map(ZoneInfo))
def test_the_last_due_is_never_ahead_and_never_older_than_a_week_and_an_hour(
    at_us: int, day: str, hour: int, zone: ZoneInfo
) -> None:
    due_us = last_due(at_us, day, hour, zone)
    assert due_us <= at_us
    assert at_us - due_us <= timedelta(days=7, hours=1) // timedelta(microseconds=1)
    assert DAYS[datetime_of(due_us).astimezone(zone).weekday()] == day


@given(at_us=MOMENTS, zone=ZONES.map(ZoneInfo))
def test_weeks_follow_one_another_without_a_gap(at_us: int, zone: ZoneInfo) -> None:
    week = Week.last(at_us, zone)
    assert week.until_us <= at_us
    assert week.before().until_us == week.since_us
    assert Week.named(week.name, zone) == week
