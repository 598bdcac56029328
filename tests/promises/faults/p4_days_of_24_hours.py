"""A day ends 24 hours after it began, also when the clocks are changed."""

from flatfare.core.budget import Window

CAUGHT_BY = (
    "test_p4_clocks.py::test_a_day_ends_at_midnight_where_it_is",
    "../core/test_budget.py::test_a_day_on_which_the_clocks_change_has_25_or_23_hours",
)

_DAY_US = 86_400_000_000
_span = Window.span


def _of_24_hours(window, at_us):
    begins, ends = _span(window, at_us)
    if window.kind != "day":
        return begins, ends
    while at_us >= begins + _DAY_US:
        begins += _DAY_US
    return begins, begins + _DAY_US


Window.span = _of_24_hours
