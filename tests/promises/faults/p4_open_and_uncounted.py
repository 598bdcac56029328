"""Calls that go through unasked, as a budget with ``fail: open`` lets them, are not counted."""

from flatfare.gateway.metrics import Metrics

CAUGHT_BY = ("test_p4_no_overspend.py::test_open_by_choice_lets_calls_through_unasked_and_counts_them",)

_text = Metrics.text


def _uncounted(metrics):
    metrics.budget_open = 0
    return _text(metrics)


Metrics.text = _uncounted
