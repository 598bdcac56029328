"""Quantiles and tails of the distributions that intervals are made of, from the standard library alone.

Each is as exact as a double allows, in the far tails too.
"""

import math
from collections.abc import Callable
from functools import lru_cache
from statistics import NormalDist

from flatfare.core.errors import BadInput

_T_DEGREES_MAX = 100_000  # above, the expansion around the normal is exact to the last digits


def normal_quantile(probability: float) -> float:
    """The value a standard normal variable stays below with this probability.

    >>> round(normal_quantile(0.975), 6)
    1.959964
    """
    return NormalDist().inv_cdf(probability)


@lru_cache(maxsize=4096)
def student_t_quantile(probability: float, degrees: int) -> float:
    """The value a Student t variable stays below with this probability.

    >>> round(student_t_quantile(0.975, 18), 4)
    2.1009
    """
    if not 0 < probability < 1 or degrees < 1:
        raise BadInput(
            f"Found probability {probability} and {degrees} degrees: expected 0 to 1 and at least 1."
        )
    if probability < 0.5:
        return -student_t_quantile(1 - probability, degrees)
    if degrees == 1:
        return math.tan(math.pi * (probability - 0.5))
    z = normal_quantile(probability)
    # Start below the root and follow the convex tail: Newton's steps then never overshoot.
    t = z + z * (z * z + 1) / (4 * degrees)
    if degrees > _T_DEGREES_MAX:
        return t + z * (5 * z**4 + 16 * z**2 + 3) / (96 * degrees**2)
    for _ in range(100):
        square = t * t
        tail = beta_tail(degrees / 2, 0.5, degrees / (degrees + square), square / (degrees + square)) / 2
        step = (tail - (1 - probability)) / _t_density(t, degrees)
        t += step
        if abs(step) <= 1e-12 * (1 + t):
            break
    return t


def chi_square_tail(statistic: float, degrees: int) -> float:
    """The chance that a chi-square variable of few degrees of freedom exceeds a value.

    >>> round(chi_square_tail(3.841459, 1), 4), round(chi_square_tail(5.991465, 2), 4)
    (0.05, 0.05)
    """
    if degrees <= 0 or statistic <= 0:
        return 1.0
    half = statistic / 2
    # Recurrence from one or two degrees upwards (Abramowitz and Stegun 26.4.8).
    tail = math.erfc(math.sqrt(half)) if degrees % 2 else math.exp(-half)
    term = math.sqrt(half) / math.gamma(1.5) * math.exp(-half) if degrees % 2 else half * math.exp(-half)
    k = 1.5 if degrees % 2 else 1.0
    for _ in range((degrees - 1) // 2):
        tail += term
        k += 1
        term *= half / k
    return min(1.0, tail)


def beta_tail(a: float, b: float, x: float, y: float) -> float:
    """The regularised incomplete beta function I_x(a, b), given x and y = 1 - x without loss."""
    if x <= 0 or y <= 0:
        return 0.0 if x <= 0 else 1.0
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log(y))
    if x < (a + 1) / (a + b + 2):
        return front * _beta_fraction(a, b, x) / a
    return 1 - front * _beta_fraction(b, a, y) / b


def _beta_fraction(a: float, b: float, x: float) -> float:
    """The continued fraction of the incomplete beta function (DLMF 8.17.22, by Lentz's method)."""
    tiny = 1e-300
    c, d = 1.0, 1 / (1 - (a + b) * x / (a + 1) or tiny)
    result = d
    for m in range(1, 100_000):
        for factor in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 / (1 + factor * d or tiny)
            c = 1 + factor / c or tiny
            change = c * d
            result *= change
        if abs(change - 1) < 1e-15:
            break
    return result


def _t_density(t: float, degrees: int) -> float:
    return math.exp(
        math.lgamma((degrees + 1) / 2)
        - math.lgamma(degrees / 2)
        - 0.5 * math.log(degrees * math.pi)
        - (degrees + 1) / 2 * math.log1p(t * t / degrees)
    )


def crossing(f: Callable[[float], float], start: float, step: float, floor: float = -math.inf) -> float:
    """Where f, positive at the start, crosses zero in the direction of the step, but not below the floor."""
    near, far = start, max(start + step, floor)
    f_near, f_far = f(near), f(far)
    while f_far > 0:
        if far == floor:
            return floor
        near, f_near, far = far, f_far, max(far + step, floor)
        f_far = f(far)
    # Regula falsi, halving the weight of an end that stays (Illinois): the bracket never opens.
    for _ in range(100):
        middle = (near * f_far - far * f_near) / (f_far - f_near)
        f_middle = f(middle)
        if abs(f_middle) < 1e-12 or abs(far - near) < 1e-13:
            return middle
        if f_middle * f_far < 0:
            near, f_near = far, f_far
        else:
            f_near /= 2
        far, f_far = middle, f_middle
    return far
