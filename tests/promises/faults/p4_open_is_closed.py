"""A budget that fails open refuses all the same."""

from flatfare.gateway.reserving.claims import Claim

CAUGHT_BY = ("test_p4_no_overspend.py::test_open_by_choice_lets_calls_through_unasked_and_counts_them",)

Claim.is_open = False
