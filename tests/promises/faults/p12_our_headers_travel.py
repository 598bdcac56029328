"""What a client says to the gateway is said to the provider too."""

from flatfare.gateway import wire

CAUGHT_BY = (
    "test_p12_the_meter_does_not_alter_a_call.py::test_the_providers_headers_and_nothing_of_ours_travel",
)

wire.OWN_PREFIX = b"\0"
