"""Of two asked in both orders, what the first order gave is taken."""

from flatfare.core.checks import pairs

CAUGHT_BY = ("../verifiers/test_model_judge.py::test_a_preference_that_turns_with_the_order_is_none",)

_preference = pairs.preference
_TURNED = {"first": "second", "second": "first"}


def _first_order(forward, swapped, *, tie_holds):
    better = forward["better"]
    return _preference(forward, {**swapped, "better": _TURNED.get(better, better)}, tie_holds=tie_holds)


pairs.preference = _first_order
