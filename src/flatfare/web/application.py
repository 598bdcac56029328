"""Pages and API as one ASGI application: routes, access, and errors as problem documents."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from flatfare.config import Settings
from flatfare.core.errors import FlatfareError
from flatfare.web import openapi, problems
from flatfare.web.access import Door
from flatfare.web.api import ENDPOINTS
from flatfare.web.desk import Desk
from flatfare.web.endpoint import route
from flatfare.web.pages.problem import of_http
from flatfare.web.pages.routes import dashboard
from flatfare.web.workshop import Workshop

HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
)
"""On every answer that does not say otherwise."""


def application(settings: Settings, door: Door, *, makes_book: bool = True) -> Starlette:
    """The application; its desk is closed when it ends. ``makes_book``: a book that is not there is made."""
    desk, workshop = Desk(settings, makes_book=makes_book), Workshop(settings)
    pages = dashboard(settings, desk, door)
    described = msgspec.json.encode(openapi.document(ENDPOINTS))

    async def describe(request: Request) -> Response:
        return Response(described, media_type="application/json")

    @asynccontextmanager
    async def living(app: Starlette) -> AsyncIterator[None]:
        app.state.workshop = workshop
        workshop.wake()
        yield
        await workshop.close()
        desk.close()

    routes: list[BaseRoute] = [Route("/openapi.json", describe, methods=["GET"])]
    routes += [route(endpoint, desk, door) for endpoint in ENDPOINTS]
    routes += pages.routes
    app = Starlette(
        routes=routes,
        lifespan=living,
        exception_handlers={
            FlatfareError: problems.of_ours,
            HTTPException: of_http,
            Exception: problems.of_a_bug,
        },
    )
    app.add_middleware(_Headed)
    app.state.end_streams = pages.end
    return app


class _Headed:
    """Puts the headers on every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def headed(message: Message) -> None:
            if message["type"] == "http.response.start":
                held = {name for name, _ in message["headers"]}
                message["headers"] += [(name, value) for name, value in HEADERS if name not in held]
            await send(message)

        await self._app(scope, receive, headed)
