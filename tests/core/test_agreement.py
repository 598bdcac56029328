"""Agreement beyond chance: the worked examples of those who invented the measures."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flatfare.core.agreement import cohens_kappa, krippendorffs_alpha, pairwise, settled
from flatfare.core.errors import BadInput
from flatfare.core.outcome import Judgement

PASS, FAIL, ABSTAIN = Judgement.PASS, Judgement.FAIL, Judgement.ABSTAIN

# Cohen 1960, A coefficient of agreement for nominal scales, table 2: 200 cases, three categories.
COHEN = ((88, 14, 18), (10, 40, 10), (2, 6, 12))

# Krippendorff 2011, Computing Krippendorff's Alpha-Reliability: A (binary, two observers), B (five
# values, two observers), C (four observers, values missing).
BINARY = ("0100000010", "1110010000")
NOMINAL = ("aabbdcccedda", "babbbccceddd")
MISSING = ("123321412...", "1233224125.3", ".3332342251.", "12332441251.")


def units(observers: tuple[str, ...]) -> list[list[str]]:
    return [[word for word in column if word != "."] for column in zip(*observers, strict=True)]


def test_cohens_own_example() -> None:
    pairs = [(i, j) for i, row in enumerate(COHEN) for j, count in enumerate(row) for _ in range(count)]
    found = cohens_kappa(pairs)
    assert (found.n, found.agreed) == (200, 140)
    assert found.kappa == pytest.approx(0.492, abs=0.0005)
    assert found.interval is not None
    assert found.interval.high is not None
    half = (found.interval.high - found.interval.low) / 2
    assert half / 1.959964 == pytest.approx(0.055, abs=0.0005)  # his standard error


@pytest.mark.parametrize(
    ("observers", "alpha"), [(BINARY, 0.095), (NOMINAL, 0.692), (MISSING, 0.743)], ids=["A", "B", "C"]
)
def test_krippendorffs_own_examples(observers: tuple[str, ...], alpha: float) -> None:
    assert krippendorffs_alpha(units(observers)).alpha == pytest.approx(alpha, abs=0.0005)


def test_a_unit_that_one_alone_judged_says_nothing() -> None:
    found = krippendorffs_alpha(units(MISSING))
    assert (found.units, found.values) == (11, 40)


def test_where_one_word_alone_was_said_there_is_no_figure() -> None:
    assert cohens_kappa([("pass", "pass")] * 9).kappa is None
    assert krippendorffs_alpha([["pass", "pass"]] * 9).alpha is None
    assert cohens_kappa([]).n == 0
    assert krippendorffs_alpha([]).alpha is None


def test_full_agreement_is_one_and_full_disagreement_below_zero() -> None:
    assert cohens_kappa([("a", "a"), ("b", "b")]).kappa == 1
    assert krippendorffs_alpha([["a", "a"], ["b", "b"]]).alpha == 1
    assert cohens_kappa([("a", "b"), ("b", "a")]).kappa == -1
    assert (krippendorffs_alpha([["a", "b"], ["b", "a"]]).alpha or 0) < 0


@given(st.lists(st.lists(st.sampled_from("ab"), max_size=4), max_size=12), st.randoms(use_true_random=False))
def test_alpha_does_not_depend_on_who_said_what(found: list[list[str]], random: object) -> None:
    shuffled = [sorted(words) for words in found]
    assert krippendorffs_alpha(found).alpha == pytest.approx(krippendorffs_alpha(shuffled).alpha)


def test_pairs_are_those_who_judged_the_same() -> None:
    found = pairwise([{"ann": PASS, "bob": FAIL}, {"bob": PASS, "cid": PASS}, {"ann": FAIL}])
    assert found == {("ann", "bob"): [(PASS, FAIL)], ("bob", "cid"): [(PASS, PASS)]}


@pytest.mark.parametrize(
    ("words", "wanted", "holds"),
    [
        ([], 2, None),
        ([PASS], 2, None),
        ([PASS, PASS], 2, PASS),
        ([FAIL, FAIL], 2, FAIL),
        ([PASS, FAIL], 2, None),
        ([PASS, ABSTAIN], 2, None),
        ([ABSTAIN, ABSTAIN], 2, None),
        ([PASS, FAIL, FAIL], 2, FAIL),
        ([PASS, FAIL, ABSTAIN], 2, ABSTAIN),
        ([PASS, ABSTAIN, PASS], 2, PASS),
        ([ABSTAIN, ABSTAIN, FAIL], 2, FAIL),
        ([PASS], 1, PASS),
        ([ABSTAIN], 1, None),
        ([ABSTAIN, PASS], 1, PASS),
        ([PASS, PASS, FAIL], 3, None),
        ([PASS, PASS, FAIL, FAIL], 3, ABSTAIN),
    ],
)
def test_what_reviewers_add_up_to(words: list[Judgement], wanted: int, holds: Judgement | None) -> None:
    assert settled(words, wanted) is holds


def test_nobody_can_be_wanted_by_no_one() -> None:
    with pytest.raises(BadInput, match="one or more"):
        settled([], 0)
