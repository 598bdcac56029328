"""What was held is earned whole, also where less of it is due."""

from flatfare.service.selling import settling

CAUGHT_BY = (
    "../service/selling/test_sales.py::test_what_is_not_due_of_a_hold_goes_back_where_it_came_from",
    "test_p9_ledger_histories.py::test_every_history_ends_as_the_oracle_says",
)

_unwind = settling.unwind
settling.unwind = lambda draws, nano: _unwind(draws, 0)
