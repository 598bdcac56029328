"""A budget that fails open refuses all the same."""

from flatfare.gateway.reserving.worth import Worth

CAUGHT_BY = ("test_p4_no_overspend.py::test_open_by_choice_lets_calls_through_unasked_and_counts_them",)

Worth.where_away = "closed"
