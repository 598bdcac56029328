"""The gateway's lean way to a cost rounds otherwise than the one that explains it."""

from flatfare.core.cost import Cost
from flatfare.service.costing import metering, pricing

CAUGHT_BY = ("test_p1_one_way_to_a_cost.py::test_lean_and_explained_give_the_same_nano_dollar",)

_cost_reading = pricing.cost_reading


def _a_little_more(*asked):
    cost = _cost_reading(*asked)
    return Cost.measured(cost.amount_nano + 1) if cost.amount_nano and str(cost.state) == "measured" else cost


pricing.cost_reading = metering.cost_reading = _a_little_more
