"""What a fixed price risks: how often sales lose money, one by one and month by month, and how sure that is.

Everything follows from sales as they went: what each cost in all, failed attempts and
verification included, and whether it was verified and so paid. Months are made of such sales,
drawn independently; the interval says how far the few that were seen may mislead. Costs are in
one unit of money, whichever; the same sales give the same figures.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from statistics import NormalDist

from flatfare.core.errors import BadInput
from flatfare.core.statistics import Interval, wilson

MIN_SALES = 20
"""Sales below which nothing is said: the dear ones are rare, and have hardly been seen."""

MONTHS = 2000
"""Months that are simulated where sums of few sales are not yet near any curve."""

RESAMPLES = 200
"""How often the sales seen are drawn anew, to see how far they may mislead."""

FEW = 30
"""Sales a month below which months are simulated; above, a saddlepoint is as exact and much faster."""

_SUPPORT = 200
"""Different outcomes of a sale that are told apart; more are gathered, each with its neighbours' mean."""

_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Sale:
    """One sale as it went: what it cost in all, and whether it was verified."""

    cost: float
    is_verified: bool


@dataclass(frozen=True, slots=True)
class Chance:
    """A probability, and the range that holds the true one."""

    probability: float
    interval: Interval


@dataclass(frozen=True, slots=True)
class Spread:
    """How costs lie."""

    mean: float
    deviation: float
    median: float
    p90: float
    p99: float
    most: float

    @property
    def variation(self) -> float:
        """Deviation over mean: 0 where every sale costs the same."""
        return self.deviation / self.mean if self.mean else 0.0


def spread_of(costs: Sequence[float]) -> Spread:
    """How costs lie; quantiles are those of the costs seen.

    >>> spread_of([1.0, 2.0, 3.0, 10.0]).median
    2.5
    """
    if not costs:
        raise BadInput("Found no cost at all: a spread is of at least one.")
    ordered = sorted(costs)
    mean = math.fsum(ordered) / len(ordered)
    squares = math.fsum((cost - mean) ** 2 for cost in ordered)
    deviation = math.sqrt(squares / (len(ordered) - 1)) if len(ordered) > 1 else 0.0
    median, p90, p99 = (quantile(ordered, share) for share in (0.5, 0.9, 0.99))
    return Spread(mean, deviation, median, p90, p99, ordered[-1])


def quantile(ordered: Sequence[float], share: float) -> float:
    """The value that this share of ordered values does not exceed, between neighbours in proportion."""
    place = share * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def loss_per_sale(sales: Sequence[Sale], price: float, confidence: float = 0.95) -> Chance:
    """How likely one sale costs more than it brings: what is not verified brings nothing.

    >>> loss_per_sale([Sale(1, True)] * 15 + [Sale(1, False)] * 5, 2.0).probability
    0.25
    """
    _check(sales)
    lost = sum((price if sale.is_verified else 0.0) < sale.cost for sale in sales)
    return Chance(lost / len(sales), wilson(lost, len(sales), confidence))


