"""What workers and the treasurer say to each other: messages behind their length, over a local socket."""

import struct
from collections.abc import Iterator

import msgspec

_LENGTH = struct.Struct("<I")
MESSAGE_BYTES_MAX = 1 << 20


class Hello(msgspec.Struct, frozen=True, array_like=True, tag="hello"):
    """A worker has come: from here on it holds no grant of an earlier epoch that is not in its journal."""

    worker_id: str  # the name of its journal's folder


class Welcome(msgspec.Struct, frozen=True, array_like=True, tag="welcome"):
    """The treasurer's answer: the epoch that grants are of."""

    epoch: str


class Reserve(msgspec.Struct, frozen=True, array_like=True, tag="reserve"):
    """A call wants this much held against each of these allowances, at once or not at all."""

    call_id: str
    allowance_ids: list[str]
    least_nano: int  # with less it cannot go
    most_nano: int  # with so much it goes as it is
    kind: str  # calls of one kind need about the same
    queue_ms: int


class Granted(msgspec.Struct, frozen=True, array_like=True, tag="granted"):
    """It is held."""

    call_id: str
    nano: int
    left_nano: int  # of the allowance that has the least left
    left_of: str


class Refused(msgspec.Struct, frozen=True, array_like=True, tag="refused"):
    """It does not fit."""

    call_id: str
    allowance_id: str
    left_nano: int
    needed_nano: int
    limit_nano: int
    is_away: bool = False  # the book could not be asked


class Settle(msgspec.Struct, frozen=True, array_like=True, tag="settle"):
    """A call has ended: what it cost (None: not known, it is charged what was held)."""

    call_id: str
    cost_nano: int | None
    needed_nano: int | None = None  # what would have had to be held for this answer


class Watch(msgspec.Struct, frozen=True, array_like=True, tag="watch"):
    """A call asks whether its guards let it go."""

    call_id: str
    on: list[tuple[str, str, int]]  # guard, subject, what the request itself carries past it; else -1
    size_bytes: int = 0  # of the request
    marks: list[str] = []  # what tells the same request again
    key_id: str | None = None
    model: str | None = None
    paced: list[str] = []  # allowances that are to be spent slowly


class Passed(msgspec.Struct, frozen=True, array_like=True, tag="passed"):
    """It may go, after a while."""

    call_id: str
    wait_ms: int = 0


class Stopped(msgspec.Struct, frozen=True, array_like=True, tag="stopped"):
    """It may not go."""

    call_id: str
    guard_id: str  # or an allowance, where it is one that is spent slowly
    subject: str
    value: int
    retry_s: int | None = None  # after which it may be tried again, where that is of use


class Over(msgspec.Struct, frozen=True, array_like=True, tag="over"):
    """A call that was let go has ended."""

    call_id: str
    was_sent: bool
    has_failed: bool = False
    context: int = 0  # tokens read
    tokens: int = 0  # read and written
    cost_nano: int | None = None


FromWorker = Hello | Reserve | Settle | Watch | Over
FromTreasurer = Welcome | Granted | Refused | Passed | Stopped

_ENCODER = msgspec.msgpack.Encoder()
_OF_WORKER: msgspec.msgpack.Decoder[FromWorker] = msgspec.msgpack.Decoder(FromWorker)
_OF_TREASURER: msgspec.msgpack.Decoder[FromTreasurer] = msgspec.msgpack.Decoder(FromTreasurer)

of_worker, of_treasurer = _OF_WORKER.decode, _OF_TREASURER.decode


def framed(message: FromWorker | FromTreasurer) -> bytes:
    """A message as bytes."""
    body = _ENCODER.encode(message)
    return _LENGTH.pack(len(body)) + body


class Frames:
    """Takes bytes as they come and gives messages as they are whole."""

    def __init__(self) -> None:
        self._held = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The bodies of the messages that are whole now. ``ValueError`` for one that is too long."""
        held = self._held + data if self._held else data
        at = 0
        while len(held) - at >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(held, at)
            if length > MESSAGE_BYTES_MAX:
                raise ValueError(f"a message of {length} bytes")
            end = at + _LENGTH.size + length
            if len(held) < end:
                break
            yield held[at + _LENGTH.size : end]
            at = end
        self._held = held[at:]
