"""While the book is away, more is served than was leased."""

from flatfare.gateway.reserving.purses import Purses
from flatfare.store import sqlite

CAUGHT_BY = ("test_p4_no_overspend.py::test_while_the_book_is_away_what_is_leased_is_served_and_no_more",)

_leased = Purses.leased


def _leased_anyway(purses, allowance_id, nano, limit_nano, left_nano, asked_for, *, is_away=False):
    _leased(purses, allowance_id, 10**12 if is_away else nano, limit_nano, left_nano, asked_for)


Purses.leased = _leased_anyway
sqlite.BUSY_MS = 500  # a book that another holds is away before the worker gives the call up
