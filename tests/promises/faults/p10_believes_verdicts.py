"""Whether one verdict follows from the one before it is not looked at."""

from flatfare.service import vouching

CAUGHT_BY = ("test_p10_past_cannot_be_edited.py::test_any_tamper_is_found",)

vouching._verdict_problems = vouching._outcome_problems = lambda *_: ()
