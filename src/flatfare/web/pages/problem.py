"""What went wrong, on a page, in the sentences that the command line has."""

import http

from starlette.responses import Response

from flatfare.core.errors import FlatfareError
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
    return html_answer(rendering.page_of("problem.html", values), problem.http_status)


def html_answer(text: str, status: int = 200) -> Response:
    """A page as an answer. Its forms must say where they come from: other places are told nothing."""
    headers = {"content-security-policy": rendering.POLICY, "referrer-policy": "same-origin"}
    return Response(text, status, headers, "text/html; charset=utf-8")
