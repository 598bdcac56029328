"""An answer that broke off is ended as if it were whole."""

from flatfare.gateway.delivery import Delivery

CAUGHT_BY = (
    "test_p12_the_meter_does_not_alter_a_call.py::test_what_is_broken_off_is_broken_off_for_the_client_too",
)


def _well_ended(delivery):
    delivery.end([], None)
    delivery._client.close()


Delivery.break_off = _well_ended
