"""Sealing folds only a part of the calls into their tasks' totals."""

from flatfare.store import sealing

CAUGHT_BY = ("test_p7_sums_agree.py::test_reports_equal_plain_recomputations_sealed_and_hot",)

_folding = sealing.folding
sealing.folding = lambda calls, *more: _folding(f"(SELECT * FROM {calls} WHERE at_us % 2 = 0)", *more)
