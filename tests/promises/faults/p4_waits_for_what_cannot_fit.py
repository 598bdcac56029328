"""A call that can never fit waits as long as it may."""

from flatfare.gateway.reserving.purses import Purses

CAUGHT_BY = ("test_p4_no_overspend.py::test_a_call_dearer_than_the_whole_budget_is_refused_at_once",)

_refuse_late = Purses.refuse_late


def _refuse_only_late(purses, now):
    for waiting in purses.waiting.values():
        if waiting.until > now:
            waiting.asked.clear()
    return _refuse_late(purses, now)


Purses.refuse_late = _refuse_only_late
