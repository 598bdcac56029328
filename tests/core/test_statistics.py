"""What is said of a cost per verified outcome: against published values, as algebra, and by simulation."""

import math
import random
from collections.abc import Callable, Iterable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flatfare.core.errors import BadInput
from flatfare.core.statistics import (
    COUNTS_ONLY,
    MIN_SUCCESSES,
    CostSums,
    Interval,
    Ratio,
    are_tied,
    cost_per_success,
    cost_per_success_from_counts,
    difference,
    frontier,
    ratio_of,
    wilson,
)

COSTS = st.integers(0, 10**13)  # nano-dollars, up to $10,000 a task
TASKS = st.lists(st.tuples(COSTS, st.booleans()), max_size=60)
ENOUGH = st.builds(
    lambda verified, others: [(cost, True) for cost in verified] + others,
    st.lists(COSTS, min_size=MIN_SUCCESSES, max_size=30),
    TASKS,
)


def interval_of(ratio: Ratio) -> tuple[float, float]:
    assert ratio.interval is not None
    assert ratio.interval.high is not None
    return ratio.interval.low, ratio.interval.high


def exact(tasks: Iterable[tuple[int, bool]]) -> CostSums:
    """Sums as whole numbers of any size, as a store that counts in integers gives them."""
    tasks = list(tasks)
    verified = [cost for cost, success in tasks if success]
    failed = [cost for cost, success in tasks if not success]
    return CostSums(
        *(len(verified), sum(verified), sum(cost * cost for cost in verified)),
        *(len(failed), sum(failed), sum(cost * cost for cost in failed)),
    )


class TestWilson:
    @pytest.mark.parametrize(
        ("successes", "n", "low", "high"),
        [
            # Newcombe 1998, Statistics in Medicine 17, 857–872, table I, method 3.
            (81, 263, 0.2553, 0.3662),
            (15, 148, 0.0624, 0.1605),
            (0, 20, 0.0000, 0.1611),
            (1, 29, 0.0061, 0.1718),
        ],
    )
    def test_is_the_published_interval(self, successes: int, n: int, low: float, high: float) -> None:
        rate = wilson(successes, n)
        assert (rate.low, rate.high) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))

    @given(n=st.integers(1, 10**6))
    def test_none_and_all_reach_the_ends_exactly(self, n: int) -> None:
        assert wilson(0, n).low == 0.0
        assert wilson(n, n).high == 1.0

    @given(n=st.integers(1, 10**6), share=st.floats(0, 1))
    def test_failures_mirror_successes(self, n: int, share: float) -> None:
        successes = round(share * n)
        rate, mirrored = wilson(successes, n), wilson(n - successes, n)
        assert rate.high is not None
        assert rate.low + (mirrored.high or 0) == pytest.approx(1)
        assert rate.low <= successes / n <= rate.high

    @pytest.mark.parametrize(("successes", "n"), [(0, 0), (1, 0), (3, 2), (-1, 2), (0, -1)])
    def test_refuses_counts_that_cannot_be(self, successes: int, n: int) -> None:
        with pytest.raises(BadInput):
            wilson(successes, n)

    @pytest.mark.parametrize("confidence", [0.0, 0.3, 1.0, 95])
    def test_refuses_a_confidence_that_is_none(self, confidence: float) -> None:
        with pytest.raises(BadInput):
            wilson(1, 2, confidence)


