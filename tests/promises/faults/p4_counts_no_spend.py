"""What calls cost is taken from their lease and counted nowhere."""

from flatfare.store import budgets

CAUGHT_BY = (
    "test_p4_no_overspend.py::test_a_burst_over_four_workers_is_let_in_exactly_as_far_as_it_fits",
    "test_p4_no_overspend.py::test_killing_workers_overspends_nothing_and_leaks_nothing[20]",
)

_book_spend = budgets.book_spend


def _uncounted(book, allowance, ends_us, epoch, nano):
    before = _book_spend(book, allowance, ends_us, epoch, nano)
    book.execute("UPDATE allowances SET spent_nano = ? WHERE id = ?", (before, allowance.id))
    return before


budgets.book_spend = _uncounted
