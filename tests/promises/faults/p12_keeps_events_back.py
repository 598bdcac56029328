"""A stream is held until it is whole."""

from flatfare.gateway.delivery import Delivery

CAUGHT_BY = ("test_p12_the_meter_does_not_alter_a_call.py::test_events_come_when_they_come",)

Delivery.release = lambda _: None
Delivery.pass_on = lambda delivery, piece: delivery._held.append(piece)
