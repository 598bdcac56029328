"""A fixed fee is owed by period and shared out without losing a nano unit."""

import itertools
from datetime import date, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flatfare.core.commitment import Commitment, CommitmentKind, Every, Serves, periods
from flatfare.core.errors import BadInput

DOLLAR = 10**9


def seat(**terms: object) -> Commitment:
    agreed: dict[str, object] = {
        "id": "a",
        "name": "Claude Max",
        "kind": CommitmentKind.SEAT,
        "amount_nano": 200 * DOLLAR,
        "every": Every.MONTH,
        "from_day": date(2026, 1, 31),
        **terms,
    }
    return Commitment(**agreed)  # type: ignore[arg-type]


def test_a_month_begins_on_its_anniversary() -> None:
    found = list(periods(seat(), date(2026, 4, 2)))
    assert [(period.from_day, period.until_day) for period in found] == [
        (date(2026, 1, 31), date(2026, 2, 28)),
        (date(2026, 2, 28), date(2026, 3, 31)),
        (date(2026, 3, 31), date(2026, 4, 3)),
    ]
    assert [period.fee_nano for period in found[:2]] == [200 * DOLLAR, 200 * DOLLAR]
    assert found[2].fee_nano == 200 * DOLLAR * 3 // 30


def test_a_fee_that_ended_is_owed_for_its_days() -> None:
    found = list(periods(seat(from_day=date(2026, 1, 1), until_day=date(2026, 1, 11)), date(2026, 5, 1)))
    assert [(period.days, period.fee_nano) for period in found] == [(10, 64_516_129_032)]


def test_hours_are_owed_by_the_day() -> None:
    found = list(
        periods(seat(every=Every.HOUR, amount_nano=2 * DOLLAR, from_day=date(2026, 1, 1)), date(2026, 1, 3))
    )
    assert [period.fee_nano for period in found] == [48 * DOLLAR] * 3


def test_a_fee_owed_once_has_one_period() -> None:
    (period,) = periods(seat(every=Every.ONCE), date(2027, 1, 1))
    assert (period.fee_nano, period.from_day) == (200 * DOLLAR, date(2026, 1, 31))


def test_nothing_is_owed_before_it_begins() -> None:
    assert list(periods(seat(), date(2026, 1, 30))) == []


@given(st.sampled_from(Every), st.dates(date(2024, 1, 1), date(2027, 1, 1)), st.integers(0, 900))
def test_periods_follow_each_other_without_gap(every: Every, start: date, days: int) -> None:
    today = start + timedelta(days=days)
    found = list(periods(seat(every=every, from_day=start), today))
    assert found[0].from_day == start
    assert found[-1].until_day == today + timedelta(days=1)
    assert all(one.until_day == other.from_day for one, other in itertools.pairwise(found))


def test_the_longest_pattern_sets_the_multiplier() -> None:
    plan = seat(multipliers={"claude-*": Fraction(1), "claude-opus-*": Fraction(27)})
    assert [plan.multiplier(model) for model in ("claude-opus-4-6", "claude-haiku-4-5", "gpt-5", None)] == [
        27,
        1,
        1,
        1,
    ]


@pytest.mark.parametrize(
    ("serves", "provider", "model", "is_covered"),
    [
        (Serves(), "openai", "gpt-5", True),
        (Serves(), None, None, True),
        (Serves(provider="anthropic"), "openai", "gpt-5", False),
        (Serves(model="claude-*"), "anthropic", "Claude-Opus-4", True),
        (Serves(model="claude-*"), "anthropic", None, False),
    ],
)
def test_what_a_fee_covers(serves: Serves, provider: str | None, model: str | None, is_covered: bool) -> None:
    assert serves.names_model(provider, model) is is_covered


@pytest.mark.parametrize("terms", [{"amount_nano": -1}, {"units": 0}, {"until_day": date(2026, 1, 31)}])
def test_impossible_terms_are_refused(terms: dict[str, object]) -> None:
    with pytest.raises(BadInput):
        seat(**terms)
