"""An entry loses its last posting on the way into the book."""

from dataclasses import replace

from flatfare.core import ledger as rules
from flatfare.store import ledger

CAUGHT_BY = (
    "../service/selling/test_sales.py::test_any_other_entry_is_posted_once_and_balances",
    "test_p9_ledger_histories.py::test_a_year_by_a_clock_that_jumps_leaves_the_ledger_whole[1]",
)

rules.check_balanced = lambda postings: None
_append = ledger.append
ledger.append = lambda book, entry: _append(book, replace(entry, postings=entry.postings[:-1]))