class TestSums:
    @given(TASKS, TASKS)
    def test_groups_merged_are_the_tasks_pooled(
        self, some: list[tuple[int, bool]], others: list[tuple[int, bool]]
    ) -> None:
        assert exact(some) + exact(others) == exact(some + others)

    @given(TASKS, st.randoms(use_true_random=False))
    def test_the_order_of_tasks_is_irrelevant(
        self, tasks: list[tuple[int, bool]], rng: random.Random
    ) -> None:
        shuffled = rng.sample(tasks, len(tasks))
        assert CostSums.of(tasks) == CostSums.of(shuffled)

    @given(TASKS, st.integers(0, 10**12))
    def test_a_handoff_is_the_same_as_dearer_failures(
        self, tasks: list[tuple[int, bool]], handoff: int
    ) -> None:
        dearer = exact((cost if success else cost + handoff, success) for cost, success in tasks)
        what_if = exact(tasks).with_handoff(handoff)
        assert (what_if.n, what_if.cost) == (dearer.n, dearer.cost)
        assert what_if.failure_cost_squared == dearer.failure_cost_squared
        if dearer.failures:
            assert cost_per_success(what_if) == cost_per_success(dearer)

    def test_a_handoff_widens_upward_even_where_nothing_failed(self) -> None:
        unbroken = CostSums.of([(1.0, True)] * 30)
        low, high = interval_of(cost_per_success(unbroken))
        low_if, high_if = interval_of(cost_per_success(unbroken.with_handoff(10.0)))
        assert (low, low_if) == (1.0, 1.0)
        assert high_if > 1.5 > high

    def test_refuses_costs_and_counts_that_cannot_be(self) -> None:
        for bad in ((-1, 0, 0), (1, -1, 1), (1, math.nan, 1), (1, math.inf, 1)):
            with pytest.raises(BadInput):
                CostSums(*bad)
        with pytest.raises(BadInput):
            CostSums.of([(5, True), (-1, False)])
        with pytest.raises(BadInput):
            CostSums().with_handoff(-1)


