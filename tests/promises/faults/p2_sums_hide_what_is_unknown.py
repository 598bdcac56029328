"""A sum of which a part is unknown reads as if it were all."""

from flatfare.service.reporting import wording

CAUGHT_BY = ("test_p1_every_way.py::test_what_is_unknown_is_not_nothing_wherever_it_is_shown",)

wording.at_least = lambda text, holds: text
