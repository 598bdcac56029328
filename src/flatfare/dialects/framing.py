"""Streams cut into events: server-sent events, JSON lines, one JSON array sent in pieces.

However the bytes were cut on their way, the same events come out; what is held back
is at most one event, and an event above a limit is dropped and counted, never kept.
"""

import re
from typing import Protocol

Event = tuple[str, bytes]
"""The event's name (empty where the stream names none) and its data."""

EVENT_BYTES_MAX = 32 * 1024 * 1024
"""The largest event that is read: a picture in a stream is a few megabytes."""


class Framing(Protocol):
    """Cuts a stream into its events."""

    @property
    def dropped(self) -> int:
        """Events that were too large, or broken in their framing."""

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that this chunk completed."""

    def finish(self) -> list[Event]:
        """What stands at the end without its terminator, if it can be an event."""


class _Held:
    """The beginning of an event whose end has not come yet; dropped once it is too large."""

    __slots__ = ("_bytes", "_is_too_large", "dropped")

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._is_too_large = False
        self.dropped = 0

    def add(self, piece: bytes) -> None:
        if self._is_too_large:
            return
        self._bytes += piece
        if len(self._bytes) > EVENT_BYTES_MAX:
            self.dropped += 1
            self._is_too_large = True
            self._bytes = bytearray()

    def take(self, piece: bytes) -> bytes | None:
        """All of it, now that its last piece is here; None if it was too large."""
        if self._bytes or self._is_too_large:
            self.add(piece)
            piece = bytes(self._bytes)
            self._bytes = bytearray()
            if self._is_too_large:
                self._is_too_large = False
                return None
        return piece


class _Lines:
    """Lines of a stream ended by LF, CRLF or CR, whatever way the bytes were cut."""

    __slots__ = ("_held", "_is_first", "_was_cr")

    def __init__(self) -> None:
        self._held = _Held()
        self._was_cr = False  # a CR ended the last chunk: an LF at the start of the next belongs to it
        self._is_first = True

    @property
    def dropped(self) -> int:
        return self._held.dropped

    def feed(self, chunk: bytes) -> list[bytes]:
        if self._was_cr and chunk:
            chunk = chunk.removeprefix(b"\n")
            self._was_cr = False
        if not chunk:
            return []
        self._was_cr = chunk.endswith(b"\r")
        if b"\r" in chunk:
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        pieces = chunk.split(b"\n")
        last = pieces.pop()
        lines = [line for piece in pieces if (line := self._ended(piece)) is not None]
        self._held.add(last)
        return lines

    def rest(self) -> bytes | None:
        """What came after the last line end."""
        return self._ended(b"")

    def _ended(self, piece: bytes) -> bytes | None:
        line = self._held.take(piece)
        if self._is_first and line is not None:
            self._is_first = False
            line = line.removeprefix(b"\xef\xbb\xbf")
        return line


class ServerSentEvents:
    """Events of a ``text/event-stream`` (WHATWG HTML, section 9.2), comments left out.

    An event that ends with the stream and not with a blank line is given out too:
    providers leave the last blank line off, and its usage counts.
    """

    __slots__ = ("_data", "_data_bytes", "_lines", "_name", "_overflows")

    def __init__(self) -> None:
        self._lines = _Lines()
        self._data: list[bytes] = []
        self._data_bytes = 0
        self._name = ""
        self._overflows = 0

    @property
    def dropped(self) -> int:
        return self._lines.dropped + self._overflows

    def feed(self, chunk: bytes) -> list[Event]:
        events: list[Event] = []
        for line in self._lines.feed(chunk):
            self._line(line, events)
        return events

    def finish(self) -> list[Event]:
        events: list[Event] = []
        rest = self._lines.rest()
        if rest:
            self._line(rest, events)
        self._line(b"", events)
        return events

    def _line(self, line: bytes, events: list[Event]) -> None:
        if not line:
            if self._data:
                data = self._data[0] if len(self._data) == 1 else b"\n".join(self._data)
                events.append((self._name, data))
                self._data = []
                self._data_bytes = 0
            self._name = ""
        elif line.startswith(b"data:"):
            self._add(line[6:] if line[5:6] == b" " else line[5:])
        elif line.startswith(b"event:"):
            self._name = line[6:].strip().decode("utf-8", "replace")
        elif line == b"data":
            self._add(b"")

    def _add(self, piece: bytes) -> None:
        self._data.append(piece)
        self._data_bytes += len(piece) + 64
        if self._data_bytes > EVENT_BYTES_MAX:
            self._data = []
            self._data_bytes = 0
            self._overflows += 1


class JsonLines:
    """One JSON value on each line; blank lines left out. A recorded websocket is such a stream too."""

    __slots__ = ("_lines",)

    def __init__(self) -> None:
        self._lines = _Lines()

    @property
    def dropped(self) -> int:
        return self._lines.dropped

    def feed(self, chunk: bytes) -> list[Event]:
        return [("", line) for line in self._lines.feed(chunk) if line and not line.isspace()]

    def finish(self) -> list[Event]:
        rest = self._lines.rest()
        return [("", rest)] if rest and not rest.isspace() else []


_STRUCTURE = re.compile(rb'["{}\[\]]')
_STRING_END = re.compile(rb'["\\]')


class JsonArray:
    """The elements of one JSON array (or of JSON values one after another) sent in pieces.

    Only objects are elements: what stands between them is skipped.
    """

    __slots__ = ("_depth", "_held", "_in_string", "_was_escape")

    def __init__(self) -> None:
        self._held = _Held()
        self._depth = 0  # of objects and of arrays within them; the outer array is not counted
        self._in_string = False
        self._was_escape = False

    @property
    def dropped(self) -> int:
        return self._held.dropped

    def feed(self, chunk: bytes) -> list[Event]:
        events: list[Event] = []
        start = 0
        position = 1 if self._was_escape and chunk else 0
        self._was_escape = self._was_escape and not chunk
        while found := (_STRING_END if self._in_string else _STRUCTURE).search(chunk, position):
            mark, position = found[0], found.end()
            if self._in_string:
                position = self._within_string(mark, position, len(chunk))
            elif mark == b'"':
                self._in_string = True
            elif mark == b"{" or (mark == b"[" and self._depth):
                start = start if self._depth else found.start()
                self._depth += 1
            elif self._depth and mark in b"}]":
                self._depth -= 1
                if not self._depth and (element := self._held.take(chunk[start:position])) is not None:
                    events.append(("", element))
        if self._depth:
            self._held.add(chunk[start:])
        return events

    def finish(self) -> list[Event]:
        return []

    def _within_string(self, mark: bytes, position: int, end: int) -> int:
        if mark == b'"':
            self._in_string = False
        elif position == end:
            self._was_escape = True
        else:
            return position + 1
        return position
