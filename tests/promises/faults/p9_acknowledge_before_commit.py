"""A store that says that a change is kept before it is: every twentieth is committed, with those before."""

from contextlib import contextmanager
from itertools import count

from flatfare.store.sqlite import SqliteHome

CAUGHT_BY = ("test_p9_settled_exactly_once.py::test_sales_are_settled_once_through_kills",)
_changes = count(1)


@contextmanager
def _writing(home):
    if not home._connection.in_transaction:
        home.execute("BEGIN IMMEDIATE", ())
    yield
    if next(_changes) % 20 == 0:
        home.execute("COMMIT", ())


SqliteHome.writing = _writing
