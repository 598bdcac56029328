"""What a provider says while a session is counted does not reach its client."""

from flatfare.gateway.passage import Passage

CAUGHT_BY = ("../gateway/test_sessions_served.py::test_a_graceful_stop_books_what_a_session_has_used",)

_release = Passage.release


def _forget(passage):
    passage._take()
    _release(passage)


Passage.release = _forget
