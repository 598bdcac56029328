"""A rolling window that does not count what was spent under a clock that has been set back since."""

from flatfare.store import budgets

CAUGHT_BY = ("test_p4_clocks.py::test_a_rolling_window_counts_what_a_clock_set_back_has_not_reached",)

_counted = budgets._counted


def _until_now(window, begins):
    since, _ = _counted(window, begins)
    return since, begins


budgets._counted = _until_now
