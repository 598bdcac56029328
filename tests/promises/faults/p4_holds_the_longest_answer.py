"""A call without a limit on its answer is held at the longest there is, or refused."""

import msgspec

from flatfare.service.budgets.bounding import Bounds

CAUGHT_BY = (
    "test_p4_no_overspend.py::test_without_a_limit_on_the_answer_nearly_all_that_fit_are_answered_in_full",
)

_of = Bounds.of


def _longest(bounds, *asked):
    found = _of(bounds, *asked)
    return msgspec.structs.replace(found, least_nano=found.most_nano)


Bounds.of = _longest
