"""Hands what is not the gateway's to the process that serves pages and API, over a socket of this machine.

That process is apart, so that no page, however slow, holds a call up; it has no port of
its own, so that there is one address and one door.
"""

import asyncio
from collections.abc import Mapping
from pathlib import Path

from flatfare.gateway.delivery import Delivery
from flatfare.gateway.listener import ClientConnection
from flatfare.gateway.refusals import refusal
from flatfare.gateway.upstream import Carried, Pool, UpstreamConnection
from flatfare.gateway.wire import Headers, Request, as_asked, head, passed_on

CONNECT_S = 5.0
CONNECTIONS_MAX = 256


class Relay:
    """Serves requests by handing them on to the socket at ``path``. Callable as a worker's ``elsewhere``."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._pool: _LocalPool | None = None  # made within the running loop of the worker

    def __call__(self, request: Request, client: ClientConnection) -> "_Relayed":
        if self._pool is None:
            self._pool = _LocalPool(self._path)
        relayed = _Relayed(self._pool, request, client)
        relayed.send()
        return relayed

    def close(self) -> None:
        """Close the connections to it."""
        if self._pool is not None:
            self._pool.close()


class _LocalPool(Pool):
    """Connections to a socket that is a file."""

    def __init__(self, path: Path) -> None:
        super().__init__(str(path), 0, None, connect_s=CONNECT_S, connections_max=CONNECTIONS_MAX)

    async def _dialled(self) -> tuple[asyncio.BaseTransport, UpstreamConnection]:
        loop = asyncio.get_running_loop()
        return await loop.create_unix_connection(lambda: UpstreamConnection(self), self.host)


class _Relayed:
    """One request that is handed on, and its answer on the way back."""

    def __init__(self, pool: Pool, request: Request, client: ClientConnection) -> None:
        self.carried: Carried | None = None
        self._pool = pool
        self._tries = 0
        self._request = request
        self._client = client
        self._delivery: Delivery | None = None

    def send(self) -> None:
        """Hand it on."""
        self._tries += 1
        self.carried = self._pool.send(_message(self._request), self)

    # listener.Served

    def client_left(self) -> None:
        if self.carried is not None:
            self.carried.cancel()

    def client_ready(self) -> None:
        if self.carried is not None:
            self.carried.resume()

    # upstream.Answered

    def on_sent(self) -> None:
        """Nothing is counted."""

    def on_head(self, status: int, reason: bytes, headers: Headers, fields: Mapping[bytes, bytes]) -> None:
        self._delivery = Delivery(
            self._client,
            self._request,
            status,
            reason,
            headers,
            fields,
            (),
            hides_usage=False,
            is_ending=False,
        )
        self._delivery.release()

    def on_piece(self, piece: bytes) -> None:
        assert self._delivery is not None
        self._delivery.pass_on(piece)
        if self._client.is_full and self.carried is not None:
            self.carried.pause()

    def on_end(self, trailers: Headers) -> None:
        assert self._delivery is not None
        self._delivery.end(trailers, None)
        self._client.finished(self._delivery.keeps_alive)

    def on_lost(self, problem: str, *, was_sent: bool) -> None:
        if self._delivery is not None:
            self._delivery.break_off()
            return
        if (
            self._request.method in ("GET", "HEAD") and self._tries == 1
        ):  # a connection that rested was just closed
            self.send()
            return
        said = "Pages and API cannot be reached at present; calls are served all the same. Try again."
        self._client.write(as_asked(refusal("openai", 503, said, None, 1), self._request))
        self._client.finished(self._request.keep_alive)


def _message(request: Request) -> bytes:
    headers = passed_on(
        request.headers, request.fields.get(b"connection", b""), frozenset((b"content-length",))
    )
    if request.body or request.method in ("POST", "PUT", "PATCH"):
        headers.append((b"Content-Length", b"%d" % len(request.body)))
    return (
        head(b"%b %b HTTP/1.1" % (request.method.encode("latin-1"), request.target), headers) + request.body
    )
