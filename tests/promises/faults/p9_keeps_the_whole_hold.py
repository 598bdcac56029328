"""What was held is earned whole, also where less of it is due."""

from flatfare.service.selling import settling

CAUGHT_BY = (
    "../service/selling/test_sales.py::test_what_is_not_due_of_a_hold_goes_back_where_it_came_from",
    "test_p9_ledger_histories.py::test_a_year_by_a_clock_that_jumps_leaves_the_ledger_whole[1]",
)

_unwind = settling.unwind
settling.unwind = lambda draws, nano: _unwind(draws, 0)
