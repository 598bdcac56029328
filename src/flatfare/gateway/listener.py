"""A client's connection: its requests one after another, within limits, and its answers in the same order.

What could be read in two ways is refused: two lengths, odd chunks, folded headers.
A client that is slow to say what it wants is let go.
"""

import asyncio
import time
from typing import Protocol, cast

import httptools

from flatfare.config import Limits
from flatfare.gateway.wire import Request, whole_answer

PIPELINED_MAX = 8
"""Requests that may wait on one connection behind the one that is served."""

EARLY_BYTES_MAX = 64 * 1024
"""Of another protocol, before it is agreed on: more is not read until then."""

TURNED_AWAY_S = 1.0
"""A client that was turned away and has not closed its connection by then is cut off."""


class Served(Protocol):
    """What serves one request, as its connection sees it."""

    def client_left(self) -> None:
        """The client is gone: nothing can be written any more."""

    def client_ready(self) -> None:
        """What was written has gone out: more may come."""


class Serves(Protocol):
    """Takes requests."""

    limits: Limits
    is_ending: bool
    connections: set["ClientConnection"]

    def turned_away(self) -> None:
        """A connection beyond the limit was refused."""

    def serve(self, request: Request, client: "ClientConnection") -> Served | None:
        """Begin to serve a request; None where it was answered at once."""


class Switched(Protocol):
    """Takes what a client says in another protocol."""

    def client_said(self, data: bytes) -> None:
        """Bytes of that protocol."""


class _Crossing(asyncio.Protocol):
    """A client's connection after a request to change to another protocol; what comes early waits."""

    def __init__(self, client: "ClientConnection", early: bytes) -> None:
        self._client = client
        self._receiver: Switched | None = None
        self._early = early

    def data_received(self, data: bytes) -> None:
        if self._receiver is not None:
            self._receiver.client_said(data)
            return
        self._early += data
        if len(self._early) > EARLY_BYTES_MAX:
            self._client.pause()

    def switch(self, receiver: Switched) -> bytes:
        """Hand on what comes from now on; returns what came early."""
        self._receiver = receiver
        early, self._early = self._early, b""
        self._client.resume()
        return early

    def connection_lost(self, exc: Exception | None) -> None:
        self._client.connection_lost(exc)

    def pause_writing(self) -> None:
        self._client.pause_writing()

    def resume_writing(self) -> None:
        self._client.resume_writing()


