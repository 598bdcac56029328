"""A provider of our own on bare sockets, so that it can misbehave, and a client that sees every byte.

The provider keeps a log of every request that reached it whole: the truth that rows
are counted against. Nothing here knows the gateway; the same client asks either.
"""

import asyncio
import json
import socket
import struct
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final

Headers = tuple[tuple[str, str], ...]


class Ending:
    """How an answer goes on without bytes."""


class Close(Ending):
    """The connection is closed in good order."""


class Reset(Ending):
    """The connection is reset."""


class Stall(Ending):
    """Nothing more comes until the client leaves."""


@dataclass(frozen=True)
class Pause:
    """Nothing comes for so many seconds."""

    seconds: float


@dataclass(frozen=True)
class Until:
    """Nothing comes until it is so, or too many seconds have passed."""

    is_so: Callable[[], bool]
    within_s: float = 30.0


Step = bytes | Pause | Until | Ending
Answer = tuple[Step, ...]
"""What is written to the socket, in order, each bytes with a write of its own."""


@dataclass(frozen=True)
class Request:
    """A request as the provider received it, whole."""

    number: int
    host: str  # which of the provider's hosts it reached
    connection: int
    method: str
    target: str
    version: str
    headers: Headers
    body: bytes
    head: bytes  # the bytes of its head
    at: float

    def header(self, name: str) -> str | None:
        """The first value of a header."""
        return next((value for found, value in self.headers if found.lower() == name), None)

    def values(self, name: str) -> list[str]:
        """All values of a header."""
        return [value for found, value in self.headers if found.lower() == name]

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


def head(status: int = 200, headers: Iterable[tuple[str, str]] = (), version: str = "1.1") -> bytes:
    """A status line and headers, as bytes."""
    lines = [f"HTTP/{version} {status} {REASONS.get(status, 'Something')}"]
    lines += [f"{name}: {value}" for name, value in headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


REASONS: Final = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    429: "Too Many Requests",
    529: "Overloaded",
}
JSON: Final = (("content-type", "application/json"),)
EVENTS: Final = (("content-type", "text/event-stream; charset=utf-8"),)


def whole(body: bytes, status: int = 200, headers: Iterable[tuple[str, str]] = JSON) -> Answer:
    """A body with its length."""
    return (head(status, (*headers, ("content-length", str(len(body))))) + body,)


