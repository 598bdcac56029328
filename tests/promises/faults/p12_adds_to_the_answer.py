"""Puts a space behind every answer."""

from flatfare.gateway.delivery import Delivery

CAUGHT_BY = ("test_p12_the_meter_does_not_alter_a_call.py::test_a_stream_arrives_as_it_was_sent",)

_pass_on = Delivery.pass_on
Delivery.pass_on = lambda delivery, piece: _pass_on(delivery, piece + b" ")
