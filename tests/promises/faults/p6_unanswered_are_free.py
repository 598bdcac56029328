"""A call that was sent and never answered costs nothing."""

from flatfare.gateway.forwarding import answering
from flatfare.gateway.tap import Metered, nothing

CAUGHT_BY = ("test_p6_every_attempt_counts.py::test_a_call_that_gets_no_answer_is_a_row_and_not_free",)

answering._without_answer = lambda problem, was_sent: Metered(nothing(problem))
