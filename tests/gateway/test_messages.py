"""Messages of a websocket, however its frames and bytes were cut; what cannot be read ends the reading."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flatfare.dialects.framing import EVENT_BYTES_MAX
from flatfare.gateway.messages import Boundary, Messages, close_frame

TEXT, BINARY, CLOSE, PING = 1, 2, 8, 9


def frame(opcode: int, payload: bytes, *, is_last: bool = True, mask: bytes = b"") -> bytes:
    """A frame as RFC 6455, section 5.2, writes it."""
    size = len(payload)
    first = bytes([(0x80 if is_last else 0) | opcode])
    sign = 0x80 if mask else 0
    if size < 126:
        length = bytes([sign | size])
    elif size < 1 << 16:
        length = bytes([sign | 126]) + struct.pack("!H", size)
    else:
        length = bytes([sign | 127]) + struct.pack("!Q", size)
    data = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload)) if mask else payload
    return first + length + mask + data


@given(
    said=st.lists(st.text(max_size=300), max_size=6),
    mask=st.sampled_from([b"", b"\x01\x02\x03\x04", bytes(4)]),
    fragment=st.integers(1, 400),
    cut=st.integers(1, 50),
)
def test_messages_are_read_however_they_were_cut(
    said: list[str], mask: bytes, fragment: int, cut: int
) -> None:
    stream = b""
    for message in said:
        data = message.encode()
        pieces = [data[at : at + fragment] for at in range(0, len(data), fragment)] or [b""]
        for number, piece in enumerate(pieces):
            opcode = 0 if number else TEXT
            stream += frame(opcode, piece, is_last=number == len(pieces) - 1, mask=mask)
            stream += frame(PING, b"between", mask=mask)
    messages = Messages(is_of_server=not mask, extensions="")
    found = [one for at in range(0, len(stream), cut) for one in messages.feed(stream[at : at + cut])]
    assert (b"".join(found).decode(), messages.problem) == ("".join(said), None)
    assert len(found) == len(said)


@pytest.mark.parametrize(
    ("close", "code", "is_well"),
    [
        (b"", 1005, True),
        (struct.pack("!H", 1000) + b"bye", 1000, True),
        (struct.pack("!H", 1001), 1001, True),
        (struct.pack("!H", 1011) + b"internal error", 1011, False),
        (struct.pack("!H", 3000), 3000, False),
    ],
)
def test_how_a_side_closed(close: bytes, code: int, is_well: bool) -> None:
    messages = Messages(is_of_server=True, extensions="")
    assert messages.closed_code is None
    messages.feed(frame(CLOSE, close))
    assert (messages.closed_code, messages.is_closed_well) == (code, is_well)
    assert messages.feed(frame(TEXT, b"after the end")) == []


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reader(data: bytes) -> None:
    for is_of_server in (True, False):
        messages = Messages(is_of_server=is_of_server, extensions="")
        messages.feed(data)
        messages.feed(data)


def test_a_message_too_large_is_left_out_and_the_next_is_read() -> None:
    messages = Messages(is_of_server=True, extensions="")
    part = b"x" * (EVENT_BYTES_MAX // 4)
    for number in range(6):
        stream = frame(0 if number else BINARY, part, is_last=number == 5)
        assert messages.feed(stream) == []
    assert messages.feed(frame(TEXT, b"next")) == [b"next"]


def test_an_extension_nobody_knows_is_said() -> None:
    messages = Messages(is_of_server=True, extensions="x-own; level=3")
    assert messages.feed(frame(TEXT, b"x")) == []
    assert "x-own" in str(messages.problem)


@given(
    sizes=st.lists(st.sampled_from([0, 1, 125, 126, 400, 70_000]), max_size=6),
    mask=st.sampled_from([b"", b"\x01\x02\x03\x04"]),
    cuts=st.lists(st.integers(1, 70_100), max_size=12),
)
def test_a_session_is_cut_between_two_frames_only(sizes: list[int], mask: bytes, cuts: list[int]) -> None:
    ends, stream = {0}, b""
    for size in sizes:
        stream += frame(BINARY, bytes(size), mask=mask)
        ends.add(len(stream))
    boundary, at = Boundary(), 0
    for cut in [*cuts, len(stream)]:
        piece = stream[at : at + cut]
        last = boundary.last_in(piece)
        inside = [end for end in ends if at < end <= at + len(piece)]
        assert last == (max(inside) - at if inside else 0)
        at += len(piece)


def test_a_reason_that_is_too_long_is_cut_between_two_letters() -> None:
    closing = close_frame(1008, "ä" * 100)
    assert (closing[:2], closing[4:].decode()) == (b"\x88\x7c", "ä" * 61)
    read = Messages(is_of_server=True, extensions="")
    read.feed(closing)
    assert (read.closed_code, read.problem) == (1008, None)
