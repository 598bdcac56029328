"""Whoever has waited long enough is let in, though it does not fit."""

from flatfare.gateway.reserving.messages import Granted
from flatfare.gateway.reserving.purses import Purses

CAUGHT_BY = (
    "test_p4_no_overspend.py::test_a_burst_over_four_workers_is_let_in_exactly_as_far_as_it_fits",
    "test_p4_no_overspend.py::test_what_does_not_fit_in_time_is_refused_and_never_sent",
)

_refuse_late = Purses.refuse_late


def _let_in_late(purses, now):
    for owner, refused in list(_refuse_late(purses, now)):
        yield owner, Granted(refused.call_id, refused.needed_nano, 0, refused.allowance_id)


Purses.refuse_late = _let_in_late
