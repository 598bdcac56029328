"""Connections to providers: opened when needed, used again, each carrying one exchange at a time.

The answer is handed on piece by piece as it comes. Only hosts that are configured are
ever connected to, and a redirect is an answer like any other: it is not followed.
"""

import asyncio
import logging
import socket
import ssl
import time
from collections import deque
from collections.abc import Mapping
from typing import Protocol, cast, runtime_checkable

import httptools

from flatfare.gateway.egress import Proxy, put_through
from flatfare.gateway.wire import Headers

IDLE_S = 4.0
"""A connection that rested longer is not used again: many servers close after five seconds."""


FAILED = "The gateway failed while it passed the answer on; its log says how."
_log = logging.getLogger("flatfare.gateway")


class Refused(ValueError):
    """An answer that goes beyond what is taken of a provider."""


class Answered(Protocol):
    """Receives one answer."""

    def on_sent(self) -> None:
        """The request is on its way: from here on the provider may have received it."""

    def on_head(self, status: int, reason: bytes, headers: Headers, fields: Mapping[bytes, bytes]) -> None:
        """The head of the answer; ``fields`` are its headers by lower-case name."""

    def on_piece(self, piece: bytes) -> None:
        """A piece of its body."""

    def on_end(self, trailers: Headers) -> None:
        """It is whole."""

    def on_lost(self, problem: str, *, was_sent: bool) -> None:
        """It will not come, or not go on; the problem as a sentence."""


@runtime_checkable
class Switches(Answered, Protocol):
    """Receives what a provider says after it has changed to another protocol, and is asked to wait."""

    def on_switched(
        self,
        connection: "UpstreamConnection",
        reason: bytes,
        headers: Headers,
        fields: Mapping[bytes, bytes],
        rest: bytes,
    ) -> None:
        """The provider has changed: ``rest`` are the first bytes of the new protocol."""

    def on_bytes(self, data: bytes) -> None:
        """Bytes of the new protocol."""

    def on_full(self, is_full: bool) -> None:
        """Whether the provider takes no more for now."""

    def on_hung_up(self, problem: str | None) -> None:
        """The connection is gone; the problem as a sentence, if it broke off."""


CLOSING_S = 5.0
"""What is left to be sent to a provider when a session ends has this long to go out."""


class _Switched(asyncio.Protocol):
    """A connection after it has changed to another protocol."""

    def __init__(self, connection: "UpstreamConnection", receiver: Switches) -> None:
        self._connection = connection
        self._receiver = receiver

    def data_received(self, data: bytes) -> None:
        self._receiver.on_bytes(data)

    def pause_writing(self) -> None:
        self._receiver.on_full(True)

    def resume_writing(self) -> None:
        self._receiver.on_full(False)

    def connection_lost(self, exc: Exception | None) -> None:
        self._connection.is_lost = True
        self._connection.forgotten()
        said = None if exc is None else f"The connection to the provider broke off ({exc})."
        self._receiver.on_hung_up(said)


