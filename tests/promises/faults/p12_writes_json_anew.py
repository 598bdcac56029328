"""Requests are read and written anew on their way: the same to a parser, and other bytes."""

import json
from contextlib import suppress

from flatfare.gateway.admission import Admitted

CAUGHT_BY = (
    "test_p12_the_meter_does_not_alter_a_call.py::test_the_provider_gets_the_request_as_it_was_written",
)

_message = Admitted.message


def _written_anew(admitted, request, at_us, body=None):
    given = admitted.body if body is None else body
    with suppress(ValueError):
        given = json.dumps(json.loads(given)).encode()
    return _message(admitted, request, at_us, given)


Admitted.message = _written_anew
