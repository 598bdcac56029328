"""What a killed worker held is never settled, though the book knows what became of it."""

from flatfare.gateway.reserving.purses import Purses
from flatfare.gateway.reserving.treasurer import Treasurer

CAUGHT_BY = ("test_p4_no_overspend.py::test_killing_workers_overspends_nothing_and_leaks_nothing[20]",)

_looked_at = Treasurer._looked_at


def _blind_to_the_dead(treasurer, orphans, *more):
    return _looked_at(treasurer, {}, *more)


Treasurer._looked_at = _blind_to_the_dead
Purses.forget_unused = lambda _: None
