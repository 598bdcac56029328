"""Quantiles of the distributions that intervals are made of, against published tables and closed forms."""

import math

import pytest

from flatfare.core.distributions import normal_quantile, student_t_quantile
from flatfare.core.errors import BadInput


@pytest.mark.parametrize(
    ("probability", "degrees", "value"),
    [
        # Student's t, NIST/SEMATECH e-Handbook of Statistical Methods, table 1.3.6.7.2.
        (0.975, 1, 12.706),
        (0.975, 2, 4.303),
        (0.95, 3, 2.353),
        (0.99, 5, 3.365),
        (0.975, 10, 2.228),
        (0.995, 18, 2.878),
        (0.975, 18, 2.101),
        (0.999, 30, 3.385),
        (0.90, 60, 1.296),
        (0.975, 100, 1.984),
    ],
)
def test_student_t_is_the_published_table(probability: float, degrees: int, value: float) -> None:
    assert student_t_quantile(probability, degrees) == pytest.approx(value, abs=5.1e-4)
    assert student_t_quantile(1 - probability, degrees) == pytest.approx(-value, abs=5.1e-4)


def test_student_t_with_two_degrees_is_its_closed_form() -> None:
    for p in (0.6, 0.9, 0.975, 0.9995):
        closed = (2 * p - 1) / math.sqrt(2 * p * (1 - p))
        assert student_t_quantile(p, 2) == pytest.approx(closed, rel=1e-10)


def test_student_t_becomes_normal() -> None:
    assert student_t_quantile(0.975, 10**9) == pytest.approx(normal_quantile(0.975), rel=1e-8)


def test_the_two_ways_to_student_t_meet() -> None:
    assert student_t_quantile(0.975, 100_000) == pytest.approx(student_t_quantile(0.975, 100_001), rel=1e-9)


def test_student_t_refuses_what_has_no_value() -> None:
    for probability, degrees in ((0.0, 5), (1.0, 5), (0.9, 0)):
        with pytest.raises(BadInput):
            student_t_quantile(probability, degrees)
