"""To begin what is billed later is let through as what costs nothing."""

from flatfare.gateway import worker
from flatfare.gateway.reserving import worth

CAUGHT_BY = ("test_p4_whatever_is_asked.py::test_what_is_billed_where_nobody_holds_it_is_refused",)

_worth_of = worth.worth_of


def _free(budgets, bounds, admitted, request, at_us):
    if admitted.place.route is not None and admitted.place.route.starts is not None:
        return worth.Worth(worth.Bound(0, 0, "it is free"), None)
    return _worth_of(budgets, bounds, admitted, request, at_us)


worker.worth_of = _free
