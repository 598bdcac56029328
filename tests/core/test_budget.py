"""Budgets: which window holds, across clock changes and month ends, whose they are, and what adds to them."""

from datetime import datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flatfare.core.budget import (
    Allowance,
    Budget,
    Scope,
    Threshold,
    TopUp,
    Whose,
    Window,
    crossed,
)
from flatfare.core.errors import BadInput
from flatfare.core.moments import datetime_of, micros_of

BERLIN = "Europe/Berlin"


def at(*parts: int, zone: str = "UTC") -> int:
    return micros_of(datetime(*parts, tzinfo=ZoneInfo(zone)))  # type: ignore[misc,arg-type]


def budget(
    scope: str = "organisation", amount: int = 100, window: str = "lifetime", **terms: object
) -> Budget:
    return Budget("bud_1", "some", Scope.of(scope), amount, Window.of(window), **terms)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("window", "moment", "begins", "ends"),
    [
        ("day", (2026, 11, 21, 23, 59), (2026, 11, 21), (2026, 11, 22)),
        ("week", (2026, 11, 22, 23), (2026, 11, 16), (2026, 11, 23)),
        ("month", (2026, 12, 31, 23), (2026, 12, 1), (2027, 1, 1)),
        ("month", (2028, 2, 29, 12), (2028, 2, 1), (2028, 3, 1)),
        ("quarter", (2026, 11, 21), (2026, 10, 1), (2027, 1, 1)),
        ("year", (2026, 11, 21), (2026, 1, 1), (2027, 1, 1)),
    ],
)
@pytest.mark.parametrize("zone", ["UTC", BERLIN, "Asia/Kathmandu", "Pacific/Apia"])
def test_a_window_of_the_calendar_begins_at_midnight_where_it_is(
    window: str, moment: tuple[int, ...], begins: tuple[int, ...], ends: tuple[int, ...], zone: str
) -> None:
    found = Window.of(window, zone).span(at(*moment, zone=zone))
    assert found == (at(*begins, zone=zone), at(*ends, zone=zone))


def test_a_day_on_which_the_clocks_change_has_25_or_23_hours() -> None:
    """(i) Berlin, 2026-10-25 and 2026-03-29."""
    day = Window.of("day", BERLIN)
    hours = [
        (ends - begins) / 3.6e9
        for begins, ends in (
            day.span(at(2026, month, date, 12, zone=BERLIN)) for month, date in ((10, 25), (3, 29))
        )
        if ends is not None
    ]
    assert hours == [25, 23]
    last_us = at(2026, 10, 25, 23, 59, 59, zone=BERLIN)
    assert day.span(last_us)[1] == last_us + 1_000_000
    assert day.span(last_us + 1_000_000)[0] == last_us + 1_000_000


def test_where_the_clocks_skip_midnight_the_day_begins_when_they_first_show_it() -> None:
    """Beirut, 2026-03-29: from 24:00 to 01:00."""
    day = Window.of("day", "Asia/Beirut")
    begins, _ = day.span(at(2026, 3, 29, 12, zone="Asia/Beirut"))
    assert datetime_of(begins).astimezone(ZoneInfo("Asia/Beirut")).isoformat() == "2026-03-29T01:00:00+03:00"


def test_a_clock_that_jumps_back_draws_on_the_window_it_shows() -> None:
    """(j) Spend of a window counts in it whenever it comes: nothing is counted twice or lost."""
    day = Window.of("day")
    now, before = at(2026, 11, 21, 0, 0, 1), at(2026, 11, 20, 23, 59, 59)
    found = [Allowance("bud_1", "organisation", day.span(moment)[0]).id for moment in (now, before, now)]
    assert found[0] == found[2] != found[1]


def test_a_rolling_window_counts_a_slot_until_all_of_it_has_passed() -> None:
    window = Window.of("rolling 60m")
    spent_us = at(2026, 11, 21, 12, 0, 30)
    begins = window.span(spent_us)[0]
    for later_s, counts in ((0, True), (3599, True), (3600, True), (3660, False)):
        later_us = spent_us + later_s * 1_000_000
        assert (window.counted_since(window.span(later_us)[0]) <= begins) is counts, later_s


