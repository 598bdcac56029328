"""AWS event streams cut into events, each checked against its checksums.

A message is four bytes of its length, four of its headers' length, a checksum of these
eight, headers, payload, and a checksum of all before (docs.aws.amazon.com, Amazon event
stream encoding, 2026-11). What is damaged is counted and never read.
"""

import struct
from zlib import crc32

from flatfare.dialects.framing import EVENT_BYTES_MAX, Event

_PRELUDE = struct.Struct(">III")
_FIXED_SIZES = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
_BYTES, _STRING = 6, 7


class EventStream:
    """The messages of an ``application/vnd.amazon.eventstream``, named by their type."""

    __slots__ = ("_held", "_is_lost", "dropped")

    def __init__(self) -> None:
        self.dropped = 0
        self._held = bytearray()
        self._is_lost = False  # a broken prelude: where the next message begins is not known

    def feed(self, chunk: bytes) -> list[Event]:
        if self._is_lost:
            return []
        self._held += chunk
        events: list[Event] = []
        start = 0
        while len(self._held) - start >= _PRELUDE.size and not self._is_lost:
            length, headers_length, checksum = _PRELUDE.unpack_from(self._held, start)
            if not self._is_sound(start, length, headers_length, checksum):
                break
            if len(self._held) - start < length:
                break
            self._message(bytes(self._held[start : start + length]), headers_length, events)
            start += length
        if start:
            del self._held[:start]
        return events

    def finish(self) -> list[Event]:
        if self._held:  # cut within a message
            self.dropped += 1
            self._held.clear()
        return []

    def _is_sound(self, start: int, length: int, headers_length: int, checksum: int) -> bool:
        is_whole = crc32(self._held[start : start + 8]) == checksum
        if is_whole and _PRELUDE.size + headers_length + 4 <= length <= EVENT_BYTES_MAX:
            return True
        self.dropped += 1
        self._is_lost = True
        self._held.clear()
        return False

    def _message(self, message: bytes, headers_length: int, events: list[Event]) -> None:
        if crc32(message[:-4]) != int.from_bytes(message[-4:], "big"):
            self.dropped += 1
            return
        payload_start = _PRELUDE.size + headers_length
        name = event_name(message[_PRELUDE.size : payload_start])
        events.append((name, message[payload_start:-4]))


def event_name(headers: bytes) -> str:
    """The type of an event or of an exception; empty where no header names it."""
    place = 0
    while place < len(headers):
        name_end = place + 1 + headers[place]
        name = headers[place + 1 : name_end]
        if name_end >= len(headers):
            return ""
        kind = headers[name_end]
        value_start = name_end + 1
        if kind in (_BYTES, _STRING):
            value_end = value_start + 2 + int.from_bytes(headers[value_start : value_start + 2], "big")
            if kind == _STRING and name in (b":event-type", b":exception-type", b":error-code"):
                return headers[value_start + 2 : value_end].decode("utf-8", "replace")
        elif kind in _FIXED_SIZES:
            value_end = value_start + _FIXED_SIZES[kind]
        else:
            return ""
        place = value_end
    return ""
