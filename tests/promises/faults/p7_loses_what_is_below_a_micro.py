"""What calls cost is folded into their tasks in millionths of a dollar."""

from flatfare.store import sealing

CAUGHT_BY = ("test_p7_sums_agree.py::test_reports_equal_plain_recomputations_sealed_and_hot",)

_folding = sealing.folding
_ROUNDED = "SELECT * REPLACE (cost_nano // 1000 * 1000 AS cost_nano) FROM"
sealing.folding = lambda calls, *more: _folding(f"({_ROUNDED} {calls})", *more)
