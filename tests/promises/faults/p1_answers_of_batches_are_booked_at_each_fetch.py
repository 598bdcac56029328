"""An answer of a batch is another call each time that it is fetched."""

import secrets
import time

from flatfare.core.identity import time_ordered
from flatfare.gateway.batching.answers import Source

CAUGHT_BY = ("../gateway/test_batches.py::test_fetched_again_and_by_pieces_its_answers_are_booked_once",)

Source.call_id = lambda source, name: str(time_ordered(time.time_ns() // 1000, secrets.token_bytes(10)))
