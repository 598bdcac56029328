"""What can be said of a cost per verified outcome from the tasks seen so far.

Every interval comes from a handful of sums, so a hundred million tasks cost no more
than twenty once their sums are taken; the order and the grouping of the tasks, and
the unit of money, never change what is said. Below ``MIN_SUCCESSES`` nothing is said.

The tasks of a group are taken as independent draws of one kind of work. How the
interval was chosen, what it holds in simulations and where it fails is in
``docs/decisions/ratio-interval.md``; ``bench/interval_coverage.py`` prints the figures.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from flatfare.core.distributions import beta_tail, crossing, normal_quantile, student_t_quantile
from flatfare.core.errors import BadInput

MIN_SUCCESSES = 5
"""Verified tasks below which a ratio has no interval: its upper end would be mostly guesswork."""

COSTS_AND_COUNTS = "costs and counts"
"""Method of an interval that knows what each task cost."""

COUNTS_ONLY = "counts only"
"""Method of an interval that knows only the total cost: far too narrow where costs vary."""

_EXACT_SUCCESSES_MAX = 1000  # above, Wilson's limits are the exact ones to a hundredth of their distance

_PRINTED_BY_LUCK = 0.6
"""Share of the allowed error that may be spent on being printed at all.

A rare success is never seen too seldom in a printed group, so between half of the
error (equal tails) and all of it could be; chosen by simulation.
"""


@dataclass(frozen=True, slots=True)
class Interval:
    """A range that holds the truth with the stated confidence; ``high`` is None where it has no end."""

    low: float
    high: float | None
    confidence: float

    def holds(self, value: float) -> bool:
        """Whether the value lies inside, ends included.

        >>> Interval(1.0, 2.0, 0.95).holds(2.0), Interval(1.0, None, 0.95).holds(0.5)
        (True, False)
        """
        return self.low <= value and (self.high is None or value <= self.high)


@dataclass(frozen=True, slots=True)
class CostSums:
    """The sums of one group of matured tasks, split by whether the task was verified.

    In SQL: ``count(*)``, ``sum(cost)`` and ``sum(cost::double * cost)``, each once
    ``filter (where verified)`` and once ``filter (where not verified)``; NULL sums of
    no rows are 0. Any unit of money will do (nano-dollars, dollars), the same in all;
    squares are in that unit squared. A square of nano-dollars does not fit 64 bits,
    hence the double: its sum keeps the spread of costs that differ by more than a
    ten-thousandth of their mean. Integers are taken exactly, of any size.
    """

    successes: int = 0
    success_cost: float = 0
    success_cost_squared: float = 0
    failures: int = 0
    failure_cost: float = 0
    failure_cost_squared: float = 0
    handoff: float = 0
    """What a failure costs on top, in a what-if: already in the sums, kept for groups without failures."""

    def __post_init__(self) -> None:
        if self.successes < 0 or self.failures < 0:
            raise BadInput(
                f"Found {self.successes} successes and {self.failures} failures: counts start at 0."
            )
        if not (0 <= self.success_cost < math.inf and 0 <= self.failure_cost < math.inf):
            raise BadInput(
                f"Found costs of {self.success_cost} and {self.failure_cost}: expected finite, from 0 up."
            )

    @classmethod
    def of(cls, pairs: Iterable[tuple[float, bool]]) -> "CostSums":
        """The sums of tasks given one by one, as cost and whether verified.

        >>> CostSums.of([(3, True), (1, True), (5, False)])
        CostSums(successes=2, success_cost=4.0, success_cost_squared=10.0, failures=1, \
failure_cost=5.0, failure_cost_squared=25.0, handoff=0)
        """
        verified: list[float] = []
        failed: list[float] = []
        for cost, success in pairs:
            (verified if success else failed).append(cost)
        if min(verified + failed, default=0) < 0:
            raise BadInput(f"Found a task that cost {min(verified + failed)}: a cost is never negative.")
        return cls(
            *(len(verified), math.fsum(verified), math.fsum(cost * cost for cost in verified)),
            *(len(failed), math.fsum(failed), math.fsum(cost * cost for cost in failed)),
        )

    def __add__(self, other: "CostSums") -> "CostSums":
        """The sums of both groups taken together.

        >>> CostSums.of([(3, True)]) + CostSums.of([(1, False)]) == CostSums.of([(1, False), (3, True)])
        True
        """
        return CostSums(
            self.successes + other.successes,
            self.success_cost + other.success_cost,
            self.success_cost_squared + other.success_cost_squared,
            self.failures + other.failures,
            self.failure_cost + other.failure_cost,
            self.failure_cost_squared + other.failure_cost_squared,
            max(self.handoff, other.handoff),
        )

    @property
    def n(self) -> int:
        """Tasks in the group."""
        return self.successes + self.failures

    @property
    def cost(self) -> float:
        """What all of them cost."""
        return self.success_cost + self.failure_cost

    def with_handoff(self, handoff_cost: float) -> "CostSums":
        """The same group when each failure costs that much more, as when a person takes it over.

        >>> CostSums.of([(3, True), (1, False)]).with_handoff(10) == CostSums(
        ...     1, 3, 9, 1, 11, 121, handoff=10)
        True
        """
        if not 0 <= handoff_cost < math.inf:
            raise BadInput(f"Found a handoff cost of {handoff_cost}: a cost is finite and never negative.")
        return CostSums(
            self.successes,
            self.success_cost,
            self.success_cost_squared,
            self.failures,
            self.failure_cost + handoff_cost * self.failures,
            self.failure_cost_squared + handoff_cost * (2 * self.failure_cost + handoff_cost * self.failures),
            self.handoff + handoff_cost,
        )


@dataclass(frozen=True, slots=True)
class Ratio:
    """A cost per verified outcome: what was spent, and what that says of the price of one.

    ``point`` is None without a success, ``interval`` below ``MIN_SUCCESSES``: then the
    figure is the spend so far.
    """

    cost: float
    n: int
    successes: int
    point: float | None
    interval: Interval | None
    method: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """How one ratio stands to another; both None where one of the two says too little."""

    point: float | None
    interval: Interval | None


def cost_per_success(sums: CostSums, confidence: float = 0.95) -> Ratio:
    """Cost per verified outcome of a group, with its interval in the unit of the sums.

    Two doubts are measured apart and put together. How many succeed: the success
    rate's exact limits, given that an interval is printed at all. How much tasks
    cost: the spread of costs among successes and among failures. Given the count the
    two are independent, so their distances, on the log scale, add as squares. The
    correlation of cost and success is kept: a rate is turned into a cost per success
    with the mean cost of a success and of a failure each.

    >>> ratio = cost_per_success(CostSums.of([(2, True)] * 30 + [(6, False)] * 10))
    >>> ratio.point, round(ratio.interval.low, 2), round(ratio.interval.high, 2)
    (4.0, 2.93, 6.01)
    >>> cost_per_success(CostSums.of([(2, True)] * 4)).interval is None
    True
    """
    _check_confidence(confidence)
    point = sums.cost / sums.successes if sums.successes else None
    interval = None
    if point is not None and sums.successes >= MIN_SUCCESSES:
        down, up = _count_arms(sums, point, confidence)
        spread = _spread(sums, confidence)
        interval = Interval(
            point * math.exp(-math.hypot(down, spread)),
            # A low mean comes with a low spread where costs are skewed, and few tasks do not show
            # their own skewness: so it is presumed. x + x² is the second order of the t interval of
            # the log of a mean for costs skewed like a lognormal of coefficient of variation 1.2.
            point * math.exp(math.hypot(up, spread + min(spread, spread * spread))),
            confidence,
        )
    return Ratio(sums.cost, sums.n, sums.successes, point, interval, COSTS_AND_COUNTS)


def cost_per_success_from_counts(n: int, successes: int, cost: float, confidence: float = 0.95) -> Ratio:
    """Cost per verified outcome of a published aggregate, whose single costs are not known.

    The interval is Wilson's on the success rate with the cost taken as known: it says
    what the count alone leaves open, and holds the truth far less often than its
    confidence where costs vary.

    >>> ratio = cost_per_success_from_counts(100, 50, 20.0)
    >>> ratio.point, round(ratio.interval.low, 3), round(ratio.interval.high, 3), ratio.method
    (0.4, 0.335, 0.495, 'counts only')
    """
    if not 0 <= cost < math.inf:
        raise BadInput(f"Found a cost of {cost}: a cost is finite and never negative.")
    rate = wilson(successes, n, confidence)
    point = cost / successes if successes else None
    interval = None
    if successes >= MIN_SUCCESSES:
        per_task = cost / n
        interval = Interval(per_task / (rate.high or 1.0), per_task / rate.low, confidence)
    return Ratio(cost, n, successes, point, interval, COUNTS_ONLY)


def difference(a: Ratio, b: Ratio) -> Comparison:
    """How much more ``a`` costs per verified outcome than ``b``, seen on separate tasks.

    Only the two points and intervals are needed: each end is as far away as the ends
    of the two that lead there, added as squares (MOVER, Zou and Donner 2008).

    >>> a = Ratio(0, 0, 9, 5.0, Interval(4.0, 7.0, 0.95), "")
    >>> b = Ratio(0, 0, 9, 3.0, Interval(2.5, 4.0, 0.95), "")
    >>> low, high = difference(a, b).interval.low, difference(a, b).interval.high
    >>> difference(a, b).point, round(low, 2), round(high, 2)
    (2.0, 0.59, 4.06)
    """
    if a.point is None or b.point is None:
        return Comparison(None, None)
    point = a.point - b.point
    if a.interval is None or b.interval is None:
        return Comparison(point, None)
    a_high, b_high = _end(a.interval), _end(b.interval)
    return Comparison(
        point,
        _interval(
            point - math.hypot(a.point - a.interval.low, b_high - b.point),
            point + math.hypot(a_high - a.point, b.point - b.interval.low),
            _same_confidence(a.interval, b.interval),
        ),
    )


def ratio_of(a: Ratio, b: Ratio, joined: Callable[[float, float], float] = math.hypot) -> Comparison:
    """By what share ``b`` is cheaper than ``a``, seen on separate tasks; negative where it is dearer.

    The same as ``difference``, on the log scale; ``joined`` puts two distances together.

    >>> a = Ratio(0, 0, 9, 5.0, Interval(4.0, 7.0, 0.95), "")
    >>> b = Ratio(0, 0, 9, 3.0, Interval(2.5, 4.0, 0.95), "")
    >>> saving = ratio_of(a, b)
    >>> round(saving.point, 2), round(saving.interval.low, 2), round(saving.interval.high, 2)
    (0.4, 0.14, 0.59)
    """
    if a.point is None or b.point is None or a.point == 0:
        return Comparison(None, None)
    quotient = b.point / a.point
    if a.interval is None or b.interval is None:
        return Comparison(1 - quotient, None)
    down = joined(_log(b.point, b.interval.low), _log(_end(a.interval), a.point))
    up = joined(_log(_end(b.interval), b.point), _log(a.point, a.interval.low))
    return Comparison(
        1 - quotient,
        Interval(
            1 - quotient * math.exp(up) if quotient else 1.0,
            1 - quotient * math.exp(-down),
            _same_confidence(a.interval, b.interval),
        ),
    )


def are_tied(a: Ratio, b: Ratio) -> bool:
    """Whether the tasks seen cannot tell the two apart: the interval of the difference holds zero.

    What has no interval is tied with everything.

    >>> few = cost_per_success(CostSums.of([(2, True)] * 4))
    >>> are_tied(few, cost_per_success(CostSums.of([(90, True)] * 40)))
    True
    """
    interval = difference(a, b).interval
    return interval is None or interval.holds(0.0)


def frontier(points: Sequence[tuple[float, float]]) -> list[int]:
    """Positions of the points of cost and success rate that no other beats on both, cheapest first.

    Equal points stand or fall together; they keep the order they came in.

    >>> frontier([(2.0, 0.9), (1.0, 0.5), (3.0, 0.9), (1.0, 0.4), (2.0, 0.9)])
    [1, 0, 4]
    """
    kept: list[int] = []
    for at in sorted(range(len(points)), key=lambda at: (points[at][0], -points[at][1], at)):
        if not kept or points[at][1] > points[kept[-1]][1] or points[at] == points[kept[-1]]:
            kept.append(at)
    return kept


def wilson(successes: int, n: int, confidence: float = 0.95) -> Interval:
    """Wilson's score interval of a success rate.

    >>> rate = wilson(81, 263)
    >>> round(rate.low, 4), round(rate.high, 4)
    (0.2553, 0.3662)
    """
    _check_confidence(confidence)
    if n <= 0:
        raise BadInput(f"Found {n} tasks: a success rate needs at least one.")
    if not 0 <= successes <= n:
        raise BadInput(f"Found {successes} successes among {n} tasks: expected between 0 and {n}.")
    z2 = normal_quantile((1 + confidence) / 2) ** 2
    middle = successes + z2 / 2
    half = math.sqrt(z2 * (successes * (n - successes) / n + z2 / 4))
    return Interval(
        0.0 if successes == 0 else (middle - half) / (n + z2),
        1.0 if successes == n else (middle + half) / (n + z2),
        confidence,
    )


def _count_arms(sums: CostSums, point: float, confidence: float) -> tuple[float, float]:
    """Log distances from the point to what it would be at the limits of the success rate."""
    if point == 0:
        return 0.0, 0.0
    success_mean = sums.success_cost / sums.successes
    # A group without failures has no cost of one: it is taken to cost what a success does.
    failure_mean = sums.failure_cost / sums.failures if sums.failures else success_mean + sums.handoff
    rate_low, rate_high = _rate_limits(sums.successes, sums.n, confidence)
    at_high = success_mean + failure_mean * (1 - rate_high) / rate_high
    at_low = success_mean + failure_mean * (1 - rate_low) / rate_low
    return max(0.0, _log(point, at_high)), max(0.0, _log(at_low, point))


def _spread(sums: CostSums, confidence: float) -> float:
    """Half width of the t interval of the log of the total cost, the count of successes given."""
    squares = _around_mean(sums.successes, sums.success_cost, sums.success_cost_squared) + _around_mean(
        sums.failures, sums.failure_cost, sums.failure_cost_squared
    )
    if squares == 0:
        return 0.0
    degrees = sums.n - 2
    t = student_t_quantile((1 + confidence) / 2, degrees)
    return t * math.sqrt(squares * sums.n / degrees) / sums.cost


def _around_mean(count: int, total: float, squares: float) -> float:
    """Sum of squares around the mean, never below zero; exact where the sums are integers."""
    return max(0.0, (count * squares - total * total) / count) if count else 0.0


@lru_cache(maxsize=4096)
def _rate_limits(successes: int, n: int, confidence: float) -> tuple[float, float]:
    """Limits of the success rate of a group whose interval is printed, so ``successes >= MIN_SUCCESSES``.

    The rate's exact binomial limits with the mid-p count, where the lower one allows
    for being printed: a rare success is seen only in the samples that were lucky. It
    is the rate at which so many successes are too many *among the samples with at
    least MIN_SUCCESSES*, but no lower than the rate at which being printed is itself
    an accident.
    """
    if successes > _EXACT_SUCCESSES_MAX:
        rate = wilson(successes, n, confidence)
        return rate.low, rate.high or 1.0
    log_alpha = math.log((1 - confidence) / 2)

    def printed(odds: float) -> float:
        return _at_least(MIN_SUCCESSES, n, odds)

    def too_many(odds: float) -> float:
        both = _at_least(successes, n, odds) + _at_least(successes + 1, n, odds)
        return math.log(both / 2 / printed(odds)) - log_alpha

    def too_few(odds: float) -> float:
        both = _at_most(successes, n, odds) + _at_most(successes - 1, n, odds)
        return math.log(both / 2) - log_alpha

    start = math.log((successes + 0.5) / (n - successes + 0.5))
    log_luck = math.log(_PRINTED_BY_LUCK * (1 - confidence))
    floor = crossing(lambda odds: math.log(printed(odds)) - log_luck, start, -0.5)
    low = crossing(too_many, start, -0.5, floor)
    high = 1.0 if successes == n else _rate(crossing(too_few, start, 0.5))
    return _rate(low), high


def _rate(log_odds: float) -> float:
    return 1 / (1 + math.exp(-log_odds))


def _at_least(successes: int, n: int, log_odds: float) -> float:
    """Chance of at least so many successes in n tasks."""
    if successes > n:
        return 0.0
    return beta_tail(successes, n - successes + 1, _rate(log_odds), _rate(-log_odds))


def _at_most(successes: int, n: int, log_odds: float) -> float:
    """Chance of at most so many successes in n tasks, without loss where it is small."""
    return _at_least(n - successes, n, -log_odds)


def _log(over: float, under: float) -> float:
    """Log of a quotient; infinite where a positive number stands over zero or infinity over a number."""
    if over == under:
        return 0.0
    return math.inf if under == 0 or over == math.inf else math.log(over / under)


def _end(interval: Interval) -> float:
    return math.inf if interval.high is None else interval.high


def _interval(low: float, high: float, confidence: float) -> Interval:
    return Interval(low, None if high == math.inf else high, confidence)


def _same_confidence(a: Interval, b: Interval) -> float:
    if a.confidence != b.confidence:
        raise BadInput(
            f"Found intervals of {a.confidence:.0%} and {b.confidence:.0%}: compare two of one confidence."
        )
    return a.confidence


def _check_confidence(confidence: float) -> None:
    if not 0.5 <= confidence < 1:
        raise BadInput(f"Found a confidence of {confidence}: expected at least 0.5 and less than 1.")
