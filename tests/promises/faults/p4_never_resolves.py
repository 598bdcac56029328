"""A call is charged what was held for it for good, whatever it turns out to have cost."""

from flatfare.store import budgets

CAUGHT_BY = ("test_p4_no_overspend.py::test_a_call_of_unknown_cost_is_charged_what_was_held_until_resolved",)

budgets.resolve_charges = lambda *_: 0