class TestCostPerSuccess:
    def test_equals_its_parts_computed_by_hand(self) -> None:
        """Eight tasks: 5 verified at 1, 2, 3, 4, 5 and 3 failed at 6, 7, 8; t(6) at 95 % is 2.446912.

        The spread is t · √(n Σ(c − mean)² / (n−2)) / Σc = 2.446912 · √(8·12/6) / 36 = 0.271879.
        With five verified the lower rate is where 5 or more of 8 are seen in 3 of 100, 0.255661;
        the upper, where half of 5 and all of fewer are seen once in 40, 0.894400.
        """
        tasks = [(c, True) for c in (1, 2, 3, 4, 5)] + [(c, False) for c in (6, 7, 8)]
        spread = 0.271879
        down = math.log(36 / 5 / (3 + 7 * (1 / 0.894400 - 1)))
        up = math.log((3 + 7 * (1 / 0.255661 - 1)) / (36 / 5))
        ratio = cost_per_success(CostSums.of(tasks))
        assert ratio.point == 36 / 5
        assert interval_of(ratio) == (
            pytest.approx(7.2 * math.exp(-math.hypot(down, spread)), rel=1e-4),
            pytest.approx(7.2 * math.exp(math.hypot(up, spread + spread**2)), rel=1e-4),
        )

    def test_the_lower_rate_allows_for_being_printed(self) -> None:
        """6 of 50 alone would exclude a rate of 4 %, but 4 % is printed only when lucky."""
        tasks = [(1.0, True)] * 6 + [(1.0, False)] * 44
        assert interval_of(cost_per_success(CostSums.of(tasks)))[1] > 1 / 0.04
        assert (wilson(6, 50).low) > 0.04

    def test_equal_costs_and_all_verified_leave_only_the_rate_open(self) -> None:
        """Half the chance of 20 out of 20 is one in 40 at a rate of (1/20)^(1/20)."""
        low, high = interval_of(cost_per_success(CostSums.of([(3.0, True)] * 20)))
        assert low == pytest.approx(3.0)
        assert high == pytest.approx(3.0 / 0.05 ** (1 / 20))

    def test_below_five_successes_there_is_the_spend_only(self) -> None:
        four = cost_per_success(CostSums.of([(2.0, True)] * 4 + [(1.0, False)] * 100))
        assert (four.interval, four.cost, four.successes, four.n) == (None, 108.0, 4, 104)
        five = cost_per_success(CostSums.of([(2.0, True)] * 5 + [(1.0, False)] * 100))
        assert five.interval is not None
        assert MIN_SUCCESSES == 5

    def test_without_a_success_there_is_no_point(self) -> None:
        for tasks in ([], [(2.0, False)] * 9):
            ratio = cost_per_success(CostSums.of(tasks))
            assert (ratio.point, ratio.interval, ratio.cost) == (None, None, sum(c for c, _ in tasks))

    def test_one_success_has_a_point_and_no_interval(self) -> None:
        ratio = cost_per_success(CostSums.of([(2.0, True), (4.0, False)]))
        assert (ratio.point, ratio.interval) == (6.0, None)

    def test_nothing_spent_is_nothing_per_outcome(self) -> None:
        ratio = cost_per_success(CostSums.of([(0, True)] * 9 + [(0, False)]))
        assert (ratio.point, interval_of(ratio)) == (0.0, (0.0, 0.0))

    @given(ENOUGH, st.floats(0.5, 0.999))
    def test_the_point_lies_inside(self, tasks: list[tuple[int, bool]], confidence: float) -> None:
        ratio = cost_per_success(exact(tasks), confidence)
        low, high = interval_of(ratio)
        assert ratio.point is not None
        assert 0 <= low <= ratio.point <= high < math.inf

    @given(ENOUGH)
    def test_more_confidence_is_wider(self, tasks: list[tuple[int, bool]]) -> None:
        low_80, high_80 = interval_of(cost_per_success(exact(tasks), 0.80))
        low_95, high_95 = interval_of(cost_per_success(exact(tasks), 0.95))
        assert low_95 <= low_80
        assert high_80 <= high_95

    @given(ENOUGH, st.integers(2, 10**9))
    def test_another_unit_of_money_says_the_same(self, tasks: list[tuple[int, bool]], scale: int) -> None:
        low, high = interval_of(cost_per_success(exact(tasks)))
        scaled = cost_per_success(exact((cost * scale, success) for cost, success in tasks))
        assert interval_of(scaled) == (pytest.approx(low * scale), pytest.approx(high * scale))

    def test_nano_dollars_in_doubles_say_the_same_as_exact_integers(self) -> None:
        rng = random.Random(5)
        tasks = [(round(rng.lognormvariate(20, 0.9)), rng.random() < 0.6) for _ in range(5000)]
        assert interval_of(cost_per_success(CostSums.of(tasks))) == pytest.approx(
            interval_of(cost_per_success(exact(tasks))), rel=1e-12
        )

    def test_a_hundred_million_tasks_are_no_harder(self) -> None:
        n = 10**8
        sums = CostSums(n // 2, n * 10**9, n * 3 * 10**18, n // 2, n * 10**9, n * 3 * 10**18)
        low, high = interval_of(cost_per_success(sums))
        assert cost_per_success(sums).point == 4e9
        assert high / low - 1 < 1e-3

    @pytest.mark.parametrize("rate", [0.0011, 0.5, 0.9989])
    def test_exact_and_approximate_rates_meet(self, rate: float) -> None:
        """The exact limits of the rate end at 1,000 successes: no jump is seen there."""
        tasks = [1000, 1001]
        ends = [
            interval_of(
                cost_per_success(
                    CostSums(s, s, s, round(s / rate) - s, round(s / rate) - s, round(s / rate) - s)
                )
            )
            for s in tasks
        ]
        assert ends[0] == pytest.approx(ends[1], rel=2e-3)


class TestCountsOnly:
    def test_is_wilson_with_the_cost_known(self) -> None:
        ratio = cost_per_success_from_counts(263, 81, 526.0)
        assert ratio.method == COUNTS_ONLY
        assert ratio.point == 526 / 81
        assert interval_of(ratio) == (
            pytest.approx(2 / 0.3662, rel=1e-3),
            pytest.approx(2 / 0.2553, rel=1e-3),
        )

    def test_below_five_successes_there_is_no_interval(self) -> None:
        assert cost_per_success_from_counts(100, 4, 10.0).interval is None
        assert cost_per_success_from_counts(100, 0, 10.0).point is None

    def test_refuses_a_cost_that_cannot_be(self) -> None:
        for cost in (-1.0, math.nan, math.inf):
            with pytest.raises(BadInput):
                cost_per_success_from_counts(100, 50, cost)


def ratio(low: float, point: float, high: float | None, confidence: float = 0.95) -> Ratio:
    return Ratio(point * 10, 20, 10, point, Interval(low, high, confidence), "")


class TestComparing:
    def test_difference_adds_distances_as_squares(self) -> None:
        found = difference(ratio(7, 10, 18), ratio(2, 5, 9))
        assert found.point == 5
        assert found.interval == Interval(5 - 5.0, 5 + math.hypot(8, 3), 0.95)

    def test_saving_is_the_difference_of_logs(self) -> None:
        found = ratio_of(ratio(50, 100, 200), ratio(25, 50, 100))
        assert found.point == 0.5
        assert found.interval is not None
        root2 = math.sqrt(2)
        assert found.interval.low == pytest.approx(1 - 0.5 * 2**root2)
        assert found.interval.high == pytest.approx(1 - 0.5 * 2**-root2)

    @given(ENOUGH, ENOUGH)
    def test_swapping_the_two_turns_the_sign(
        self, some: list[tuple[int, bool]], others: list[tuple[int, bool]]
    ) -> None:
        a, b = cost_per_success(exact(some)), cost_per_success(exact(others))
        there, back = difference(a, b).interval, difference(b, a).interval
        assert there is not None
        assert back is not None
        assert there.low == -(back.high or 0)
        assert are_tied(a, b) == are_tied(b, a)

    @given(TASKS)
    def test_a_group_is_tied_with_itself(self, tasks: list[tuple[int, bool]]) -> None:
        group = cost_per_success(exact(tasks))
        assert are_tied(group, group)

    def test_far_apart_is_not_tied(self) -> None:
        a, b = cost_per_success_from_counts(100, 50, 10.0), cost_per_success_from_counts(100, 50, 90.0)
        assert not are_tied(a, b)
        saving = ratio_of(b, a).interval
        assert saving is not None
        assert saving.low > 0.7

    def test_an_end_that_is_open_stays_open(self) -> None:
        open_end, closed = ratio(1, 2, None), ratio(3, 4, 5)
        found, turned = difference(open_end, closed).interval, difference(closed, open_end).interval
        assert found is not None
        assert turned is not None
        assert found.high is None
        assert turned.low == -math.inf
        saving = ratio_of(open_end, closed).interval
        assert saving is not None
        assert saving.high == 1.0

    def test_too_little_says_nothing(self) -> None:
        nothing, few = (cost_per_success(CostSums.of([(2.0, True)] * k)) for k in (0, 3))
        much = cost_per_success(CostSums.of([(4.0, True)] * 30))
        assert difference(nothing, much).point is None
        assert ratio_of(much, nothing).point is None
        assert (difference(few, much).point, difference(few, much).interval) == (-2.0, None)
        assert (ratio_of(much, few).point, ratio_of(much, few).interval) == (0.5, None)

    def test_free_is_wholly_cheaper_and_nothing_is_cheaper_than_free(self) -> None:
        free, paid = (cost_per_success(CostSums.of([(cost, True)] * 9)) for cost in (0.0, 2.0))
        assert ratio_of(paid, free).interval == Interval(1.0, 1.0, 0.95)
        assert ratio_of(free, paid).point is None

    def test_refuses_two_confidences(self) -> None:
        with pytest.raises(BadInput, match="95% and 80%"):
            difference(ratio(1, 2, 3), ratio(1, 2, 3, confidence=0.80))


class TestFrontier:
    @given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=30))
    def test_is_what_nothing_else_beats(self, points: list[tuple[int, int]]) -> None:
        def beaten(at: int) -> bool:
            cost, rate = points[at]
            return any(c <= cost and r >= rate and (c, r) != (cost, rate) for c, r in points)

        kept = frontier(points)
        assert sorted(kept) == [at for at in range(len(points)) if not beaten(at)]
        assert kept == sorted(kept, key=lambda at: (points[at][0], at))

    def test_of_nothing_is_nothing(self) -> None:
        assert frontier([]) == []


