"""What a call did not use is given back twice."""

from flatfare.gateway.reserving.purses import Purses

CAUGHT_BY = (
    "../gateway/test_purses.py::TestReserving",
    "test_p4_no_overspend.py::test_what_was_given_back_is_given_back_once",
)

_settle = Purses.settle


def _given_back_twice(purses, call_id, cost_nano, needed_nano=None):
    held = purses.held.get(call_id)
    changed = _settle(purses, call_id, cost_nano, needed_nano)
    for purse in changed:
        purse.used_nano -= held.nano - (held.nano if cost_nano is None else cost_nano)
    return changed


Purses.settle = _given_back_twice
