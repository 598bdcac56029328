"""A task of which nobody says anything is verified when its window closes."""

from flatfare.core.definition import _Fold
from flatfare.core.outcome import Outcome

CAUGHT_BY = ("test_p8_verdicts_are_evidence.py::test_nothing_that_can_be_told_verifies_without_evidence",)

_move = _Fold._move
_Fold._move = lambda fold, after, at_us, cause: _move(
    fold, Outcome.VERIFIED if after is Outcome.ASSUMED else after, at_us, cause
)