class UpstreamConnection(asyncio.Protocol):
    """One connection to a provider."""

    def __init__(self, pool: "Pool") -> None:
        self._pool = pool
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._answered: Answered | None = None
        self._reason = b""
        self._headers: Headers = []
        self._trailers: Headers = []
        self._status = 0
        self._is_head_done = False
        self._is_ended = False
        self._ends_with_connection = False
        self._is_without_body = False
        self._is_paused = False
        self.rested_since = 0.0
        self.is_lost = False

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass of it

    def data_received(self, data: bytes) -> None:
        if self._answered is None and not self._is_ended:
            self.is_lost = True  # bytes that nobody asked for
            self.close()
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._switch(data[upgrade.args[0] :])
        except httptools.HttpParserCallbackError as problem:
            self._fail(problem.__context__ or problem)
        except httptools.HttpParserError as problem:
            self.is_lost = True
            if self._answered is not None:
                self._lose(f"The provider's answer is not well-formed HTTP: {problem}.")
            else:
                self.close()

    def eof_received(self) -> bool:
        if self._answered is not None and self._is_head_done and self._ends_with_connection:
            self.is_lost = True
            self._end()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_lost = True
        self._pool.forget(self)
        if self._answered is not None:
            how = f"broke off ({exc})" if exc is not None else "was closed"
            when = "in the middle of its answer" if self._is_head_done else "before it answered"
            self._lose(f"The connection to the provider {how} {when}.")

    # httptools

    def on_message_begin(self) -> None:
        self._reason = b""
        self._headers = []
        self._trailers = []
        self._is_head_done = False

    def on_status(self, status: bytes) -> None:
        self._reason += status

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._is_head_done:
            self._trailers.append((name, value))
        else:
            self._headers.append((name, value))
            if len(self._headers) > 1000:
                raise Refused("it has more than 1000 headers")

    def on_headers_complete(self) -> None:
        status = self._status = self._parser.get_status_code()
        if status < 200:
            return  # 100 Continue and early hints: the answer is still to come
        self._is_head_done = True
        fields = {name.lower(): value for name, value in self._headers}
        self._ends_with_connection = not (
            b"content-length" in fields or b"transfer-encoding" in fields or status in (204, 304)
        )
        if self._answered is not None:
            self._answered.on_head(status, self._reason, self._headers, fields)
        if self._is_without_body and self._answered is not None:
            self._ends_with_connection = True  # the parser waits for the body that the headers speak of
            self._end()

    def on_body(self, body: bytes) -> None:
        if self._answered is not None:
            self._answered.on_piece(body)

    def on_message_complete(self) -> None:
        if self._status >= 200 and self._answered is not None:
            self._end()

    # for a call

    def send(self, request: bytes, answered: Answered) -> None:
        """Send a request and hand its answer on."""
        assert self._transport is not None
        self._answered = answered
        self._is_ended = False
        self._is_head_done = False
        self._is_without_body = request.startswith(b"HEAD ")
        self._transport.write(request)
        answered.on_sent()

    def write(self, data: bytes) -> None:
        """Send bytes of another protocol, to which this connection has changed."""
        if self.is_usable and self._transport is not None:
            self._transport.write(data)

    def close_soon(self) -> None:
        """Close once what was written has gone out, within a bound."""
        if self._transport is not None and not self.is_lost:
            self._transport.close()
            asyncio.get_running_loop().call_later(CLOSING_S, self._transport.abort)

    def forgotten(self) -> None:
        """The connection is gone."""
        self._pool.forget(self)

    def pause(self) -> None:
        """Take no more for now: whoever receives it cannot keep up."""
        if not self._is_paused and self._transport is not None and not self.is_lost:
            self._is_paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        """Go on."""
        if self._is_paused and self._transport is not None and not self.is_lost:
            self._is_paused = False
            self._transport.resume_reading()

    def cancel(self) -> None:
        """The answer is wanted no more."""
        self._answered = None
        self.is_lost = True
        if self._transport is not None:
            self._transport.abort()
        self._pool.forget(self)

    def close(self) -> None:
        """Close an idle connection."""
        if self._transport is not None:
            self._transport.close()

    @property
    def is_usable(self) -> bool:
        """Whether another request can be sent."""
        return not self.is_lost and self._transport is not None and not self._transport.is_closing()

    def _end(self) -> None:
        answered, self._answered = self._answered, None
        self._is_ended = True
        keeps_alive = not self._ends_with_connection and self._parser.should_keep_alive()
        trailers = self._trailers
        if keeps_alive and not self.is_lost:
            self.resume()
            self._pool.give_back(self)
        else:
            self.is_lost = True
            self.close()
        if answered is not None:
            answered.on_end(trailers)

    def _switch(self, rest: bytes) -> None:
        """The provider changes to another protocol, which only a session has asked for."""
        answered = self._answered
        if not isinstance(answered, Switches) or self._status != 101 or self._transport is None:
            self._lose("The provider changed to another protocol, which was not asked for.")
            return
        self._answered = None
        self._transport.set_protocol(_Switched(self, answered))
        fields = {name.lower(): value for name, value in self._headers}
        answered.on_switched(self, self._reason, self._headers, fields, rest)

    def _fail(self, problem: BaseException) -> None:
        """What took the answer failed, and not the provider: our log says where."""
        if isinstance(problem, Refused):
            self._lose(f"The provider's answer is not taken: {problem}.")
            return
        _log.error(
            "The gateway failed while it passed an answer on.",
            exc_info=problem,
            extra={"call": getattr(self._answered, "call_id", None)},
        )
        self._lose(FAILED)

    def _lose(self, problem: str) -> None:
        answered, self._answered = self._answered, None
        self.is_lost = True
        if self._transport is not None:
            self._transport.abort()
        if answered is not None:
            answered.on_lost(problem, was_sent=True)


class Carried:
    """A request on its way: on a connection, or waiting for one."""

    __slots__ = ("connection", "is_cancelled")

    def __init__(self) -> None:
        self.connection: UpstreamConnection | None = None
        self.is_cancelled = False

    def cancel(self) -> None:
        """Give the request up."""
        self.is_cancelled = True
        if self.connection is not None:
            self.connection.cancel()

    def pause(self) -> None:
        """Take no more of the answer for now."""
        if self.connection is not None:
            self.connection.pause()

    def resume(self) -> None:
        """Go on with the answer."""
        if self.connection is not None:
            self.connection.resume()


