"""A call without a limit on its answer is held at the longest there is, or refused."""

from flatfare.service.bounding import Bound

CAUGHT_BY = (
    "test_p4_no_overspend.py::test_without_a_limit_on_the_answer_nearly_all_that_fit_are_answered_in_full",
)

_init = Bound.__init__


def _longest(bound, least_nano, most_nano, *more, **named):
    _init(bound, most_nano, most_nano, *more, **named)


Bound.__init__ = _longest
