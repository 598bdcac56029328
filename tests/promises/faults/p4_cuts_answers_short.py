"""A call without a limit is given whatever is left, however short its answer then is."""

from flatfare.gateway.reserving.purses import Purses

CAUGHT_BY = (
    "test_p4_no_overspend.py::test_without_a_limit_on_the_answer_nearly_all_that_fit_are_answered_in_full",
)

Purses._least = lambda _, ask: ask.least_nano
