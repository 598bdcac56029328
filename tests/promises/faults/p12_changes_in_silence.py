"""A call that was changed does not say so."""

from flatfare.gateway.forwarding.call import Call

CAUGHT_BY = ("test_p12_the_meter_does_not_alter_a_call.py::test_usage_that_we_asked_for_is_hidden_exactly",)

_own_headers = Call._own_headers
Call._own_headers = lambda call: [one for one in _own_headers(call) if one[0] != b"flatfare-changed"]
