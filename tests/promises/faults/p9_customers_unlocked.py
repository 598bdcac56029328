"""Two nodes write the books of one customer at once: no lock keeps them apart."""

from contextlib import contextmanager

from flatfare.store.postgres import PostgresHome

CAUGHT_BY = (
    "test_p9_settled_exactly_once.py::test_eight_processes_spend_a_hundred_credits_and_no_more[postgresql]",
)


@contextmanager
def _unlocked(home, subject):
    home._begin("BEGIN ISOLATION LEVEL READ COMMITTED")
    yield from home._ended()


PostgresHome.writing_of = _unlocked
