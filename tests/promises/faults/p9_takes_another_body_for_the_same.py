"""The same id with other words is taken for a retry."""

from flatfare.core.ledger import Entry

CAUGHT_BY = (
    "../service/selling/test_sales.py::test_a_retry_of_any_verb_moves_nothing_and_says_what_stands",
    "test_p9_settled_exactly_once.py::test_eight_processes_with_the_same_keys_sell_each_once[sqlite]",
)

Entry.is_same_as = lambda entry, other: True