class Pool:
    """The connections to one provider."""

    def __init__(
        self,
        host: str,
        port: int,
        tls: ssl.SSLContext | None,
        *,
        connect_s: float,
        connections_max: int,
        proxy: Proxy | None = None,
    ) -> None:
        self.host = host
        self.port = port
        self._tls = tls
        self._proxy = proxy
        self._connect_s = connect_s
        self._connections_max = connections_max
        self._resting: deque[UpstreamConnection] = deque()
        self._open: set[UpstreamConnection] = set()
        self._opening = 0
        self._waiting: deque[tuple[bytes, Answered, Carried]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def connections(self) -> int:
        """How many are open or being opened."""
        return len(self._open) + self._opening

    @property
    def waiting(self) -> int:
        """How many requests wait for a connection."""
        return len(self._waiting)

    def send(self, request: bytes, answered: Answered) -> Carried:
        """Send a request on a connection that is free, or on a new one; returns what carries it."""
        carried = Carried()
        connection = self._rested()
        if connection is not None:
            carried.connection = connection
            connection.send(request, answered)
        elif self.connections < self._connections_max:
            self._open_for(request, answered, carried)
        else:
            self._waiting.append((request, answered, carried))
        return carried

    def give_back(self, connection: UpstreamConnection) -> None:
        """A connection whose answer is whole serves the next that waits, or rests."""
        while self._waiting:
            request, answered, carried = self._waiting.popleft()
            if not carried.is_cancelled:
                carried.connection = connection
                asyncio.get_running_loop().call_soon(_send_on, connection, request, answered, carried)
                return
        connection.rested_since = time.monotonic()
        self._resting.append(connection)

    def forget(self, connection: UpstreamConnection) -> None:
        """A connection is gone; whoever waits gets a new one."""
        self._open.discard(connection)
        self._open_next()

    def _open_next(self) -> None:
        while self._waiting and self.connections < self._connections_max:
            request, answered, carried = self._waiting.popleft()
            if not carried.is_cancelled:
                self._open_for(request, answered, carried)

    def close_rested(self, now: float) -> None:
        """Close what has rested too long; called every so often."""
        while self._resting and now - self._resting[0].rested_since > IDLE_S:
            self._resting.popleft().close()

    def close(self) -> None:
        """Close all that rest and break off all that do not."""
        for connection in list(self._open):
            connection.cancel()
        for task in self._tasks:
            task.cancel()

    def _rested(self) -> UpstreamConnection | None:
        now = time.monotonic()
        while self._resting:
            connection = self._resting.pop()
            if connection.is_usable and now - connection.rested_since <= IDLE_S:
                return connection
            connection.close()
        return None

    def _open_for(self, request: bytes, answered: Answered, carried: Carried) -> None:
        self._opening += 1
        task = asyncio.get_running_loop().create_task(self._connect(request, answered, carried))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _dialled(self) -> tuple[asyncio.BaseTransport, UpstreamConnection]:
        loop = asyncio.get_running_loop()
        if self._proxy is None:
            return await loop.create_connection(
                lambda: UpstreamConnection(self), self.host, self.port, ssl=self._tls
            )
        connection = UpstreamConnection(self)
        transport = await put_through(self._proxy, self.host, self.port)
        if self._tls is None:
            transport.set_protocol(connection)
        else:
            try:
                secured = await loop.start_tls(transport, connection, self._tls, server_hostname=self.host)
            except BaseException:
                transport.abort()
                raise
            transport = cast("asyncio.Transport", secured)
        connection.connection_made(transport)
        return transport, connection

    async def _connect(self, request: bytes, answered: Answered, carried: Carried) -> None:
        try:
            async with asyncio.timeout(self._connect_s):
                transport, connection = await self._dialled()
        except (OSError, TimeoutError, ssl.SSLError, ssl.CertificateError) as problem:
            self._opening -= 1
            self._open_next()
            if not carried.is_cancelled:
                answered.on_lost(_why_not_connected(self, problem), was_sent=False)
            return
        except asyncio.CancelledError:
            self._opening -= 1
            raise
        self._opening -= 1
        self._open.add(connection)
        raw = transport.get_extra_info("socket")
        if raw is not None and raw.family in (socket.AF_INET, socket.AF_INET6):
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if carried.is_cancelled:
            self.give_back(connection)
        else:
            carried.connection = connection
            connection.send(request, answered)


def _send_on(connection: UpstreamConnection, request: bytes, answered: Answered, carried: Carried) -> None:
    if connection.is_usable and not carried.is_cancelled:
        connection.send(request, answered)
    elif not carried.is_cancelled:
        answered.on_lost(
            "The connection to the provider was closed before the request was sent.", was_sent=False
        )


def _why_not_connected(pool: Pool, problem: BaseException) -> str:
    place = f"{pool.host}:{pool.port}"
    if isinstance(problem, TimeoutError):
        return f"No connection to {place} within {pool._connect_s:g} s."
    if isinstance(problem, ssl.SSLCertVerificationError):
        return f"No secure connection to {place}: {problem.verify_message.rstrip('.')}."
    if isinstance(problem, ssl.SSLError):
        return f"No secure connection to {place}: {problem.reason or problem}."
    said = problem.strerror if isinstance(problem, OSError) and problem.strerror else str(problem)
    return f"No connection to {place}: {said}."
