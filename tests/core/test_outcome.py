"""What a verdict must say, and where an outcome may move."""

import pytest

from flatfare.core.errors import BadInput
from flatfare.core.outcome import MOVES, Judgement, Outcome, Verdict, VerifierKind


def test_a_verdict_names_its_verifier_and_evidence() -> None:
    with pytest.raises(BadInput, match="names who judged"):
        Verdict("", "1", VerifierKind.CODE, Judgement.PASS, "ab12", 1)
    with pytest.raises(BadInput, match="without evidence"):
        Verdict("tests", "1", VerifierKind.CODE, Judgement.PASS, "", 1)


def test_no_outcome_moves_back_to_open() -> None:
    assert all(Outcome.OPEN not in targets for targets in MOVES.values())
    assert set(MOVES) == set(Outcome)
