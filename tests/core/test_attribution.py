"""Credit for an outcome that several parts touched adds up to the outcome, by every rule."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flatfare.core.attribution import Rule, Touch, Touched, credited, shapley
from flatfare.core.errors import BadInput


def touched(parts: str, *, verified: bool = True, outcome_at: int | None = None) -> Touched:
    touches = tuple(Touch(part, 10 * at, 10 * at + 5) for at, part in enumerate(parts))
    return Touched(touches, verified, outcome_at)


tasks = st.lists(
    st.builds(
        touched,
        st.lists(st.sampled_from("abcd"), min_size=1, max_size=4, unique=True).map("".join),
        verified=st.booleans(),
        outcome_at=st.one_of(st.none(), st.integers(0, 60)),
    ),
    max_size=12,
)


@given(tasks, st.sampled_from(list(Rule)))
def test_credit_adds_up_to_the_verified_outcomes_exactly(some: list[Touched], rule: Rule) -> None:
    found = credited(some, rule, dict.fromkeys("abcd", Fraction(1, 3)))
    assert sum(found.values(), Fraction(0)) == sum(task.is_verified for task in some)


def test_each_rule_gives_it_to_whom_it_says() -> None:
    task = touched("brh", outcome_at=17)
    assert credited([task], Rule.FIRST) == {"b": 1, "r": 0, "h": 0}
    assert credited([task], Rule.LAST) == {"b": 0, "r": 0, "h": 1}
    assert credited([task], Rule.RESOLVER) == {"b": 0, "r": 1, "h": 0}  # the human came after it was done
    assert credited([task], Rule.SHARES, {"b": Fraction(1), "h": Fraction(3)}) == {
        "b": Fraction(1, 4),
        "r": 0,
        "h": Fraction(3, 4),
    }


def test_shapley_values_of_a_worked_example() -> None:
    """Three parts, all subsets observed, computed by hand over the six orders."""
    rates = {
        frozenset("a"): Fraction(1, 10),
        frozenset("b"): Fraction(2, 10),
        frozenset("c"): Fraction(0),
        frozenset("ab"): Fraction(5, 10),
        frozenset("ac"): Fraction(3, 10),
        frozenset("bc"): Fraction(2, 10),
        frozenset("abc"): Fraction(8, 10),
    }
    # a: orders abc .1, acb .1, bac .3, cab .3, bca .6, cba .6  -> 2.0 / 6
    assert shapley(frozenset("abc"), rates) == {
        "a": Fraction(20, 60),
        "b": Fraction(20, 60),
        "c": Fraction(8, 60),
    }


def test_a_part_that_adds_nothing_is_credited_nothing() -> None:
    alone = [touched("a")] * 8 + [touched("a", verified=False)] * 2
    both = [touched("ab")] * 8 + [touched("ab", verified=False)] * 2
    never = [touched("b", verified=False)] * 5
    found = credited([*alone, *both, *never], Rule.SHAPLEY)
    assert found == {"a": 16, "b": 0}


def test_shares_that_cover_no_part_of_a_task_are_refused() -> None:
    with pytest.raises(BadInput, match="give one of them a share"):
        credited([touched("ab")], Rule.SHARES, {"c": Fraction(1)})


def test_too_many_parts_for_shapley_are_refused() -> None:
    with pytest.raises(BadInput, match="touched by 13 parts"):
        credited([touched("abcdefghijklm")], Rule.SHAPLEY)