def chunk(data: bytes) -> bytes:
    """One chunk of a chunked body."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def chunked(
    pieces: Iterable[Step],
    status: int = 200,
    headers: Iterable[tuple[str, str]] = EVENTS,
    trailers: Iterable[tuple[str, str]] = (),
) -> Answer:
    """A chunked body: each piece a chunk and a write of its own. An ending among them is where it stops."""
    steps: list[Step] = [head(status, (*headers, ("transfer-encoding", "chunked")))]
    for piece in pieces:
        steps.append(chunk(piece) if isinstance(piece, bytes) else piece)
        if isinstance(piece, Ending):
            return tuple(steps)
    tail = "".join(f"{name}: {value}\r\n" for name, value in trailers)
    return (*steps, f"0\r\n{tail}\r\n".encode("latin-1"))


def until_close(
    pieces: Iterable[Step],
    status: int = 200,
    headers: Iterable[tuple[str, str]] = EVENTS,
    version: str = "1.0",
) -> Answer:
    """A body that ends where the connection does, as HTTP/1.0 has it."""
    return (head(status, (*headers, ("connection", "close")), version), *pieces, Close())


def bytewise(data: bytes) -> tuple[bytes, ...]:
    """Each byte alone."""
    return tuple(data[i : i + 1] for i in range(len(data)))


Answering = Callable[[Request], Answer]


class Provider:
    """Providers in a thread of this process: one port for each host that is asked for."""

    def __init__(self, answering: Answering | None = None) -> None:
        self.log: list[Request] = []
        self.broken: list[bytes] = []  # what reached it and was no whole request
        self.hung_up: list[int] = []  # numbers of requests whose client left before the answer ended
        self.connections = 0
        self.answering: Answering = answering or (lambda _: whole(b"{}"))
        self._queue: list[Answer] = []
        self._ports: dict[str, int] = {}
        self._lock = threading.Lock()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="provider", daemon=True)
        self._servers: list[asyncio.Server] = []
        self._writers: weakref.WeakSet[asyncio.StreamWriter] = weakref.WeakSet()
        self._talks: set[asyncio.Task[None]] = set()

    def __enter__(self) -> "Provider":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def port(self, host: str) -> int:
        """The port at which this host answers."""
        with self._lock:
            if host not in self._ports:
                self._ports[host] = asyncio.run_coroutine_threadsafe(self._serve(host), self._loop).result(10)
            return self._ports[host]

    def url(self, host: str, path: str = "") -> str:
        """The address of this host, and a path there."""
        return f"http://127.0.0.1:{self.port(host)}{path}"

    def next(self, *answers: Answer) -> None:
        """The answers to the next requests, in order, before ``answering`` is asked again."""
        self._queue += answers

    def forget(self) -> None:
        """Start a new log, and drop answers that were not fetched."""
        self.log, self.broken, self.hung_up, self._queue = [], [], [], []

    @contextmanager
    def answers(self, answering: Answering) -> Iterator[None]:
        """Answer so for a while."""
        before, self.answering = self.answering, answering
        try:
            yield
        finally:
            self.answering = before

    async def _serve(self, host: str) -> int:
        def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self._writers.add(
                writer
            )  # at once: a task that is cancelled before its first step closes nothing
            talk = asyncio.create_task(self._converse(host, reader, writer))
            self._talks.add(talk)
            talk.add_done_callback(self._talks.discard)

        server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=1 << 26, backlog=4096)
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    async def _stop(self) -> None:
        # who is being let in when the server closes is neither let in nor sent away: its socket stays open
        while letting_in := asyncio.all_tasks() - self._talks - {asyncio.current_task()}:
            await asyncio.gather(*letting_in, return_exceptions=True)
        for server in self._servers:
            server.close()
        for writer in list(self._writers):
            writer.transport.abort()  # a close in good order would wait for clients that read nothing
        talks = list(self._talks)
        for talk in talks:
            talk.cancel()
        await asyncio.gather(*talks, return_exceptions=True)
        await asyncio.sleep(0.01)  # the loop closes what was aborted

    async def _converse(self, host: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        connection = self.connections
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        writer.transport.set_write_buffer_limits(high=0)
        request = None
        with suppress(ConnectionError, asyncio.CancelledError):
            while request := await self._read(host, connection, reader):
                with self._lock:
                    self.log.append(request)
                    answer = self._queue.pop(0) if self._queue else None
                if answer is None:
                    answer = self.answering(request)
                try:
                    if not await _write(answer, reader, writer):
                        break
                except ConnectionError:
                    self.hung_up.append(request.number)
                    raise
                if (request.header("connection") or "").lower() == "close":
                    break
        with suppress(ConnectionError, asyncio.CancelledError):
            writer.close()
            await writer.wait_closed()

    async def _read(self, host: str, connection: int, reader: asyncio.StreamReader) -> Request | None:
        try:
            top = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError as cut:
            if cut.partial:
                self.broken.append(cut.partial)
            return None
        lines = top.decode("latin-1").split("\r\n")
        method, target, version = lines[0].split(" ", 2)
        pairs = tuple(
            (name, value.strip()) for name, _, value in (line.partition(":") for line in lines[1:] if line)
        )
        request = Request(0, host, connection, method, target, version, pairs, b"", top, time.monotonic())
        try:
            body = await _body(request, reader)
        except asyncio.IncompleteReadError as cut:
            self.broken.append(top + cut.partial)
            return None
        return replace(request, number=len(self.log) + 1, body=body)


async def _body(request: Request, reader: asyncio.StreamReader) -> bytes:
    if "chunked" in (request.header("transfer-encoding") or ""):
        body = b""
        while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
            body += (await reader.readexactly(size + 2))[:-2]
        while await reader.readuntil(b"\r\n") != b"\r\n":
            pass
        return body
    return await reader.readexactly(int(request.header("content-length") or 0))


async def _write(answer: Answer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """Write the steps; returns whether the connection goes on."""
    for step in answer:
        if isinstance(step, bytes):
            writer.write(step)
            await writer.drain()
        elif isinstance(step, Pause):
            await _pause(step.seconds, reader)
        elif isinstance(step, Until):
            await _pause(step.within_s, reader, step.is_so)
        elif isinstance(step, Stall):
            await _pause(3600, reader)
        elif isinstance(step, Reset):
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.transport.abort()
            return False
        else:
            return False
    return True


async def _pause(
    seconds: float, reader: asyncio.StreamReader, is_over: Callable[[], bool] = lambda: False
) -> None:
    """Wait, but not longer than the client does."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0 and not is_over():
        if reader.at_eof():
            raise ConnectionResetError("the client left")
        await asyncio.sleep(min(left, 0.01))


