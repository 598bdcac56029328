"""Calls whose worker died are forgotten."""

from flatfare.gateway.booking import Booker

CAUGHT_BY = (
    "test_p5_gateway_killed.py::test_a_call_cut_by_a_kill_is_estimated",
    "test_p5_sessions_killed.py::test_what_a_session_had_used_is_booked_after_a_kill",
)


def _forget(booker, turn, dead):
    for call_id, (worker_id, _) in [*booker._open.items(), *turn.opened.items()]:
        if worker_id in dead:
            booker._take(turn, call_id)


Booker._give_up = _forget
