"""A call whose client leaves costs nothing."""

from flatfare.gateway.forwarding.call import Call
from flatfare.gateway.tap import Metered, nothing

CAUGHT_BY = ("test_p6_every_attempt_counts.py::test_a_client_that_leaves_pays_for_the_whole_answer",)

_finish_as = Call._finish_as


def _free_where_left(call, state, metered, http_status):
    if not call._is_client_here:
        metered = Metered(nothing("the client left"))
    _finish_as(call, state, metered, http_status)


Call._finish_as = _free_where_left