def asking(
    method: str,
    target: str,
    body: bytes = b"",
    headers: Iterable[tuple[str, str]] = (),
    host: str = "127.0.0.1",
) -> bytes:
    """The bytes of a request, as a well-behaved client writes them."""
    lines = [f"{method} {target} HTTP/1.1", f"host: {host}"]
    lines += [f"{name}: {value}" for name, value in headers]
    if body or method == "POST":
        lines.append(f"content-length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body


@dataclass
class Seen:
    """What a client saw of one answer."""

    status: int = 0  # 0: none came
    version: str = ""
    reason: str = ""
    headers: Headers = ()
    body: bytes = b""
    trailers: Headers = ()
    end: str = "none"  # whole, cut (closed too soon), reset, late (nothing came in time), broken (no HTTP)
    interim: list[int] = field(default_factory=list)
    arrivals: list[tuple[float, int]] = field(default_factory=list)  # when, and how much body there was then

    def header(self, name: str) -> str | None:
        """The first value of a header."""
        return next((value for found, value in self.headers if found.lower() == name), None)

    def values(self, name: str) -> list[str]:
        """All values of a header."""
        return [value for found, value in self.headers if found.lower() == name]

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class _Late(Exception):
    pass


class Line:
    """A client's connection: send bytes, then receive answers one after the other."""

    def __init__(self, port: int, timeout_s: float = 10.0, read_at_most: int = 1 << 16) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout_s)
        try:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError:  # it was reset at once
            self.socket.close()
            raise
        self._timeout_s = timeout_s
        self._read_at_most = read_at_most
        self._left = b""

    def __enter__(self) -> "Line":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave in good order."""
        self.socket.close()

    def reset(self) -> None:
        """Leave without a word."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def send(self, data: bytes, pieces_of: int | None = None, pause_s: float = 0.0) -> None:
        """Send bytes, whole or in pieces with a pause between."""
        for start in range(0, len(data), pieces_of or max(1, len(data))):
            self.socket.sendall(data[start : start + (pieces_of or len(data))])
            if pause_s:
                time.sleep(pause_s)

    def receive(self, until: Callable[[bytes], bool] | None = None, *, is_head: bool = False) -> Seen:
        """The next answer; with ``until`` only so much of it that the test of its body says enough."""
        seen = Seen()
        try:
            self._receive(seen, until, is_head)
        except _Late:
            seen.end = "late"
        except ConnectionResetError:
            seen.end = "reset"
        except EOFError:
            seen.end = "cut" if seen.status else "none"
        except ValueError:
            seen.end = "broken"
        return seen

    def is_closed(self, within_s: float = 2.0) -> bool:
        """Whether the other side closes within a time, without a further byte."""
        self.socket.settimeout(within_s)
        try:
            return not self._left and self.socket.recv(1) == b""
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False

    def _receive(self, seen: Seen, until: Callable[[bytes], bool] | None, is_head: bool) -> None:
        while True:
            lines = self._until(b"\r\n\r\n").decode("latin-1").split("\r\n")
            version, status, *rest = lines[0].split(" ", 2)
            if not version.startswith("HTTP/1."):
                raise ValueError(lines[0])
            if int(status) >= 200 or int(status) == 101:
                break
            seen.interim.append(int(status))
        seen.version, seen.status, seen.reason = version, int(status), rest[0] if rest else ""
        seen.headers = _pairs(lines[1:])
        coding, length = seen.header("transfer-encoding"), seen.header("content-length")
        if is_head or seen.status in (204, 304):
            pass
        elif coding is not None:
            self._chunks(seen, until)
        elif length is not None:
            self._counted(seen, int(length), until)
        else:
            self._to_the_end(seen, until)
        seen.end = "whole" if seen.end == "none" else seen.end

    def _chunks(self, seen: Seen, until: Callable[[bytes], bool] | None) -> None:
        while size := int(self._until(b"\r\n").split(b";")[0], 16):
            self._counted(seen, len(seen.body) + size, until)
            if seen.end == "enough":
                return
            if self._exactly(2) != b"\r\n":
                raise ValueError("a chunk ends with CRLF")
        lines = []
        while (line := self._until(b"\r\n")) != b"\r\n":
            lines.append(line.decode("latin-1").rstrip("\r\n"))
        seen.trailers = _pairs(lines)

    def _counted(self, seen: Seen, length: int, until: Callable[[bytes], bool] | None) -> None:
        while len(seen.body) < length:
            if not self._left:
                self._more()
            take = length - len(seen.body)
            self._take(seen, take)
            if until is not None and until(seen.body):
                seen.end = "enough"
                return

    def _to_the_end(self, seen: Seen, until: Callable[[bytes], bool] | None) -> None:
        with suppress(EOFError):
            while True:
                if not self._left:
                    self._more()
                self._take(seen, len(self._left))
                if until is not None and until(seen.body):
                    seen.end = "enough"
                    return

    def _take(self, seen: Seen, count: int) -> None:
        seen.body += self._left[:count]
        self._left = self._left[count:]
        seen.arrivals.append((time.monotonic(), len(seen.body)))

    def _until(self, mark: bytes) -> bytes:
        while mark not in self._left:
            self._more()
        found, _, self._left = self._left.partition(mark)
        return found + mark

    def _exactly(self, count: int) -> bytes:
        while len(self._left) < count:
            self._more()
        found, self._left = self._left[:count], self._left[count:]
        return found

    def _more(self) -> None:
        self.socket.settimeout(self._timeout_s)
        try:
            data = self.socket.recv(self._read_at_most)
        except TimeoutError:
            raise _Late from None
        if not data:
            raise EOFError
        self._left += data


