"""What comes back goes to what was drawn first, not last."""

from flatfare.service.selling import reversing, settling

CAUGHT_BY = (
    "../service/selling/test_grants.py::test_what_comes_back_goes_back_in_the_opposite_order_to_the_same_lots",
    "test_p9_ledger_histories.py::test_a_year_by_a_clock_that_jumps_leaves_the_ledger_whole[1]",
)

_unwind = settling.unwind


def _forwards(draws, nano):
    back, kept = _unwind(tuple(reversed(draws)), nano)
    return back, tuple(reversed(kept))


settling.unwind = reversing.unwind = _forwards
