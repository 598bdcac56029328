"""A call whose cost is not known is charged nothing, as if it were free."""

from flatfare.gateway import turns
from flatfare.gateway.reserving import charging

CAUGHT_BY = ("test_p4_no_overspend.py::test_a_call_of_unknown_cost_is_charged_what_was_held_until_resolved",)

_charge_of = charging.charge_of


def _of_the_certain(intent, cost_nano):
    return _charge_of(intent, cost_nano or 0)


charging.charge_of = turns.charge_of = _of_the_certain
