"""A call that is refused at the door is not put on record."""

from flatfare.gateway.worker import Worker

CAUGHT_BY = ("test_p6_every_attempt_counts.py::test_a_call_that_is_refused_is_a_row",)

Worker._record_denied = lambda *_: None
