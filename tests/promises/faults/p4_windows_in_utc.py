"""Windows of the calendar begin at midnight in UTC, whatever zone they name."""

from dataclasses import replace

from flatfare.core.budget import Window

CAUGHT_BY = (
    "test_p4_clocks.py::test_a_day_ends_at_midnight_where_it_is",
    "../core/test_budget.py::test_a_window_of_the_calendar_begins_at_midnight_where_it_is",
)

_span = Window.span
Window.span = lambda window, at_us: _span(replace(window, zone="UTC"), at_us)
