"""Tells open pages that calls have arrived, as server-sent events; never which, only how many one may see.

One look into the book a second serves every page that is open; with none open nobody looks.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from functools import partial

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from flatfare.store import arrivals
from flatfare.web.access import Door, Right, Visitor
from flatfare.web.desk import Books, Desk
from flatfare.web.scope import Scope

LOOK_S = 1.0
ROWS_MAX = 1000
BEAT_S = 20.0
"""Something is sent at least so often, so that a page that is gone is noticed."""

Labels = list[Mapping[str, str]]


class Arriving:
    """Looks for new calls while anybody listens, and wakes who may see them."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._listeners: dict[asyncio.Queue[int], Scope] = {}
        self._looking: asyncio.Task[None] | None = None

    async def heard_by(self, scope: Scope) -> AsyncIterator[int | None]:
        """How many calls came that are within the scope; None from time to time, as a sign of life."""
        heard: asyncio.Queue[int] = asyncio.Queue(16)
        self._listeners[heard] = scope
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        try:
            while True:
                try:
                    yield await asyncio.wait_for(heard.get(), BEAT_S)
                except TimeoutError:
                    yield None
        finally:
            del self._listeners[heard]

    async def _look(self) -> None:
        cursor = await self._desk.ask(lambda books: arrivals.newest(books.book), writes=False)
        while self._listeners:
            await asyncio.sleep(LOOK_S)
            cursor, labels = await self._desk.ask(partial(_since, cursor), writes=False)
            for heard, scope in self._listeners.items():
                count = sum(scope.sees(one) for one in labels)
                if count:
                    with suppress(asyncio.QueueFull):
                        heard.put_nowait(count)


def _since(cursor: int, books: Books) -> tuple[int, Labels]:
    found = arrivals.since(books.book, cursor, ROWS_MAX)
    return found.cursor, [json.loads(str(row["labels"])) for row in found.rows]


def route(desk: Desk, door: Door) -> Route:
    """The stream's address."""
    arriving = Arriving(desk)

    async def serve(request: Request) -> Response:
        door.check_origin(request)

        def known(books: Books) -> Visitor:
            visitor = door.visitor(request, books)
            visitor.require(Right.READ)
            return visitor

        visitor = await desk.ask(known, writes=False)
        headers = {"x-accel-buffering": "no"}
        return StreamingResponse(_events(arriving, visitor.scope), 200, headers, "text/event-stream")

    return Route("/live", serve, methods=["GET"])


async def _events(arriving: Arriving, scope: Scope) -> AsyncIterator[str]:
    yield "retry: 3000\n\n"
    async for count in arriving.heard_by(scope):
        yield ": still here\n\n" if count is None else f"event: calls\ndata: {count}\n\n"
