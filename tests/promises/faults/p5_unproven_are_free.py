"""A call whose worker died costs nothing."""

from flatfare.gateway import rows

CAUGHT_BY = ("test_p5_gateway_killed.py::test_a_call_cut_by_a_kill_is_estimated",)

_unproven_row = rows.unproven_row
rows.unproven_row = lambda intent: _unproven_row(intent) | {"cost_nano": 0, "cost_state": "measured"}
