"""One way from bytes to a reading: whole or streamed, every failure a reason, never an exception.

An answer of status 400 and above costs nothing; a free endpoint costs nothing; what
cannot be read has no usage and says why.
"""

import msgspec

from flatfare.core.errors import BadInput, Contradiction
from flatfare.dialects.compression import Opener
from flatfare.dialects.dialect import Route, StreamReader
from flatfare.dialects.framing import EVENT_BYTES_MAX, Event, Framing, ServerSentEvents
from flatfare.dialects.reading import Exchange, Reading, free, unread

BOM = b"\xef\xbb\xbf"
_FIELDS_BEGIN = b":deir"  # of a comment, data, event, id and retry: what lines of an event stream begin with
UNREADABLE = (msgspec.MsgspecError, BadInput, UnicodeDecodeError, RecursionError)
"""What reading a broken body may raise; each becomes the reason of an unknown cost."""


def read_whole(route: Route, body: bytes, exchange: Exchange) -> Reading:
    """The reading of a whole body."""
    if exchange.status >= 400 or route.free:
        return _costs_nothing(route, exchange)
    if not body and not route.is_binary:
        return unread("the answer has no body: nothing shows what was used", exchange.asked.model)
    try:
        return route.whole(body.removeprefix(BOM), exchange)
    except UNREADABLE as problem:
        return unread(_reason(problem), exchange.asked.model)


class Stream:
    """Reads a stream beside its passage: ``feed`` each chunk as it comes, then ``finish`` once.

    ``so_far`` may be asked in between where the reader can tell, as those of sessions can.

    An answer that turns out to be no stream (an error, a host that ignores ``stream``)
    is read whole. What its headers say is compressed is opened first.
    """

    __slots__ = (
        "_body",
        "_contradiction",
        "_exchange",
        "_framing",
        "_opener",
        "_problem",
        "_reader",
        "_route",
    )

    def __init__(self, route: Route, exchange: Exchange) -> None:
        self._route = route
        self._exchange = exchange
        self._framing: Framing | None = None
        self._reader: StreamReader | None = route.stream(exchange) if route.stream else None
        self._body = bytearray()  # until the framing is known; all of it where it is no stream
        encodings = exchange.headers.get("content-encoding", "")
        self._opener: Opener | None = None
        self._problem: str | None = None
        self._contradiction: str | None = None
        try:
            self._opener = Opener(encodings) if encodings else None
        except BadInput as problem:
            self._contradiction = str(problem)

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes, cut anywhere."""
        if self._opener is not None:
            chunk = self._opened(self._opener, chunk)
        if self._framing is None:
            if len(self._body) <= EVENT_BYTES_MAX:
                self._body += chunk
            if self._reader is None or not self._is_framed():
                return
            self._framing = self._route.framing()
            chunk, self._body = bytes(self._body), bytearray()
        self._events(self._framing.feed(chunk))

    def finish(self) -> Reading:
        """The reading of what came."""
        route, exchange = self._route, self._exchange
        if exchange.status >= 400 or route.free:
            return _costs_nothing(route, exchange)
        if self._framing is None or self._reader is None:
            if self._contradiction is not None:
                return unread(self._contradiction, exchange.asked.model)
            if len(self._body) > EVENT_BYTES_MAX:
                return unread(f"the answer is larger than {EVENT_BYTES_MAX} bytes", exchange.asked.model)
            return read_whole(route, bytes(self._body), exchange)
        self._events(self._framing.finish())
        return self.so_far()

    def so_far(self) -> Reading:
        """The reading of the events that are whole by now; the stream may go on."""
        if self._reader is None:
            return unread("nothing has come so far", self._exchange.asked.model)
        try:
            reading = self._reader.finish()
        except UNREADABLE as problem:
            return unread(_reason(problem), self._exchange.asked.model)
        return self._with_problem(reading)

    def _opened(self, opener: Opener, chunk: bytes) -> bytes:
        if self._contradiction is not None:
            return b""
        try:
            return opener.open(chunk)
        except BadInput as problem:
            self._contradiction = str(problem)
            return b""

    def _is_framed(self) -> bool:
        """Whether the first bytes are those of the route's framing rather than of one JSON body."""
        if self._route.framing is not ServerSentEvents:
            return True
        start = bytes(self._body[:64])
        if start in (BOM[:1], BOM[:2]):
            return False
        start = start.removeprefix(BOM).lstrip()
        return bool(start) and start[:1] in _FIELDS_BEGIN

    def _events(self, events: list[Event]) -> None:
        assert self._reader is not None
        for name, data in events:
            try:
                self._reader.event(name, data)
            except Contradiction as problem:
                self._contradiction = self._contradiction or str(problem)
            except UNREADABLE as problem:
                self._problem = self._problem or _reason(problem)

    def _with_problem(self, reading: Reading) -> Reading:
        """Figures that contradict each other refuse the whole; an unread event explains what is missing."""
        if self._contradiction is not None:
            return unread(self._contradiction, reading.model)
        if self._framing is not None and self._framing.dropped and self._problem is None:
            self._problem = f"{self._framing.dropped} events of the stream were too large or damaged"
        if self._problem is not None and self._route.adds_up:
            return unread(self._problem, reading.model)
        if reading.parts or reading.is_free or self._problem is None or reading.text_seen is not None:
            return reading
        return msgspec.structs.replace(reading, reason=self._problem)


def _costs_nothing(route: Route, exchange: Exchange) -> Reading:
    if exchange.status >= 400:
        return free(
            f"an error of status {exchange.status}: providers bill no failed request", exchange.asked.model
        )
    return free(route.free or "a free endpoint", exchange.asked.model)


def _reason(problem: BaseException) -> str:
    if isinstance(problem, BadInput):
        return str(problem)
    if isinstance(problem, RecursionError):
        return "the body is nested too deep to be an answer of this endpoint"
    return f"the body is not one of this endpoint: {problem}"
