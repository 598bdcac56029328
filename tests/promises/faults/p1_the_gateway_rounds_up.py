"""What the gateway books is a nano-dollar more than what everybody else says of the same answer."""

from flatfare.core.cost import Cost
from flatfare.gateway import costing

CAUGHT_BY = ("test_p1_every_way.py::test_one_answer_costs_the_same_by_every_way",)

_bounded = costing._bounded


def _a_little_more(cost):
    cost = _bounded(cost)
    return Cost.measured(cost.amount_nano + 1) if cost.amount_nano else cost


costing._bounded = _a_little_more
