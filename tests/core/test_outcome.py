"""An outcome is a fold over verdicts: any order, late or twice, the same truth."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flatfare.core.errors import BadInput
from flatfare.core.outcome import MOVES, Judgement, Outcome, Verdict, VerifierKind, outcome_of


def verdict(judgement: str, at_us: int, verifier: str = "tests") -> Verdict:
    return Verdict(verifier, "1", VerifierKind.CODE, Judgement(judgement), "ab12", at_us)


verdicts = st.lists(
    st.builds(
        verdict,
        st.sampled_from(["pass", "fail", "abstain"]),
        st.integers(0, 5),
        st.sampled_from(["tests", "judge", "customer"]),
    ),
    max_size=8,
)


@given(verdicts, st.data())
def test_order_and_repetition_do_not_matter(given_verdicts: list[Verdict], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(given_verdicts))
    repeated = data.draw(st.lists(st.sampled_from(given_verdicts), max_size=4)) if given_verdicts else []
    assert outcome_of([*shuffled, *repeated]) == outcome_of(given_verdicts)


@given(verdicts)
def test_nothing_is_verified_without_a_pass(given_verdicts: list[Verdict]) -> None:
    if outcome_of(given_verdicts) is Outcome.VERIFIED:
        assert any(said.judgement is Judgement.PASS for said in given_verdicts)


@pytest.mark.parametrize(
    ("events", "outcome"),
    [
        ([], Outcome.OPEN),
        ([verdict("abstain", 1)], Outcome.OPEN),
        ([verdict("pass", 1)], Outcome.VERIFIED),
        ([verdict("fail", 1)], Outcome.FAILED),
        ([verdict("fail", 1), verdict("pass", 2)], Outcome.VERIFIED),
        ([verdict("pass", 1), verdict("fail", 2)], Outcome.REVERSED),
        ([verdict("pass", 1), verdict("fail", 2, "customer")], Outcome.REVERSED),
        ([verdict("pass", 1), verdict("fail", 2), verdict("pass", 3)], Outcome.VERIFIED),
        ([verdict("pass", 2, "judge"), verdict("fail", 1)], Outcome.FAILED),
    ],
)
def test_verdicts_add_up_to(events: list[Verdict], outcome: Outcome) -> None:
    assert outcome_of(events) is outcome


def test_silence_is_assumed_and_assumed_is_not_verified() -> None:
    assert outcome_of([], closed_as_assumed=True) is Outcome.ASSUMED
    assert outcome_of([verdict("pass", 1)], closed_as_assumed=True) is Outcome.VERIFIED


def test_a_verdict_names_its_verifier_and_evidence() -> None:
    with pytest.raises(BadInput, match="names who judged"):
        Verdict("", "1", VerifierKind.CODE, Judgement.PASS, "ab12", 1)
    with pytest.raises(BadInput, match="without evidence"):
        Verdict("tests", "1", VerifierKind.CODE, Judgement.PASS, "", 1)


def test_no_outcome_moves_back_to_open() -> None:
    assert all(Outcome.OPEN not in targets for targets in MOVES.values())
    assert set(MOVES) == set(Outcome)
