"""What calls cost is counted as spent and stays leased too."""

from flatfare.store import budgets

CAUGHT_BY = ("test_p4_no_overspend.py::test_killing_the_treasurer_overspends_nothing_and_leaks_nothing[5]",)

_book_spend = budgets.book_spend
budgets.book_spend = lambda book, allowance, ends_us, epoch, nano: _book_spend(
    book, allowance, ends_us, None, nano
)
