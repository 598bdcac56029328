"""What a killed treasurer had leased stays leased for good."""

from flatfare.gateway.reserving.treasurer import Treasurer

CAUGHT_BY = ("test_p4_no_overspend.py::test_killing_the_treasurer_overspends_nothing_and_leaks_nothing[5]",)

Treasurer._end_former_epochs = lambda *_: None
