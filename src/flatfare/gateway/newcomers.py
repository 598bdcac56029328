"""Requests with a key that the worker does not know yet: the book is looked at before they are refused.

Who uses a key in the moment after it was made is let in. One look, begun after they came, is for
all who come within ``TOGETHER_S``: guessing at keys costs the book no more than that.
"""

import asyncio
from collections.abc import Awaitable, Callable

from flatfare.gateway.listener import ClientConnection, Served
from flatfare.gateway.wire import Request

TOGETHER_S = 0.02

Look = Callable[[], Awaitable[None]]
"""Takes in what the book says of keys; what fails in it is its own to tell."""

Serve = Callable[[Request, ClientConnection, bool], Served | None]
"""Serves a request; the last says that the book was looked at."""


class Newcomers:
    """Those who wait for one look at the book."""

    def __init__(self, look: Look) -> None:
        self._look = look
        self._next: asyncio.Task[None] | None = None
        self._waiting: set[asyncio.Task[None]] = set()

    def looked(self) -> "asyncio.Task[None]":
        """Ends when the book was looked at, after this moment."""
        if self._next is None:
            self._next = asyncio.get_running_loop().create_task(self._look_soon())
        return self._next

    def wait(self, waiting: Awaitable[None]) -> None:
        """Keep somebody who waits until that is over."""
        task = asyncio.ensure_future(waiting)
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)

    async def _look_soon(self) -> None:
        await asyncio.sleep(TOGETHER_S)
        self._next = None  # who comes from now on waits for another look
        await self._look()


class Newcomer:
    """One request that waits, as its connection sees it."""

    def __init__(
        self, all_of_them: Newcomers, serve: Serve, request: Request, client: ClientConnection
    ) -> None:
        self._serve = serve
        self._request = request
        self._client = client
        self._is_client_here = True
        all_of_them.wait(self._served_after(all_of_them.looked()))

    def client_left(self) -> None:
        """Nobody waits any more."""
        self._is_client_here = False

    def client_ready(self) -> None:
        """Nothing was written."""

    async def _served_after(self, looked: "asyncio.Task[None]") -> None:
        await asyncio.wait((looked,))
        if not self._is_client_here:
            return
        served = self._serve(self._request, self._client, True)
        if served is not None and self._client.is_busy and not self._client.is_closed:
            self._client.served_by(served)
