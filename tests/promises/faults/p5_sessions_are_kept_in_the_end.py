"""What a session has used is kept where it ends, and nowhere before."""

from flatfare.gateway import sessions

CAUGHT_BY = (
    "test_p5_sessions_killed.py::test_what_a_session_had_used_is_booked_after_a_kill",
    "test_p5_sessions_killed.py::test_a_session_is_charged_while_it_goes_on_and_once",
)

sessions.Session._count = lambda session: None
