"""What was billed for a result that was lost with its process is not given back."""

from flatfare.core.outcome import Settlement
from flatfare.runner import moving

CAUGHT_BY = ("test_p9_runs_killed.py::test_runs_killed_at_random_moments_are_each_sold_once",)

_give_back = moving.give_back


def _give_back_what_is_held(shelf, run, now_us, reason=moving._LOST):
    sale = moving.sale_of(shelf.book, run)
    if sale is not None and sale.settlement is Settlement.SETTLED:
        return sale
    return _give_back(shelf, run, now_us, reason)


moving.give_back = _give_back_what_is_held
