"""The end of a session is charged in full, whatever it was charged before."""

import msgspec

from flatfare.gateway import turns
from flatfare.gateway.reserving import charging

CAUGHT_BY = ("test_p5_sessions_killed.py::test_a_session_is_charged_while_it_goes_on_and_once",)


def _in_full(intent, cost_nano):
    return charging.charge_of(msgspec.structs.replace(intent, charged_nano=0), cost_nano)


turns.charge_of = _in_full
