"""An outcome is a fold over verdicts: any order, late or twice, the same truth."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flatfare.core.definition import (
    SILENCE,
    UNDECLARED,
    Definition,
    Move,
    Reopening,
    SignalRule,
    standing_of,
)
from flatfare.core.outcome import MOVES, Judgement, Outcome, Verdict, VerifierKind

ALL = {"tests": Decimal(1), "judge": Decimal(1)}
THREE = {name: Decimal(1) for name in ("a", "b", "c")}


def verdict(
    judgement: str, at_us: int, verifier: str = "tests", attempt: int | None = None, score: str | None = None
) -> Verdict:
    name = "-".join(str(part) for part in (verifier, judgement, at_us, attempt, score) if part is not None)
    return Verdict(
        verifier, "1", VerifierKind.CODE, Judgement(judgement), "ab12", at_us, attempt, name, score
    )


def signal(name: str, at_us: int, value: str | None = None) -> Verdict:
    return verdict("abstain", at_us, f"signal:{name}", score=value)


verdicts = st.lists(
    st.builds(
        verdict,
        st.sampled_from(["pass", "fail", "abstain"]),
        st.integers(0, 9),
        st.sampled_from(["tests", "judge", "customer", "signal:reopened", "signal:accepted", "signal:csat"]),
        st.sampled_from([None, 1, 2]),
        st.sampled_from([None, "1", "5", "many"]),
    ),
    max_size=9,
)
definitions = st.builds(
    Definition,
    required=st.sampled_from([{}, ALL, {"judge": Decimal("0.5"), "customer": Decimal(2)}]),
    needed=st.sampled_from([None, Decimal(1), Decimal(2)]),
    window_us=st.sampled_from([None, 0, 3]),
    silence=st.sampled_from([Outcome.ASSUMED, Outcome.FAILED]),
    reopening=st.sampled_from(list(Reopening)),
    signals=st.sampled_from([{}, {"csat": SignalRule(Judgement.FAIL, below=Decimal(3))}]),
)
moments = st.one_of(st.none(), st.integers(0, 12))


@settings(max_examples=1000)
@given(verdicts, definitions, moments, moments, st.data())
def test_order_and_repetition_do_not_matter(
    said: list[Verdict], definition: Definition, closes: int | None, now: int | None, data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(said))
    repeated = data.draw(st.lists(st.sampled_from(said), max_size=4)) if said else []
    one = standing_of(said, definition, closes_at_us=closes, now_us=now)
    other = standing_of([*shuffled, *repeated], definition, closes_at_us=closes, now_us=now)
    assert (one.outcome, one.moves, one.matures_at_us) == (other.outcome, other.moves, other.matures_at_us)


@settings(max_examples=1000)
@given(verdicts, definitions, moments, moments)
def test_nothing_is_verified_without_a_pass_and_moves_are_those_of_the_design(
    said: list[Verdict], definition: Definition, closes: int | None, now: int | None
) -> None:
    standing = standing_of(said, definition, closes_at_us=closes, now_us=now)
    if standing.outcome is Outcome.VERIFIED:
        assert any(v.judgement is Judgement.PASS or v.verifier == "signal:accepted" for v in said)
        assert standing.cause in {v.id for v in said}
    before = Outcome.OPEN
    for move in standing.moves:
        assert move.before is before
        assert move.after in MOVES[before]
        assert move.cause == SILENCE or move.cause in {v.id for v in said}
        before = move.after
    assert before is standing.outcome


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
        ([verdict("pass", 1), signal("reopened", 2)], Outcome.REVERSED),
        ([signal("reopened", 1)], Outcome.FAILED),
        ([signal("accepted", 1)], Outcome.VERIFIED),
        ([verdict("pass", 1), signal("csat", 2, "1")], Outcome.VERIFIED),
        ([verdict("pass", 1), signal("reopened", 2), verdict("pass", 3)], Outcome.VERIFIED),
    ],
)
def test_verdicts_add_up_to(events: list[Verdict], outcome: Outcome) -> None:
    assert standing_of(events).outcome is outcome


def test_all_that_are_required_must_pass_before_it_is_verified() -> None:
    both = Definition(required=ALL)
    first = standing_of([verdict("pass", 1)], both)
    assert (first.outcome, first.missing) == (Outcome.OPEN, ("judge",))
    assert standing_of([verdict("pass", 1), verdict("pass", 2, "judge")], both).outcome is Outcome.VERIFIED
    # The second fails: it was never verified, so it is failed and not reversed.
    assert standing_of([verdict("pass", 1), verdict("fail", 2, "judge")], both).outcome is Outcome.FAILED
    assert standing_of([verdict("pass", 1, "somebody else")], both).outcome is Outcome.OPEN


def test_a_quorum_is_decided_as_soon_as_nothing_can_change_it() -> None:
    two_of_three = Definition(required=THREE, needed=Decimal(2))
    passes = [verdict("pass", 1, "a"), verdict("pass", 2, "b")]
    assert standing_of(passes, two_of_three).outcome is Outcome.VERIFIED
    fails = [verdict("fail", 1, "a"), verdict("fail", 2, "b")]
    assert standing_of(fails, two_of_three).outcome is Outcome.FAILED
    split = [verdict("pass", 1, "a"), verdict("fail", 2, "b")]
    assert standing_of(split, two_of_three).outcome is Outcome.OPEN
    any_one = Definition(required=THREE, needed=Decimal(1))
    assert standing_of(split, any_one).outcome is Outcome.VERIFIED


def test_weights_decide() -> None:
    weighted = Definition(required={"human": Decimal(2), "judge": Decimal("0.5")}, needed=Decimal("1.5"))
    assert standing_of([verdict("pass", 1, "judge")], weighted).outcome is Outcome.OPEN
    assert standing_of([verdict("pass", 1, "human")], weighted).outcome is Outcome.VERIFIED
    assert standing_of([verdict("fail", 1, "human")], weighted).outcome is Outcome.FAILED


def test_the_words_about_a_former_attempt_do_not_stand_for_the_next() -> None:
    both = Definition(required=ALL)
    told = [
        verdict("fail", 1, "tests", attempt=1),
        verdict("pass", 2, "judge", attempt=1),
        verdict("pass", 3, "tests", attempt=2),
    ]
    assert standing_of(told, both).outcome is Outcome.FAILED  # nobody judged the second attempt's answer
    assert standing_of(told, both).missing == ("judge",)
    assert standing_of([*told, verdict("pass", 4, "judge", attempt=2)], both).outcome is Outcome.VERIFIED
    late = verdict("fail", 9, "judge", attempt=1)
    assert (
        standing_of([*told, verdict("pass", 4, "judge", attempt=2), late], both).outcome is Outcome.VERIFIED
    )


def test_silence_is_assumed_once_the_window_has_closed() -> None:
    definition = Definition(window_us=10)
    assert standing_of([], definition, closes_at_us=5, now_us=14).outcome is Outcome.OPEN
    silent = standing_of([], definition, closes_at_us=5, now_us=15)
    assert (silent.outcome, silent.cause, silent.at_us) == (Outcome.ASSUMED, SILENCE, 15)
    assert standing_of([], definition, now_us=10**9).outcome is Outcome.OPEN  # nobody closed it
    late = standing_of([verdict("pass", 20)], definition, closes_at_us=5, now_us=30)
    assert [move.after for move in late.moves] == [Outcome.ASSUMED, Outcome.VERIFIED]
    strict = Definition(window_us=10, silence=Outcome.FAILED)
    assert standing_of([], strict, closes_at_us=5, now_us=15).outcome is Outcome.FAILED


def test_a_signal_after_the_window_turns_nothing_and_is_named() -> None:
    definition = Definition(window_us=10)
    told = [verdict("pass", 5), signal("reopened", 16)]
    standing = standing_of(told, definition)
    assert (standing.outcome, standing.late) == (Outcome.VERIFIED, (told[1].id,))
    assert standing_of([verdict("pass", 5), signal("reopened", 15)], definition).outcome is Outcome.REVERSED
    assert standing_of(told, UNDECLARED).outcome is Outcome.REVERSED  # no window was declared


def test_a_score_below_its_bound_says_fail() -> None:
    definition = Definition(signals={"csat": SignalRule(Judgement.FAIL, below=Decimal(3))})
    assert standing_of([verdict("pass", 1), signal("csat", 2, "2.5")], definition).outcome is Outcome.REVERSED
    assert standing_of([verdict("pass", 1), signal("csat", 2, "3")], definition).outcome is Outcome.VERIFIED
    assert standing_of([verdict("pass", 1), signal("csat", 2, "NaN")], definition).outcome is Outcome.VERIFIED


def test_reopening_can_be_declared_to_change_nothing() -> None:
    kept = Definition(reopening=Reopening.KEPT)
    assert standing_of([verdict("pass", 1), signal("reopened", 2)], kept).outcome is Outcome.VERIFIED


def test_a_reversal_takes_all_words_back() -> None:
    both = Definition(required=ALL)
    told = [verdict("pass", 1), verdict("pass", 2, "judge"), signal("refund", 3), verdict("pass", 4)]
    assert standing_of(told, both).outcome is Outcome.REVERSED
    assert standing_of([*told, verdict("pass", 5, "judge")], both).outcome is Outcome.VERIFIED


def test_assumed_and_reopened_is_reversed_but_a_failed_check_makes_it_failed() -> None:
    assert standing_of([signal("reopened", 9)], closes_at_us=5, now_us=20).outcome is Outcome.REVERSED
    assert standing_of([verdict("fail", 9)], closes_at_us=5, now_us=20).outcome is Outcome.FAILED


def test_no_other_move_can_be_made() -> None:
    with pytest.raises(ValueError, match="no outcome moves"):
        Move(Outcome.VERIFIED, Outcome.FAILED, 1, "x")


def test_words_of_one_moment_are_heard_together() -> None:
    at_once = [
        Verdict("a", "1", VerifierKind.CODE, Judgement.PASS, "e", at_us=5, id="v1"),
        Verdict("b", "1", VerifierKind.CODE, Judgement.FAIL, "e", at_us=5, id="v2"),
        Verdict("c", "1", VerifierKind.CODE, Judgement.PASS, "e", at_us=5, id="v3"),
    ]
    standing = standing_of(at_once)
    assert (standing.outcome, len(standing.moves), standing.cause) == (Outcome.FAILED, 1, "v2")
