"""What went wrong, on a page, in the sentences that the command line has."""

import http
from importlib.util import find_spec

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from flatfare.core.errors import FlatfareError, NotFound
from flatfare.web import problems
from flatfare.web.access import NotKnown
from flatfare.web.pages import rendering

FAULT = "This failed through a fault of Flatfare; its log says where."


class Fault(FlatfareError):
    """A failure of ours: what it held stays in the log."""

    http_status = 500


def problem_page(problem: FlatfareError) -> Response:
    """The page that says it."""
    values = {
        "title": http.HTTPStatus(problem.http_status).phrase,
        "status": problem.http_status,
        "said": str(problem),
        "signs_in": isinstance(problem, NotKnown),
    }
    answer = html_answer(rendering.page_of("problem.html", values), problem.http_status)
    if isinstance(problem, NotKnown):
        answer.headers.update(problems.ASKING)
    return answer


async def of_http(request: Request, found: Exception) -> Response:
    """An address where nothing is, as a page for who looks with a browser, else as a document."""
    is_missing = isinstance(found, HTTPException) and found.status_code == 404
    if is_missing and _wants_page(request) and find_spec("jinja2") is not None:
        return problem_page(NotFound(f"There is nothing at {request.url.path[:200]}."))
    return await problems.of_http(request, found)


def _wants_page(request: Request) -> bool:
    is_page = not request.url.path.startswith("/api/")
    return is_page and request.method in ("GET", "HEAD") and "text/html" in request.headers.get("accept", "")


def html_answer(text: str, status: int = 200) -> Response:
    """A page as an answer. Its forms must say where they come from: other places are told nothing."""
    headers = {"content-security-policy": rendering.POLICY, "referrer-policy": "same-origin"}
    return Response(text, status, headers, "text/html; charset=utf-8")
