"""When to try again is not passed on."""

from flatfare.gateway import delivery

CAUGHT_BY = ("test_p12_the_meter_does_not_alter_a_call.py::test_an_error_is_the_providers_byte_for_byte",)

_passed_on = delivery.passed_on
delivery.passed_on = lambda headers, connection, dropped: _passed_on(
    headers, connection, dropped | {b"retry-after"}
)
