"""Comparing two paths again and again: intervals that hold at every look, not only at one fixed beforehand.

Who looks each day and stops at the first clear answer is fooled by an interval made for
one look: with daily looks it errs several times as often as it says. These are wider, and
hold at all looks together.

Source: Robbins' normal mixture in the form of Waudby-Smith, Arbour, Sinha, Kennedy and
Ramdas 2024 (asymptotic confidence sequences); ``bench/peeking.py`` prints how often each errs.
"""

import math

from flatfare.core.distributions import normal_quantile
from flatfare.core.statistics import Comparison, Ratio, ratio_of

TIGHTEST_AT = 0.1
"""The standard deviation of a log ratio at which the interval is narrowest against one made for one look.

Chosen once for all, before any data: a difference of a fifth is then about to become clear.
"""


def widened(spread: float, confidence: float = 0.95) -> float:
    """The half width that holds at every look, for an estimate with this standard deviation at this look.

    >>> round(widened(0.1) / 0.1, 2), round(widened(0.03) / 0.03, 2)
    (3.04, 3.26)
    """
    if spread == 0:
        return 0.0
    # In units of information t = 1 / variance the estimate times t is a Brownian motion; the mixture
    # over a normal prior of variance 1 / s crosses sqrt((t + s) log((t / s + 1) / alpha²)) with chance alpha.
    alpha = 1 - confidence
    information = 1 / (spread * spread)
    prior = _prior(confidence)
    return (
        math.sqrt((information + prior) * math.log((information / prior + 1) / (alpha * alpha))) / information
    )


def _prior(confidence: float) -> float:
    """The information of the prior that is best where the deviation is ``TIGHTEST_AT``."""
    alpha = 1 - confidence
    best = -2 * math.log(alpha) + math.log(-2 * math.log(alpha) + 1)
    return 1 / (TIGHTEST_AT * TIGHTEST_AT) / best


def cheaper_at_any_look(a: Ratio, b: Ratio) -> Comparison:
    """By what share ``b`` is cheaper than ``a`` per verified outcome, however often one has looked before.

    As ``statistics.ratio_of``, wider; both None where one of the two says too little.

    >>> from flatfare.core.statistics import CostSums, cost_per_success, ratio_of
    >>> a = cost_per_success(CostSums.of([(5, True)] * 250 + [(6, False)] * 162))
    >>> b = cost_per_success(CostSums.of([(3, True)] * 250 + [(4, False)] * 162))
    >>> once, always = ratio_of(a, b), cheaper_at_any_look(a, b)
    >>> once.point == always.point, always.interval.low < once.interval.low < once.interval.high
    (True, True)
    """
    if a.interval is None or not b.point:
        return Comparison(ratio_of(a, b).point, None)
    confidence = a.interval.confidence
    return ratio_of(a, b, lambda one, other: _together(one, other, confidence))


def _together(one: float, other: float, confidence: float) -> float:
    """Two log distances of intervals for one look, put together for every look."""
    distance = math.hypot(one, other)
    if distance == math.inf:
        return math.inf
    return widened(distance / normal_quantile((1 + confidence) / 2), confidence)
