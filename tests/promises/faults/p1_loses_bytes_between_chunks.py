"""What was left over of one piece of a stream is not put before the next."""

from flatfare.dialects import framing

CAUGHT_BY = (
    "test_p1_one_way_to_a_cost.py::test_streamed_equals_whole",
    "test_p12_the_meter_does_not_alter_a_call.py::test_a_stream_arrives_as_it_was_sent",
)

framing._Held.take = lambda _, piece: piece
