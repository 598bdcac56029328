"""A subject that goes past a guard is stopped, and nobody is told."""

from flatfare.gateway.guarding import tallies

CAUGHT_BY = (
    "../gateway/guarding/test_tallies.py::test_watching_and_alerting_let_calls_go",
    "../gateway/guarding/test_guards_served.py::test_watching_and_alerting_stop_nothing[alert]",
)

tallies.Tallies.take_crossings = lambda self: []
