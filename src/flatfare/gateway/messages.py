"""Reads the messages of a websocket beside their passage: what the meter needs, and how the session ended.

The bytes themselves pass untouched elsewhere. What cannot be read here (a frame no
rule allows, an extension nobody knows) ends the reading and never the session.
"""

from wsproto.extensions import Extension, PerMessageDeflate
from wsproto.frame_protocol import FrameProtocol, ParseFailed

from flatfare.dialects.framing import EVENT_BYTES_MAX

_NORMAL = (1000, 1001, 1005)
"""Codes of a close that is no failure (RFC 6455, section 7.4.1): done, going away, none stated."""

_REASON_BYTES_MAX = 123
"""A control frame has 125 bytes at most (RFC 6455, section 5.5), two of them the code."""


class Messages:
    """One direction of a websocket: feed it the bytes as they come."""

    __slots__ = ("_frames", "_parts", "_size", "closed_code", "problem")

    def __init__(self, *, is_of_server: bool, extensions: str) -> None:
        self.closed_code: int | None = None
        self.problem: str | None = None  # why nothing is read any more
        self._parts: list[bytes] = []
        self._size = 0
        self._frames: FrameProtocol | None = None
        try:
            known = _extensions(extensions, is_of_server)
            self._frames = FrameProtocol(client=is_of_server, extensions=known)
        except (ValueError, KeyError) as problem:
            self.problem = f"the websocket's extensions are not known: {problem}"

    def feed(self, data: bytes) -> list[bytes]:
        """The messages that these bytes completed, text and binary alike; one too large is left out."""
        if self._frames is None:
            return []
        found: list[bytes] = []
        try:
            self._frames.receive_bytes(data)
            for frame in self._frames.received_frames():
                payload = frame.payload
                if isinstance(payload, tuple):  # a close: its code and reason
                    self.closed_code = int(payload[0])
                elif not frame.opcode.iscontrol():
                    self._add(payload, is_last=frame.message_finished, found=found)
        except ParseFailed as problem:
            self._frames = None
            self.problem = f"the websocket's frames cannot be read: {problem}"
        return found

    @property
    def is_closed_well(self) -> bool:
        """Whether this side said that it is done, and not that something failed."""
        return self.closed_code in _NORMAL

    def _add(self, payload: str | bytes | bytearray, *, is_last: bool, found: list[bytes]) -> None:
        part = payload.encode() if isinstance(payload, str) else bytes(payload)
        self._size += len(part)
        if self._size <= EVENT_BYTES_MAX:
            self._parts.append(part)
        else:
            self._parts.clear()
        if is_last:
            if self._parts:
                found.append(b"".join(self._parts))
            self._parts, self._size = [], 0


class Boundary:
    """Where the frames of one direction end (RFC 6455, section 5.2), whatever way the bytes are cut."""

    __slots__ = ("_head", "_left")

    def __init__(self) -> None:
        self._head = b""  # of a frame that has begun, as long as it does not say its length
        self._left = 0  # bytes of the frame that has begun

    def last_in(self, data: bytes) -> int:
        """How many of these bytes belong to frames that are whole; 0 where no frame ends in them."""
        at = last = 0
        while at < len(data):
            if not self._left:
                self._head += data[at : at + 1]
                at += 1
                self._left = self._length()
                if self._left < 0:  # it has no bytes but its head
                    self._left, last = 0, at
                continue
            step = min(self._left, len(data) - at)
            at, self._left = at + step, self._left - step
            if not self._left:
                last = at
        return last

    def _length(self) -> int:
        """Bytes that follow the head, once it is whole; -1 where none do; 0 where it is not whole yet."""
        head = self._head
        if len(head) < 2:
            return 0
        length, size = head[1] & 127, 2
        if length > 125:
            size = 4 if length == 126 else 10
            if len(head) < size:
                return 0
            length = int.from_bytes(head[2:size], "big")
        self._head = b""
        return length + (4 if head[1] & 128 else 0) or -1


def close_frame(code: int, reason: str) -> bytes:
    """The frame with which a server ends a session; the reason as far as it fits."""
    said = code.to_bytes(2, "big") + reason.encode()[:_REASON_BYTES_MAX].decode(errors="ignore").encode()
    return bytes((0x88, len(said))) + said


def _extensions(agreed: str, is_of_server: bool) -> list[Extension]:
    """What the answer to the upgrade says was agreed on; ``ValueError`` for what is not known."""
    known: list[Extension] = []
    for one in filter(None, (part.strip() for part in agreed.split(","))):
        if one.partition(";")[0].strip().lower() != "permessage-deflate":
            raise ValueError(one[:60])
        deflate = PerMessageDeflate()
        if is_of_server:
            deflate.finalize(one)
        else:
            deflate.accept(one)
        known.append(deflate)
    return known