@given(
    st.integers(at(2001, 1, 1), at(2100, 1, 1)), st.sampled_from(["day", "week", "month", "quarter", "year"])
)
def test_windows_follow_one_another_without_a_gap(moment: int, kind: str) -> None:
    window = Window.of(kind, BERLIN)
    begins, ends = window.span(moment)
    assert ends is not None
    assert begins <= moment < ends
    assert window.span(ends)[0] == ends
    assert window.span(ends - 1)[0] == begins
    assert window.span(begins) == (begins, ends)


@pytest.mark.parametrize("text", ["fortnight", "rolling", "rolling 5s", "rolling 0m", "rolling 9999d", ""])
def test_a_window_that_is_none_is_said(text: str) -> None:
    with pytest.raises(BadInput, match="Found the window"):
        Window.of(text)


def test_a_zone_that_is_none_is_said() -> None:
    with pytest.raises(BadInput, match="Found the time zone 'Mars'"):
        Window.of("day", "Mars")


@pytest.mark.parametrize(
    ("scope", "subject"),
    [
        ("organisation", "organisation"),
        ("team=search", "search"),
        ("team=*", "search"),
        ("team=sales", None),
        ("customer=*", None),
        ("key=key_1", "key_1"),
        ("session=*", "s 1"),
        ("task=t1", "t1"),
        ("project=p", None),
    ],
)
def test_whose_a_call_is_says_which_budgets_it_falls_under(scope: str, subject: str | None) -> None:
    whose = Whose(key="key_1", task="t1", session="s 1", labels={"team": "search"})
    assert budget(scope).subject(whose) == subject


@pytest.mark.parametrize("text", ["team", "=x", "team=", "organisation=x", ""])
def test_a_scope_that_is_none_is_said(text: str) -> None:
    with pytest.raises(BadInput, match="Found the scope"):
        Scope.of(text)


@given(st.text(min_size=1, max_size=20), st.integers(0, 2**60))
def test_an_allowance_is_read_back_from_its_id(subject: str, begins: int) -> None:
    one = Allowance("bud_1", subject, begins)
    assert Allowance.of(one.id) == one


def test_top_ups_add_and_overrides_stand_until_they_expire() -> None:
    more = (
        TopUp(50, 10, 20, "ann"),
        TopUp(7, 0, None, "ann", subject="s"),
        TopUp(1000, 15, 18, "ann", replaces=True),
    )
    some = budget(top_ups=more)
    assert [some.limit_nano(at_us, "x") for at_us in (5, 10, 15, 18, 20)] == [100, 150, 1050, 150, 100]
    assert some.limit_nano(5, "s") == 107


def test_a_threshold_that_stops_is_a_hard_limit_there() -> None:
    soft = budget(is_hard=False, thresholds=(Threshold(80, "stop"),))
    assert soft.hard_limit_nano(0, "x") == 80
    assert budget(is_hard=False).hard_limit_nano(0, "x") is None
    assert budget(thresholds=(Threshold(90, "stop"),)).hard_limit_nano(0, "x") == 90


def test_each_line_is_crossed_once_whatever_the_steps() -> None:
    some = budget()
    steps = [0, 10, 49, 50, 50, 74, 100, 130]
    found = [line.percent for one, two in pairwise(steps) for line in crossed(some, 100, one, two)]
    assert found == [50, 75, 90, 100]


@pytest.mark.parametrize(
    "terms",
    [{"thresholds": (Threshold(0, "alert"),)}, {"thresholds": (Threshold(50, "explode"),)}, {"amount": -1}],
)
def test_a_budget_that_is_none_is_said(terms: dict[str, object]) -> None:
    with pytest.raises(BadInput):
        budget(**terms)  # type: ignore[arg-type]
