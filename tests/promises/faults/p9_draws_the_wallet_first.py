"""The wallet pays before any lot does."""

from flatfare.core.grant import Draw
from flatfare.service.selling import holding

CAUGHT_BY = (
    "../service/selling/test_grants.py::test_lots_are_drawn_by_priority_then_expiry_then_gifts_then_age_and_the_wallet_last",
    "test_p9_ledger_histories.py::test_a_year_by_a_clock_that_jumps_leaves_the_ledger_whole[1]",
)

_draw = holding.draw


def _wallet_first(grants, rest_of, action, nano, at_us):
    (wallet, left), *later = rest_of
    first = min(left, nano)
    draws, missing = _draw(grants, later, action, nano - first, at_us)
    return ((Draw(wallet, first),) if first else ()) + draws, missing


holding.draw = _wallet_first
