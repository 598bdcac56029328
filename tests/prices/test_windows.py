"""Hours of the week: half-open spans, in their own zone, with days that are excepted."""

from datetime import date
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from flatfare.core.errors import BadInput
from flatfare.prices.windows import window_of
from tests.prices.books import at


def test_a_span_past_midnight_belongs_to_the_day_it_starts_on() -> None:
    window = window_of({"days": ["fri"], "hours": ["22:00-02:00"]})
    assert window.holds(at("2026-11-20T23:00:00Z"))
    assert window.holds(at("2026-11-21T01:59:00Z"))
    assert not window.holds(at("2026-11-20T01:00:00Z"))


def test_days_and_hours_are_those_of_the_zone() -> None:
    window = window_of({"zone": "Asia/Shanghai", "days": ["mon"], "hours": ["09:00-10:00"]})
    assert window.holds(at("2026-11-23T01:30:00Z"))
    assert not window.holds(at("2026-11-23T09:30:00Z"))


def test_a_worked_weekend_counts_as_a_workday() -> None:
    window = window_of({"days": ["mon"], "hours": ["09:00-10:00"], "only_also": ["2026-11-21"]})
    assert window.also_dates == {date(2026, 11, 21)}
    assert window.holds(at("2026-11-21T09:30:00Z"))


WEEK = window_of(
    {
        "zone": "Europe/Berlin",
        "days": ["mon", "sat"],
        "hours": ["01:00-04:00", "22:00-02:30"],
        "except": ["2026-10-26"],
    }
)


@example(at("2026-10-20"), 435_600_000_001)
@given(st.integers(at("2026-10-20"), at("2026-11-10")), st.integers(1, 20 * 86_400_000_000))
def test_nothing_changes_between_two_edges(start: int, length: int) -> None:
    edges = [start, *WEEK.edges(start, start + length), start + length]
    for before, after in pairwise(edges):
        assert WEEK.holds(before) == WEEK.holds(after - 1)


@pytest.mark.parametrize(
    "raw", [{"hours": ["25:00-26:00"]}, {"days": ["someday"]}, {"zone": "Mars/One"}, {"hour": "1"}]
)
def test_what_is_no_window_is_refused(raw: dict[str, object]) -> None:
    with pytest.raises(BadInput):
        window_of(raw)