def loss_over(
    sales: Sequence[Sale], price: float, count: int, *, seed: int = 1, confidence: float = 0.95
) -> Chance:
    """How likely so many sales together cost more than they bring.

    The interval comes of drawing the sales seen anew, and its upper end also of how often work may fail
    that was hardly seen to, and of sales dearer than any seen: it is wide where few were seen, or where
    a few dear ones decide.
    """
    _check(sales)
    if count < 1:
        raise BadInput(f"Found {count} sales: expected at least 1.")
    dice = Random(seed)
    profits = _support([(price if sale.is_verified else 0.0) - sale.cost for sale in sales])
    values = [value for value, _ in profits]
    weights = [weight for _, weight in profits]
    lows = sorted(
        _loss(values, _resampled(weights, dice), count, dice, MONTHS // 10) for _ in range(RESAMPLES)
    )
    tail = (1 - confidence) / 2
    point = _loss(values, weights, count, dice, MONTHS)
    low, high = quantile(lows, tail), _highest(sales, price, count, seed, confidence)
    return Chance(point, Interval(min(low, point), max(high, point), confidence))


def _highest(sales: Sequence[Sale], price: float, count: int, seed: int, confidence: float) -> float:
    """The upper end: of the sales seen drawn anew, with what may come that was not seen."""
    dice, anew = Random(seed), _Anew(sales, price)
    chances = sorted(_loss(*anew.drawn(dice), count, dice, MONTHS // 10) for _ in range(RESAMPLES))
    return quantile(chances, 0.5 + confidence / 2)


def margin_of(sales: Sequence[Sale], price: float, confidence: float = 0.95) -> tuple[float, Interval]:
    """What a sale leaves on average, and the range that holds the true average.

    >>> margin_of([Sale(1, True)] * 20, 3.0)[0]
    2.0
    """
    _check(sales)
    left = [(price if sale.is_verified else 0.0) - sale.cost for sale in sales]
    found = spread_of(left)
    arm = _NORMAL.inv_cdf(0.5 + confidence / 2) * found.deviation / math.sqrt(len(left))
    return found.mean, Interval(found.mean - arm, found.mean + arm, confidence)


def price_for_risk(
    sales: Sequence[Sale], risk: float, count: int, *, seed: int = 1, confidence: float = 0.95
) -> float:
    """The lowest price at which so many sales together lose with at most this probability, at the worst.

    "At the worst" is the upper end of the interval: what was seen may have been luck. Infinite
    where nothing was verified.
    """
    _check(sales)
    verified = sum(sale.is_verified for sale in sales)
    if not verified:
        return math.inf
    low = math.fsum(sale.cost for sale in sales) / verified
    high = low or 1e-9
    for _ in range(60):
        if _is_safe(sales, high, risk, count, seed, confidence):
            break
        high *= 1.5
    else:
        return math.inf
    for _ in range(8):  # to a 256th of the range: a price is rounded to two digits anyway
        middle = (low + high) / 2
        low, high = (
            (low, middle) if _is_safe(sales, middle, risk, count, seed, confidence) else (middle, high)
        )
    return high


def _is_safe(
    sales: Sequence[Sale], price: float, risk: float, count: int, seed: int, confidence: float
) -> bool:
    return _highest(sales, price, count, seed, confidence) <= risk


# --- sums of many sales


def _loss(values: Sequence[float], weights: Sequence[float], count: int, dice: Random, months: int) -> float:
    """The probability that a sum of so many draws is below zero."""
    held = [(value, weight) for value, weight in zip(values, weights, strict=True) if weight]
    if min(value for value, _ in held) >= 0:
        return 0.0
    if max(value for value, _ in held) < 0:
        return 1.0
    if count >= FEW:
        return _saddlepoint(held, count)
    drawn, shares = [value for value, _ in held], [weight for _, weight in held]
    lost = sum(math.fsum(dice.choices(drawn, shares, k=count)) < 0 for _ in range(months))
    return lost / months


def _saddlepoint(held: Sequence[tuple[float, float]], count: int) -> float:
    """The same by Lugannani and Rice (1980): exact to the second order in the count, tails included."""
    scale: float = max(abs(value) for value, _ in held)
    total = sum(weight for _, weight in held)
    points = [(value / scale, weight / total) for value, weight in held]
    tilt = _tilt(points)
    height, _, curve = _cumulants(points, tilt)
    distance: float = math.copysign(math.sqrt(max(0.0, -2 * count * height)), tilt)
    slope: float = tilt * math.sqrt(count * curve)
    if abs(distance) < 1e-3 or abs(slope) < 1e-6:
        mean, squares, cubes = (math.fsum(w * v**power for v, w in points) for power in (1, 2, 3))
        skew: float = (cubes - 3 * mean * squares + 2 * mean**3) / (squares - mean**2) ** 1.5
        return min(1.0, max(0.0, 0.5 + skew / (6 * math.sqrt(2 * math.pi * count))))
    found = _NORMAL.cdf(distance) + _NORMAL.pdf(distance) * (1 / distance - 1 / slope)
    return min(1.0, max(0.0, found))


def _tilt(points: Sequence[tuple[float, float]]) -> float:
    """Where the tilted mean is zero: between bounds that hold it, halving where Newton leaps."""
    low, high = -1.0, 1.0
    while _cumulants(points, low)[1] > 0:
        low *= 2
    while _cumulants(points, high)[1] < 0:
        high *= 2
    tilt = 0.0
    for _ in range(100):
        _, mean, curve = _cumulants(points, tilt)
        low, high = (tilt, high) if mean < 0 else (low, tilt)
        following = tilt - mean / curve if curve > 0 else (low + high) / 2
        if not low < following < high:
            following = (low + high) / 2
        if abs(following - tilt) <= 1e-10 * (1 + abs(tilt)):
            return following
        tilt = following
    return tilt


def _cumulants(points: Sequence[tuple[float, float]], tilt: float) -> tuple[float, float, float]:
    """The logarithm of the tilted weight, and the tilted mean and variance."""
    highest = max(tilt * value for value, _ in points)
    tilted = [(value, weight * math.exp(tilt * value - highest)) for value, weight in points]
    total = math.fsum(weight for _, weight in tilted)
    mean = math.fsum(value * weight for value, weight in tilted) / total
    square = math.fsum((value - mean) ** 2 * weight for value, weight in tilted) / total
    return highest + math.log(total), mean, square


class _Anew:
    """Sales as they might be, given those that were seen.

    How often work is verified is drawn as Jeffreys would, so that no failure among few is not taken for
    none ever; the next sale is dearer than all seen once in as many as were seen, and then as dear as
    the seen tail leads to expect (Hill 1975).
    """

    def __init__(self, sales: Sequence[Sale], price: float) -> None:
        done = [sale.cost for sale in sales if sale.is_verified]
        failed = [sale.cost for sale in sales if not sale.is_verified]
        self._size = len(sales)
        self._verified = len(done)
        self._price = price
        self._beyond = beyond([sale.cost for sale in sales])
        self._groups = [
            _support([price - cost for cost in done]) if done else [],
            _support([-cost for cost in failed or done]),
        ]

    def drawn(self, dice: Random) -> tuple[list[float], list[float]]:
        """Profits of a sale and their weights."""
        share = dice.betavariate(self._verified + 0.5, self._size - self._verified + 0.5)
        unseen = dice.betavariate(1, self._size)
        values, weights = [share * self._price - self._beyond], [unseen]
        for group, part in zip(self._groups, (share, 1 - share), strict=True):
            counts = _resampled([weight for _, weight in group], dice) if group else []
            total = sum(counts)
            values += [value for value, _ in group]
            weights += [(1 - unseen) * part * count / total for count in counts]
        return values, weights


def tail_index(costs: Sequence[float]) -> float:
    """How fast the dearest costs thin out, by Hill's estimate: below 2 no deviation holds, below 1 no mean.

    >>> tail_index([1.0, 1.0, 1.0]), round(tail_index([2.0**n for n in range(10)]), 2)
    (inf, 0.48)
    """
    ordered = sorted((cost for cost in costs if cost > 0), reverse=True)
    taken = min(len(ordered) - 1, max(5, len(ordered) // 10))
    if taken < 1:
        return math.inf
    excess = math.fsum(math.log(cost / ordered[taken]) for cost in ordered[:taken])
    return taken / excess if excess > 0 else math.inf


def beyond(costs: Sequence[float]) -> float:
    """What a sale may be expected to cost that is dearer than all that were seen."""
    index = max(tail_index(costs), 1.25)
    return max(costs) * (1.0 if math.isinf(index) else index / (index - 1))


def _support(values: Sequence[float]) -> list[tuple[float, int]]:
    """Values with how often each came; where there are many, neighbours are gathered at their mean."""
    ordered = sorted(values)
    size = max(1, math.ceil(len(ordered) / _SUPPORT))
    groups = (ordered[start : start + size] for start in range(0, len(ordered), size))
    return [(math.fsum(group) / len(group), len(group)) for group in groups]


def _resampled(weights: Sequence[int], dice: Random) -> list[int]:
    """How often each came in a sample of the same size, drawn from these."""
    counts = [0] * len(weights)
    for number in dice.choices(range(len(weights)), weights, k=sum(weights)):
        counts[number] += 1
    return counts


def _check(sales: Sequence[Sale]) -> None:
    if len(sales) < MIN_SALES:
        raise BadInput(
            f"Found {len(sales)} sales: at least {MIN_SALES} say something of risk. Try more inputs."
        )
