"""A retry is given another id than the first try had."""

import uuid

from flatfare.service.selling import holding, reversing, settling

CAUGHT_BY = (
    "../service/selling/test_sales.py::test_a_retry_of_any_verb_moves_nothing_and_says_what_stands",
    "test_p9_ledger_histories.py::test_a_year_by_a_clock_that_jumps_leaves_the_ledger_whole[1]",
)

for module in (holding, settling, reversing):
    module.id_for = lambda given, verb, task: str(given or uuid.uuid4())