def _pairs(lines: Iterable[str]) -> Headers:
    return tuple((name, value.strip()) for name, _, value in (line.partition(":") for line in lines if line))


def ask(port: int, request: bytes, timeout_s: float = 10.0) -> Seen:
    """Send a request on a connection of its own and see what comes."""
    with Line(port, timeout_s) as line:
        with suppress(ConnectionError):  # an answer may come, and the line close, before all is sent
            line.send(request)
        return line.receive()


HOP_BY_HOP: Final = frozenset(
    ("connection", "keep-alive", "proxy-connection", "te", "transfer-encoding", "upgrade")
)


def end_to_end(headers: Headers) -> Headers:
    """The headers that travel, names in lower case, without those that speak of one connection."""
    return tuple((name.lower(), value) for name, value in headers if name.lower() not in HOP_BY_HOP)


def same_to_a_client(direct: Seen, through: Seen, *, but_for: frozenset[str] = frozenset()) -> None:
    """Asserts that who asked through the gateway saw what it would have seen without."""
    assert (through.status, through.reason) == (direct.status, direct.reason)
    assert through.body == direct.body
    assert _completeness(through) == _completeness(direct)
    own = [pair for pair in end_to_end(through.headers) if not pair[0].startswith("flatfare-")]
    expected = [pair for pair in end_to_end(direct.headers) if pair[0] not in but_for]
    assert sorted(pair for pair in own if pair[0] not in but_for) == sorted(expected)
    assert through.trailers == direct.trailers


def _completeness(seen: Seen) -> str:
    """A reset and a close too soon say the same: that this is not all."""
    return "not all" if seen.end in ("cut", "reset") else seen.end


def sse(*events: Mapping[str, object] | str, name: bool = False) -> bytes:
    """A stream of events in OpenAI's way, or with their type as their name in Anthropic's."""
    lines = []
    for event in events:
        title = f"event: {event['type']}\n" if name and isinstance(event, Mapping) else ""
        lines.append(f"{title}data: {event if isinstance(event, str) else json.dumps(event)}\n\n")
    return "".join(lines).encode()
