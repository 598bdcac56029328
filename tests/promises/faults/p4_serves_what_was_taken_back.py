"""What was leased before a budget was lowered, or its top-up expired, is served all the same."""

from flatfare.gateway.reserving.purses import Purses

CAUGHT_BY = (
    "test_p4_whatever_is_asked.py::test_a_budget_that_is_lowered_holds_within_a_second",
    "test_p4_whatever_is_asked.py::test_what_a_top_up_added_is_not_spent_after_it_expired",
)

Purses.recalled = lambda *_: 0
