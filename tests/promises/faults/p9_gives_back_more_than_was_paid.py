"""Each part that is given back is measured against what was settled, and none against the parts before it."""

from flatfare.core.errors import BadInput
from flatfare.service.selling import reversing

CAUGHT_BY = (
    "../service/selling/test_sales.py::test_parts_are_given_back_until_nothing_is_left",
    "test_p9_ledger_histories.py::test_every_history_ends_as_the_oracle_says",
)


def _by_what_was_settled(sale, given_nano):
    if not 0 < given_nano <= sale.settled_nano:
        raise BadInput("more than was settled")


reversing._check_amount = _by_what_was_settled
