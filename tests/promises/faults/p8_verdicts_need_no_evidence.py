"""A verdict that names nothing it rests on is taken."""

from flatfare.core.outcome import Verdict

CAUGHT_BY = ("test_p8_verdicts_are_evidence.py::test_a_verdict_cannot_be_made_without_evidence",)

Verdict.__post_init__ = lambda _: None
