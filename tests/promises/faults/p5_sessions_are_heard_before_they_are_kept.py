"""A client hears the end of an answer before what it used is kept."""

from flatfare.gateway.journal import Journal
from flatfare.gateway.passage import Passage
from flatfare.gateway.records import Progress

CAUGHT_BY = (
    "test_p5_sessions_killed.py::test_sessions_killed_at_random_moments_lose_nothing_that_was_heard[2]",
)

_write = Journal.write


def _later(journal, record, on_kept=None):
    if isinstance(record, Progress):
        journal._loop.call_later(0.2, _write, journal, record, on_kept)
    else:
        _write(journal, record, on_kept)


Journal.write = _later
Passage.hold = lambda passage: None