class ClientConnection(asyncio.Protocol):
    """One connection of a client."""

    _crossing: _Crossing | None = None

    def __init__(self, server: Serves) -> None:
        self._server = server
        self._limits = server.limits
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._coming: Request | None = None
        self._target = b""
        self._pieces: list[bytes] = []
        self._head_bytes = 0
        self._body_bytes = 0
        self._is_head_done = False
        self._is_coming = False
        self._refused = False
        self._waiting: list[Request] = []
        self._served: Served | None = None
        self._is_busy = False
        self._keeps_alive = True
        self.is_full = False  # what was written waits to go out
        self.is_closed = False
        self.deadline = 0.0

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass of it
        if len(self._server.connections) >= self._limits.connections:
            self._turn_away(self._transport)
            return
        self._transport.set_write_buffer_limits(high=256 * 1024)
        self._server.connections.add(self)
        self._await(self._limits.header_s)

    def data_received(self, data: bytes) -> None:
        if self._refused or self.is_closed:
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            # The request stands; what follows is of another protocol, if whoever serves it changes to that.
            self._crossing = _Crossing(self, data[upgrade.args[0] :])
            if self._transport is not None:
                self._transport.set_protocol(self._crossing)
        except httptools.HttpParserError as problem:
            self._refuse(400, f"The request is not well-formed HTTP/1.1: {problem}.")

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_closed = True
        self._server.connections.discard(self)
        served, self._served = self._served, None
        self._waiting.clear()
        if served is not None:
            served.client_left()

    def pause_writing(self) -> None:
        self.is_full = True

    def resume_writing(self) -> None:
        self.is_full = False
        if self._served is not None:
            self._served.client_ready()

    # httptools

    def on_message_begin(self) -> None:
        self._coming = None
        self._target = b""
        self._pieces = []
        self._head_bytes = self._body_bytes = 0
        self._is_head_done = False
        self._is_coming = True
        self._await(self._limits.header_s)

    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(len(name) + len(value) + 4)
        if self._is_head_done or self._refused:
            return  # a trailer of a request: nothing needs it
        if self._coming is None:
            self._coming = Request("", self._target, 1)
        self._coming.add(name, value)

    def on_headers_complete(self) -> None:
        self._is_head_done = True
        if self._coming is None:
            self._coming = Request("", self._target, 1)
        request = self._coming
        request.method = self._parser.get_method().decode("latin-1")
        version = self._parser.get_http_version()
        if version not in ("1.0", "1.1"):
            self._refuse(505, f"Found HTTP/{version[:8]}: expected HTTP/1.1.")
        request.minor_version = 0 if version == "1.0" else 1
        request.keep_alive = b"upgrade" not in request.fields and self._parser.should_keep_alive()
        self._check_head(request)
        self._await(self._limits.body_s)

    def on_body(self, body: bytes) -> None:
        if self._refused:
            return
        self._body_bytes += len(body)
        if self._body_bytes > self._limits.body_bytes:
            self._refuse_body()
            return
        self._await(self._limits.body_s)
        self._pieces.append(body)

    def on_message_complete(self) -> None:
        request, self._coming = self._coming, None
        self._is_coming = False
        if request is None or self._refused:
            return
        request.body = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces = []
        request.arrived_at = time.monotonic()
        self.deadline = 0.0
        if self._is_busy:
            self._waiting.append(request)
            if len(self._waiting) >= PIPELINED_MAX and self._transport is not None:
                self._transport.pause_reading()
        else:
            self._begin(request)

    # for what serves

    def write(self, data: bytes) -> None:
        """Send bytes of the answer."""
        if not self.is_closed and self._transport is not None:
            self._transport.write(data)

    def finished(self, keep_alive: bool) -> None:
        """The answer is complete."""
        self._served = None
        self._is_busy = False
        if not keep_alive or not self._keeps_alive or self._server.is_ending:
            self.close()
        elif self._waiting:
            request = self._waiting.pop(0)
            if self._transport is not None:
                self._transport.resume_reading()
            self._begin(request)
        else:
            self._await(self._limits.header_s if self._is_coming else self._limits.idle_s)

    def served_by(self, served: Served) -> None:
        """Another serves the request that is being served, from now on."""
        self._served = served

    def switch(self, receiver: Switched) -> bytes:
        """From now on the client speaks another protocol; returns what it said of it already."""
        return b"" if self._crossing is None else self._crossing.switch(receiver)

    def pause(self) -> None:
        """Read no more of what the client says for now."""
        if self._transport is not None and not self.is_closed:
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read on."""
        if self._transport is not None and not self.is_closed:
            self._transport.resume_reading()

    def close(self) -> None:
        """Close once what was written has gone out."""
        self.is_closed = True
        if self._transport is not None:
            self._transport.close()
        self._await(self._limits.header_s)

    def abort(self) -> None:
        """Break the connection off, so that nobody takes what came for a whole answer."""
        self._served = None
        self.is_closed = True
        if self._transport is not None:
            self._transport.abort()

    def check(self, now: float) -> None:
        """Let a client go that is slow to ask, or does not ask again; called every so often."""
        if not self.deadline or now < self.deadline or self._is_busy:
            return
        self.deadline = 0.0
        if self.is_closed or not self._is_coming:
            self.abort()
        else:
            self._refuse(408, "The request did not come in time.")

    @property
    def is_busy(self) -> bool:
        """Whether a request is being served."""
        return self._is_busy

    def _begin(self, request: Request) -> None:
        self._is_busy = True
        self._keeps_alive = request.keep_alive
        served = self._server.serve(request, self)
        if served is not None and self._is_busy and not self.is_closed:
            self._served = served

    def _await(self, seconds: float) -> None:
        self.deadline = time.monotonic() + seconds

    def _count(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > self._limits.header_bytes and not self._refused:
            self._refuse(431, f"The headers are longer than {self._limits.header_bytes} bytes.")

    def _check_head(self, request: Request) -> None:
        if self._refused:
            return
        fields = request.fields
        coding = fields.get(b"transfer-encoding")
        if coding is not None and coding.strip().lower() != b"chunked":
            self._refuse(400, "Found a Transfer-Encoding other than chunked.")
        elif request.minor_version and b"," in fields.get(b"host", b","):
            self._refuse(400, "Expected exactly one Host.")
        elif int(fields.get(b"content-length", b"0")) > self._limits.body_bytes:
            self._refuse_body()
        elif fields.get(b"expect", b"").lower() == b"100-continue":
            self.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _turn_away(self, transport: asyncio.Transport) -> None:
        """One connection too many: say so, and leave it a moment to hear that before it is gone."""
        self._server.turned_away()
        self._refused = self.is_closed = True
        said = f"{self._limits.connections} connections are open, the limit (limits.connections). Try again."
        body = b'{"error":{"message":"%s","type":"api_error"}}' % said.encode()
        own = [(b"Retry-After", b"1"), (b"Connection", b"close")]
        transport.write(whole_answer(503, b"application/json", body, own))
        transport.write_eof()
        asyncio.get_running_loop().call_later(TURNED_AWAY_S, transport.abort)

    def _refuse_body(self) -> None:
        self._refuse(
            413,
            f"The body is longer than {self._limits.body_bytes} bytes; limits.body_bytes allows more.",
        )

    def _refuse(self, status: int, reason: str) -> None:
        """Answer what cannot be served, and read nothing more: who knows where the next request begins."""
        self._refused = True
        if self._is_busy:  # an answer is on its way: it must not be mixed with this one
            self._keeps_alive = False
            return
        body = (
            b'{"error":{"message":"%s","type":"invalid_request_error"}}' % reason.replace('"', "'").encode()
        )
        self.write(whole_answer(status, b"application/json", body, [(b"Connection", b"close")]))
        self.close()
