"""Signing in and out: a name and a password for a session, kept in a cookie that no script can read."""

from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from flatfare.core.errors import FlatfareError
from flatfare.service import users as people
from flatfare.service.users import Session
from flatfare.store import users
from flatfare.web.access import SESSION_COOKIE, Door, NotKnown, session_of
from flatfare.web.desk import Books, Desk
from flatfare.web.pages import rendering
from flatfare.web.pages.forms import form_fields
from flatfare.web.pages.problem import html_answer, problem_page

Serve = Callable[[Request], Awaitable[Response]]


def routes(desk: Desk, door: Door) -> list[BaseRoute]:
    """The addresses of signing in and out."""

    async def show(request: Request) -> Response:
        return await desk.ask(
            lambda books: _page(books, door, _next(request.query_params.get("next"))), writes=False
        )

    async def sign_in(request: Request) -> Response:
        door.check_origin(request)
        fields = await form_fields(request)
        there = _next(fields.get("next"))
        name = fields.get("name", "")

        def begin(books: Books) -> Response:
            try:
                session = people.sign_in(books.book, name, fields.get("password", ""), at_us=books.now_us)
            except people.SignInRefused as refused:
                return _page(books, door, there, name, str(refused))
            return began(request, session, there)

        return await desk.ask(begin, writes=True)

    async def sign_out(request: Request) -> Response:
        door.check_origin(request)
        fields = await form_fields(request)

        def end(books: Books) -> Response:
            visitor = door.visitor(request, books)
            visitor.require_mark(fields.get("mark", ""))
            secret = session_of(request)
            if secret is not None:
                people.sign_out(books.book, secret)
            answer = RedirectResponse("/sign-in", 303)
            answer.delete_cookie(SESSION_COOKIE, path="/", httponly=True, samesite="strict")
            return answer

        return await desk.ask(end, writes=True)

    return [
        Route("/sign-in", _told(show), methods=["GET"], name="sign-in"),
        Route("/sign-in", _told(sign_in), methods=["POST"]),
        Route("/sign-out", _told(sign_out), methods=["POST"]),
    ]


def began(request: Request, session: Session, there: str) -> Response:
    """The answer that lets a browser in."""
    answer = RedirectResponse(there, 303)
    answer.set_cookie(
        SESSION_COOKIE,
        session.secret,
        max_age=people.SESSION_US // 1_000_000,
        path="/",
        secure=_is_encrypted(request),
        httponly=True,
        samesite="strict",
    )
    return answer


def _is_encrypted(request: Request) -> bool:
    return request.url.scheme == "https" or request.headers.get("x-forwarded-proto") == "https"


def _told(serve: Serve) -> Serve:
    async def told(request: Request) -> Response:
        try:
            return await serve(request)
        except NotKnown:
            return RedirectResponse("/sign-in", 303)
        except FlatfareError as problem:
            return problem_page(problem)

    return told


def _page(books: Books, door: Door, there: str, name: str = "", said: str = "") -> Response:
    values = {
        "next": there,
        "name": name,
        "said": said,
        "has_users": bool(users.all_of(books.book)),
        "is_loopback": door.is_loopback,
        "issuers": (),
    }
    return html_answer(rendering.page_of("sign_in.html", values), 401 if said else 200)


def _next(text: str | None) -> str:
    """Where to go afterwards: an address of ours, never somebody else's."""
    if not text or not text.startswith("/") or text.startswith(("//", "/\\")):
        return "/"
    parts = urlsplit(text)
    is_own = not parts.scheme and not parts.netloc and "\\" not in text and text.isprintable()
    return text if is_own else "/"
