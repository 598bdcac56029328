"""A call without a price costs nothing."""

from flatfare.core.cost import Cost

CAUGHT_BY = (
    "test_p2_unknown_is_not_zero.py::test_an_unknown_model_is_unknown_and_never_zero",
    "test_p2_unknown_is_not_zero.py::test_one_unknown_part_makes_the_whole_unknown",
)

Cost.unknown = classmethod(lambda cls, reason: cls.measured(0, reason))
