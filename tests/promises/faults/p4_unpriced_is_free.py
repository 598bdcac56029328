"""A model without a price is let in under a hard budget, as if it cost nothing."""

from flatfare.gateway.reserving.worth import Worth

CAUGHT_BY = ("test_p4_no_overspend.py::test_a_model_without_a_price_is_refused_unless_allowed",)

Worth.unbounded_budget = lambda _: None
