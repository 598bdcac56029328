"""Tells open pages that the books have grown, as server-sent events; only how much, never what.

One look into the book a second serves every page that is open; with none open nobody looks.
Who sees only a part is told of calls within it and of nothing else.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from flatfare.store import arrivals, segments
from flatfare.web.access import Door, Right, Visitor
from flatfare.web.desk import Books, Desk
from flatfare.web.scope import Scope

LOOK_S = 1.0
ROWS_MAX = 1000
BEAT_S = 20.0
"""Something is sent at least so often, so that a page that is gone is noticed."""

ENDS = -1
"""Heard where nothing more will be: the server stops."""


@dataclass(frozen=True, slots=True)
class _Look:
    """What the book held at one look."""

    cursor: int
    segments: int
    labels: tuple[Mapping[str, str], ...] = ()  # of each call that came since the look before


class Arriving:
    """Looks for what is new while anybody listens, and wakes who may see it."""

    def __init__(self, desk: Desk, came: Callable[[], None]) -> None:
        self._desk = desk
        self._came = came
        self._listeners: dict[asyncio.Queue[int], Scope] = {}
        self._looking: asyncio.Task[None] | None = None

    async def heard_by(self, scope: Scope) -> AsyncIterator[int | None]:
        """How many things came that are within the scope; None from time to time, as a sign of life."""
        heard: asyncio.Queue[int] = asyncio.Queue(16)
        self._listeners[heard] = scope
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        try:
            while True:
                try:
                    count = await asyncio.wait_for(heard.get(), BEAT_S)
                except TimeoutError:
                    yield None
                    continue
                if count == ENDS:
                    return
                yield count
        finally:
            del self._listeners[heard]

    def end(self) -> None:
        """Let every listener go."""
        for heard in self._listeners:
            _put(heard, ENDS)

    async def _look(self) -> None:
        last = await self._desk.ask(_first, writes=False)
        while self._listeners:
            await asyncio.sleep(LOOK_S)
            found = await self._desk.ask(partial(_since, last), writes=False)
            has_more = found.segments != last.segments
            if found.labels or has_more:
                self._came()
            for heard, scope in self._listeners.items():
                count = sum(scope.sees(one) for one in found.labels) + (has_more and scope.is_whole)
                if count:
                    _put(heard, count)
            last = found


def _put(heard: asyncio.Queue[int], count: int) -> None:
    with suppress(asyncio.QueueFull):  # who has not taken the last ones will look anew anyway
        heard.put_nowait(count)


def _first(books: Books) -> _Look:
    return _Look(arrivals.newest(books.book), segments.count(books.book))


def _since(last: _Look, books: Books) -> _Look:
    found = arrivals.since(books.book, last.cursor, ROWS_MAX)
    labels = tuple(json.loads(str(row["labels"])) for row in found.rows)
    return _Look(found.cursor, segments.count(books.book), labels)


def route(desk: Desk, door: Door, arriving: Arriving) -> Route:
    """The stream's address."""

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
