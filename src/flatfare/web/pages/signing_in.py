"""Signing in and out: a name and a password for a session."""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from flatfare.core.errors import FlatfareError
from flatfare.service.access import users as people
from flatfare.store import users
from flatfare.web.access import Door, NotKnown, session_of
from flatfare.web.desk import Books, Desk
from flatfare.web.pages import rendering, sessions
from flatfare.web.pages.forms import form_fields
from flatfare.web.pages.problem import html_answer, problem_page

Serve = Callable[[Request], Awaitable[Response]]


def routes(desk: Desk, door: Door) -> list[BaseRoute]:
    """The addresses of signing in and out."""
    here = _SigningIn(desk, door)
    return [
        Route("/sign-in", told(here.show), methods=["GET"], name="sign-in"),
        Route("/sign-in", told(here.sign_in), methods=["POST"]),
        Route("/sign-out", told(here.sign_out), methods=["POST"]),
    ]


def told(serve: Serve) -> Serve:
    """The same, with what goes wrong on a page."""

    async def answered(request: Request) -> Response:
        try:
            return await serve(request)
        except NotKnown:
            return RedirectResponse("/sign-in", 303)
        except FlatfareError as problem:
            return problem_page(problem)

    return answered


class _SigningIn:
    def __init__(self, desk: Desk, door: Door) -> None:
        self._desk = desk
        self._door = door

    async def show(self, request: Request) -> Response:
        there = sessions.next_of(request.query_params.get("next"))
        return await self._desk.ask(lambda books: self._page(books, there), writes=False)

    async def sign_in(self, request: Request) -> Response:
        self._door.check_origin(request)
        fields = await form_fields(request)
        there, name = sessions.next_of(fields.get("next")), fields.get("name", "")

        def begin(books: Books) -> Response:
            try:
                session = people.sign_in(books.book, name, fields.get("password", ""), at_us=books.now_us)
            except people.SignInRefused as refused:
                return self._page(books, there, name, str(refused))
            answer = RedirectResponse(there, 303)
            sessions.give(answer, request, session)
            return answer

        return await self._desk.ask(begin, writes=True)

    async def sign_out(self, request: Request) -> Response:
        self._door.check_origin(request)
        fields = await form_fields(request)

        def end(books: Books) -> Response:
            visitor = self._door.visitor(request, books)
            visitor.require_mark(fields.get("mark", ""))
            secret = session_of(request)
            if secret is not None:
                people.sign_out(books.book, secret)
            answer = RedirectResponse("/sign-in", 303)
            sessions.take(answer)
            return answer

        return await self._desk.ask(end, writes=True)

    def _page(self, books: Books, there: str, name: str = "", said: str = "") -> Response:
        values = {
            "next": there,
            "name": name,
            "said": said,
            "has_users": bool(users.all_of(books.book)),
            "is_loopback": self._door.is_loopback,
            "issuers": tuple(books.settings.sign_in),
        }
        return html_answer(rendering.page_of("sign_in.html", values), 401 if said else 200)
