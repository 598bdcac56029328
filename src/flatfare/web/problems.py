"""What went wrong, as an answer: problem documents (RFC 9457) with the sentences that the command line has.

A bug of ours is told as such and no more: what it held stays in the log.
"""

import http
import logging

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route

from flatfare.core.errors import FlatfareError
from flatfare.web.access import NotKnown

ASKING = {"WWW-Authenticate": "Bearer"}
"""How somebody who is not known can become so (RFC 9110, 11.6.1)."""

MEDIA_TYPE = "application/problem+json"
_log = logging.getLogger("flatfare.web")


class Problem(msgspec.Struct, omit_defaults=True):
    """A problem document."""

    title: str  # the status in words
    status: int
    detail: str  # what was found, what was expected, what to do
    type: str = "about:blank"


def problem(status: int, detail: str, headers: dict[str, str] | None = None) -> Response:
    """An answer that says what is wrong."""
    body = Problem(http.HTTPStatus(status).phrase, status, detail)
    return Response(msgspec.json.encode(body), status, headers, MEDIA_TYPE)


async def of_ours(request: Request, found: Exception) -> Response:
    """An error that a person can act on."""
    assert isinstance(found, FlatfareError)
    return problem(found.http_status, str(found), ASKING if isinstance(found, NotKnown) else None)


async def of_http(request: Request, found: Exception) -> Response:
    """An error of the protocol: no such page, no such method."""
    assert isinstance(found, HTTPException)
    detail, headers = found.detail, dict(found.headers or {})
    if found.status_code == 404:
        detail = f"There is nothing at {request.url.path[:200]}. What there is: /openapi.json"
    elif found.status_code == 405:
        possible = ", ".join(_possible(request))
        detail = f"{request.method} is not possible at {request.url.path[:200]}; possible: {possible}."
        headers["Allow"] = possible
    return problem(found.status_code, detail, headers)


def _possible(request: Request) -> list[str]:
    """Every method at this path: each is a route of its own, of which the first alone would be named."""
    routes = (route for route in request.app.routes if isinstance(route, Route))
    found = [route for route in routes if route.matches(request.scope)[0] is not Match.NONE]
    return sorted({method for route in found for method in route.methods or ()})


async def of_a_bug(request: Request, found: Exception) -> Response:
    """A failure of ours; the log has where it stands."""
    _log.error("%s %s failed.", request.method, request.url.path, exc_info=found)
    return problem(500, "This failed through a fault of Flatfare; its log says where.")
