"""AWS event streams: any cut gives the same events, and what is damaged is never read."""

from hypothesis import given
from hypothesis import strategies as st

from flatfare.dialects.eventstream import EventStream, event_name
from tests.dialects.aws_frames import event, frame

BODY = event("messageStart", {"role": "assistant"}) + event("metadata", {"usage": {"inputTokens": 5}})


def events_of(body: bytes, *cuts: int) -> list[tuple[str, bytes]]:
    stream = EventStream()
    events = []
    for start, end in zip((0, *cuts), (*cuts, len(body)), strict=True):
        events += stream.feed(body[start:end])
    return [*events, *stream.finish()]


def test_every_cut_gives_the_same_events():
    whole = events_of(BODY)
    assert [name for name, _ in whole] == ["messageStart", "metadata"]
    for cut in range(len(BODY)):
        assert events_of(BODY, cut) == whole


def test_a_damaged_payload_is_dropped_and_the_next_event_read():
    damaged = bytearray(BODY)
    damaged[60] ^= 1
    stream = EventStream()
    assert [name for name, _ in stream.feed(bytes(damaged))] == ["metadata"]
    assert stream.dropped == 1


def test_a_damaged_prelude_ends_the_reading():
    damaged = bytearray(BODY)
    damaged[2] ^= 1
    stream = EventStream()
    assert stream.feed(bytes(damaged)) == []
    assert stream.feed(BODY) == []
    assert stream.dropped == 1


def test_a_stream_cut_within_a_message_counts_it_as_dropped():
    stream = EventStream()
    assert len(stream.feed(BODY[:-3])) == 1
    assert stream.finish() == []
    assert stream.dropped == 1


def test_an_exception_is_named_by_its_type():
    message = frame("modelStreamErrorException", b"{}", kind="exception")
    assert events_of(message) == [("modelStreamErrorException", b"{}")]


def test_headers_of_other_types_are_stepped_over():
    flags = b"\x01a\x00" + b"\x01b\x04\x00\x00\x00\x05" + b"\x01c\x06\x00\x01x"
    assert event_name(flags + b"\x0b:event-type\x07\x00\x02ab") == "ab"
    assert event_name(b"\x01a\x63") == ""
    assert event_name(b"\x20a") == ""


@given(st.binary(max_size=200))
def test_no_bytes_make_it_fail(noise):
    stream = EventStream()
    stream.feed(noise)
    stream.finish()
