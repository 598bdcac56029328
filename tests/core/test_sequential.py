"""Intervals that hold at every look: wider than those for one look, and never fooled by looking again."""

import math
import random

import pytest

from flatfare.core.sequential import cheaper_at_any_look, widened
from flatfare.core.statistics import CostSums, Interval, Ratio, cost_per_success, ratio_of


def ratio(point: float, low: float, high: float | None) -> Ratio:
    return Ratio(0, 100, 50, point, Interval(low, high, 0.95), "")


def test_it_is_wider_than_an_interval_for_one_look_by_a_stated_factor() -> None:
    factors = [widened(spread) / (1.96 * spread) for spread in (0.5, 0.1, 0.02)]
    assert factors == pytest.approx([2.60, 1.55, 1.72], abs=0.01)
    assert widened(0.0) == 0.0
    assert widened(0.1, 0.99) > widened(0.1, 0.95)


def test_a_large_difference_is_seen_and_none_is_not() -> None:
    dear = cost_per_success(CostSums.of([(5.0, True)] * 300 + [(5.0, False)] * 100))
    cheap = cost_per_success(CostSums.of([(3.0, True)] * 300 + [(3.0, False)] * 100))
    found = cheaper_at_any_look(dear, cheap)
    assert found.point == pytest.approx(0.4)
    assert found.interval is not None
    assert 0.2 < found.interval.low < 0.4 < (found.interval.high or 1)
    same = cheaper_at_any_look(dear, dear).interval
    assert same is not None
    assert same.holds(0.0)


@pytest.mark.parametrize(
    ("a", "b", "has_point"),
    [
        (Ratio(1, 9, 0, None, None, ""), ratio(1, 0.5, 2), False),
        (Ratio(1, 9, 2, 0.5, None, ""), ratio(1, 0.5, 2), True),
        (ratio(1, 0.5, 2), Ratio(0, 9, 6, 0.0, Interval(0, 0, 0.95), ""), True),
    ],
)
def test_too_little_says_nothing(a: Ratio, b: Ratio, has_point: bool) -> None:
    found = cheaper_at_any_look(a, b)
    assert found.interval is None
    assert (found.point is not None) == has_point


def test_an_end_that_is_open_stays_open() -> None:
    found = cheaper_at_any_look(ratio(2, 1, None), ratio(1, 0.5, 2)).interval
    assert found is not None
    assert found.high == 1.0
    assert -math.inf < found.low < 0


def test_looking_often_fools_the_interval_for_one_look_and_not_this_one() -> None:
    """60 pairs of equal paths, 50 looks each."""
    dice = random.Random(3)
    once = always = 0
    for _ in range(60):
        sums = [CostSums(), CostSums()]
        fooled_once = fooled_always = False
        for _ in range(50):
            for which in (0, 1):
                sums[which] += CostSums.of(
                    (dice.lognormvariate(0, 0.6), dice.random() < 0.5) for _ in range(20)
                )
            a, b = cost_per_success(sums[0]), cost_per_success(sums[1])
            for_one, for_all = ratio_of(a, b).interval, cheaper_at_any_look(a, b).interval
            fooled_once |= for_one is not None and not for_one.holds(0.0)
            fooled_always |= for_all is not None and not for_all.holds(0.0)
        once += fooled_once
        always += fooled_always
    assert once > 9
    assert always <= 4
