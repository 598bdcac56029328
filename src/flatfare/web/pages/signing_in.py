"""Signing in and out: a name and a password for a session, kept in a cookie that no script can read."""

import base64
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Awaitable, Callable
from urllib.parse import quote, urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from flatfare.config import Issuer
from flatfare.core.errors import FlatfareError, NotFound
from flatfare.service import single_sign_on
from flatfare.service import users as people
from flatfare.service.users import Session
from flatfare.store import users
from flatfare.web.access import SESSION_COOKIE, Door, NotKnown, session_of
from flatfare.web.desk import Books, Desk
from flatfare.web.pages import rendering
from flatfare.web.pages.forms import form_fields
from flatfare.web.pages.problem import html_answer, problem_page

Serve = Callable[[Request], Awaitable[Response]]


RETURN_COOKIE = "flatfare-return"
RETURN_S = 600
"""Who is sent to an issuer has so long to come back."""


def routes(desk: Desk, door: Door) -> list[BaseRoute]:
    """The addresses of signing in and out."""
    seal = secrets.token_bytes(32)

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

    async def depart(request: Request) -> Response:
        there = _next(request.query_params.get("next"))
        begun = single_sign_on.begin()

        def sent(books: Books) -> Response:
            issuer = _issuer(books, request.path_params["issuer"])
            address = single_sign_on.address_of(issuer, begun, _redirect(request, issuer))
            answer = RedirectResponse(address, 303)
            kept = _sealed([issuer.name, begun.state, begun.nonce, begun.verifier, there], seal)
            answer.set_cookie(
                RETURN_COOKIE,
                kept,
                RETURN_S,
                path="/sign-in",
                secure=_is_encrypted(request),
                httponly=True,
                samesite="lax",
            )
            return answer

        return await desk.ask(sent, writes=False)

    async def come_back(request: Request) -> Response:
        name, state, nonce, verifier, there = _opened(request.cookies.get(RETURN_COOKIE), seal)
        given = request.query_params
        if name != request.path_params["issuer"] or not hmac.compare_digest(
            given.get("state", "").encode("utf-8", "surrogatepass"), state.encode()
        ):
            raise people.SignInRefused("This sign-in was not begun here, or too long ago: begin again.")
        if "code" not in given:
            said = given.get("error_description") or given.get("error") or "nothing"
            raise people.SignInRefused(f"{name} said {said[:200]}. Begin again.")

        def begin(books: Books) -> Response:
            issuer = _issuer(books, name)
            begun = single_sign_on.Begun(state, nonce, verifier)
            redirect = _redirect(request, issuer)
            now_s = books.now_us // 1_000_000
            claims = single_sign_on.claims_of(issuer, begun, given["code"], redirect, now_s=now_s)
            user = single_sign_on.user_of(books.book, issuer, claims, at_us=books.now_us)
            session = people.begin(books.book, user, at_us=books.now_us)
            # A redirect would still count as the issuer's: the strict cookie travels from a page of ours on.
            answer = html_answer(rendering.page_of("signed_in.html", {"there": there}))
            _keep(answer, request, session)
            answer.delete_cookie(RETURN_COOKIE, path="/sign-in", httponly=True, samesite="lax")
            return answer

        return await desk.ask(begin, writes=True)

    return [
        Route("/sign-in", _told(show), methods=["GET"], name="sign-in"),
        Route("/sign-in", _told(sign_in), methods=["POST"]),
        Route("/sign-out", _told(sign_out), methods=["POST"]),
        Route("/sign-in/{issuer}", _told(depart), methods=["GET"]),
        Route("/sign-in/{issuer}/return", _told(come_back), methods=["GET"]),
    ]


def began(request: Request, session: Session, there: str) -> Response:
    """The answer that lets a browser in."""
    answer = RedirectResponse(there, 303)
    _keep(answer, request, session)
    return answer


def _keep(answer: Response, request: Request, session: Session) -> None:
    """Give the browser its session."""
    answer.set_cookie(
        SESSION_COOKIE,
        session.secret,
        max_age=people.SESSION_US // 1_000_000,
        path="/",
        secure=_is_encrypted(request),
        httponly=True,
        samesite="strict",
    )


def _issuer(books: Books, name: str) -> Issuer:
    found = books.settings.sign_in.get(name)
    if found is None:
        raise NotFound(
            f"There is no issuer {name[:40]!r} here. Known: {', '.join(books.settings.sign_in) or 'none'}."
        )
    return found


def _redirect(request: Request, issuer: Issuer) -> str:
    """Where the issuer sends people back to."""
    scheme = "https" if _is_encrypted(request) else "http"
    own = issuer.address or f"{scheme}://{request.headers.get('host', '')}"
    return f"{own}/sign-in/{quote(issuer.name, safe='')}/return"


def _sealed(values: list[str], seal: bytes) -> str:
    said = base64.urlsafe_b64encode(json.dumps([int(time.time()), *values]).encode()).decode()
    return f"{said}.{hmac.new(seal, said.encode(), hashlib.sha256).hexdigest()}"


def _opened(kept: str | None, seal: bytes) -> tuple[str, str, str, str, str]:
    """What the browser kept; ``SignInRefused`` where it is not as we wrote it, or too old."""
    said, _, mark = (kept or "").partition(".")
    own = hmac.new(seal, said.encode(), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(mark.encode(), own.encode()):
        raise people.SignInRefused("This sign-in was not begun here, or too long ago: begin again.")
    at, name, state, nonce, verifier, there = json.loads(base64.urlsafe_b64decode(said))
    if time.time() - at > RETURN_S:
        raise people.SignInRefused("This sign-in was begun too long ago: begin again.")
    return name, state, nonce, verifier, there


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
        "issuers": tuple(books.settings.sign_in),
    }
    return html_answer(rendering.page_of("sign_in.html", values), 401 if said else 200)


def _next(text: str | None) -> str:
    """Where to go afterwards: an address of ours, never somebody else's."""
    if not text or not text.startswith("/") or text.startswith(("//", "/\\")):
        return "/"
    parts = urlsplit(text)
    is_own = not parts.scheme and not parts.netloc and "\\" not in text and text.isprintable()
    return text if is_own else "/"