class TestCoverage:
    """Of 95 % intervals, 93 to 97 in a hundred hold the truth, at every size and success rate.

    Costs are lognormal with the spread and the dearer failures that are usual for one agent
    and model (``bench/interval_coverage.py`` has many more shapes). 2,000 printed intervals
    a cell leave 0.5 points of chance, twice which is allowed beside the 93 and 97.
    """

    REPETITIONS = 2000
    SIGMA, FAILURE_COST = 0.95, 1.4
    ALLOWANCE = 2 * math.sqrt(0.95 * 0.05 / REPETITIONS)

    def truth(self, rate: float) -> float:
        return (rate + (1 - rate) * self.FAILURE_COST) * math.exp(self.SIGMA**2 / 2) / rate

    def printed(self, n: int, rate: float) -> Iterator[CostSums]:
        """Samples of which an interval is printed; the others are drawn and passed over."""
        rng = random.Random(f"{n} tasks at {rate}")
        for _ in range(self.REPETITIONS):
            successes = 0
            while successes < MIN_SUCCESSES:
                successes = sum(rng.random() < rate for _ in range(n))
            costs = [rng.lognormvariate(0, self.SIGMA) for _ in range(n)]
            yield CostSums.of(
                (cost if at < successes else cost * self.FAILURE_COST, at < successes)
                for at, cost in enumerate(costs)
            )

    def is_honest(self, interval: Callable[[CostSums], tuple[float, float]], n: int, rate: float) -> bool:
        truth = self.truth(rate)
        ends = [interval(sums) for sums in self.printed(n, rate)]
        share = sum(low <= truth <= high for low, high in ends) / len(ends)
        return 0.93 - self.ALLOWANCE <= share <= 0.97 + self.ALLOWANCE

    @pytest.mark.parametrize(
        ("n", "rate"),
        [(n, rate) for n in (20, 50, 500) for rate in (0.05, 0.50, 0.95) if (n, rate) != (20, 0.05)],
    )
    def test_printed_intervals_hold_the_truth(self, n: int, rate: float) -> None:
        assert self.is_honest(lambda sums: interval_of(cost_per_success(sums)), n, rate)

    def test_of_twenty_tasks_at_one_in_twenty_nearly_nothing_is_printed(self) -> None:
        rng = random.Random(20)
        counts = [sum(rng.random() < 0.05 for _ in range(20)) for _ in range(20_000)]
        assert sum(successes >= MIN_SUCCESSES for successes in counts) < 0.005 * len(counts)

    @pytest.mark.parametrize(("n", "rate"), [(20, 0.50), (20, 0.95), (50, 0.05)])
    def test_the_textbook_interval_fails_the_same_check(self, n: int, rate: float) -> None:
        """The check can fail: point ± 1.96 standard errors of the linearised ratio does."""

        def textbook(sums: CostSums) -> tuple[float, float]:
            point = sums.cost / sums.successes
            squares = (
                sums.success_cost_squared
                + sums.failure_cost_squared
                - 2 * point * sums.success_cost
                + point * point * sums.successes
            )
            half = 1.96 * math.sqrt(squares) / sums.successes
            return point - half, point + half

        assert not self.is_honest(textbook, n, rate)
