"""The doctor finds nothing amiss in costs that nobody knows."""

from flatfare.service import doctoring

CAUGHT_BY = ("test_p1_every_way.py::test_what_is_unknown_is_not_nothing_wherever_it_is_shown",)

doctoring._unknown_findings = lambda engine: iter(())
