"""Leases again what is leased already: looks at what is spent alone."""

from dataclasses import replace

from flatfare.store import budgets

CAUGHT_BY = (
    "test_p4_no_overspend.py::test_a_burst_over_four_workers_is_let_in_exactly_as_far_as_it_fits",
    "test_p4_nodes.py::test_a_burst_over_two_nodes_is_let_in_exactly_as_far_as_it_fits",
    "test_p4_no_overspend.py::test_parallel_turns_of_one_session_do_not_pass_its_cap",
)

_standing = budgets.standing
budgets.standing = lambda *asked: replace(_standing(*asked), leased_nano=0)
