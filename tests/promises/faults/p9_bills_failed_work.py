"""Failed work is billed like verified work."""

from flatfare.core.outcome import Outcome
from flatfare.service.selling import settling

CAUGHT_BY = (
    "../service/selling/test_sales.py::test_a_failed_task_is_not_billed_but_its_cost_is_booked",
    "test_p9_ledger_histories.py::test_a_year_by_a_clock_that_jumps_leaves_the_ledger_whole[1]",
)

_due = settling.due
settling.due = lambda price, **terms: _due(price, **{**terms, "outcome": Outcome.VERIFIED})
