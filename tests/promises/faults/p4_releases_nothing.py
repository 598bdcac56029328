"""A call that has ended is charged all that was held for it."""

from flatfare.gateway.reserving.purses import Purses

CAUGHT_BY = (
    "test_p4_no_overspend.py::test_a_stream_that_ends_early_gives_back_what_it_did_not_use",
    "test_p4_no_overspend.py::test_what_fits_one_after_the_other_waits_for_its_turn",
    "../gateway/test_purses.py::test_a_call_that_fits_in_the_end_is_not_refused",
)

_settle = Purses.settle
Purses.settle = lambda purses, call_id, cost_nano, needed_nano=None: _settle(
    purses, call_id, None, needed_nano
)
