"""A node that reckons with its own leases and with no other node's."""

from dataclasses import replace

from flatfare.store import budgets

CAUGHT_BY = ("test_p4_nodes.py::test_a_burst_over_two_nodes_is_let_in_exactly_as_far_as_it_fits",)

_standing, _lease = budgets.standing, budgets.lease
_own = {}


def _leased_here(book, allowance, ends_us, epoch, node, nano):
    _own[allowance.id] = _own.get(allowance.id, 0) + nano
    _lease(book, allowance, ends_us, epoch, node, nano)


def _standing_here(book, budget, subject, at_us):
    found = _standing(book, budget, subject, at_us)
    return replace(found, leased_nano=min(found.leased_nano, _own.get(found.allowance.id, 0)))


budgets.lease, budgets.standing = _leased_here, _standing_here
