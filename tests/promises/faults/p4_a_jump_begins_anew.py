"""Whenever another window shows on the clock, it begins with nothing spent."""

from flatfare.store import budgets

CAUGHT_BY = ("test_p4_clocks.py::test_a_clock_that_jumps_gives_no_window_twice",)

_standing = budgets.standing
_last = {}


def _begun_anew(book, budget, subject, at_us):
    begins = budget.window.span(at_us)[0]
    if _last.setdefault((budget.id, subject), begins) != begins:
        _last[budget.id, subject] = begins
        book.execute("UPDATE allowances SET spent_nano = 0 WHERE begins_us = ?", (begins,))
        book.execute("DELETE FROM leases")
    return _standing(book, budget, subject, at_us)


budgets.standing = _begun_anew
