"""Signing in by an issuer: the browser is sent there, and comes back with a code.

What belongs to one sign-in is kept by the browser meanwhile, sealed by this process, and no
longer than it takes.
"""

import base64
import hashlib
import hmac
import json
import secrets
import time
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from flatfare.config import Issuer
from flatfare.core.errors import NotFound
from flatfare.service.access import single_sign_on
from flatfare.service.access import users as people
from flatfare.service.access.single_sign_on import Begun
from flatfare.service.access.users import SignInRefused
from flatfare.web.desk import Books, Desk
from flatfare.web.pages import rendering, sessions
from flatfare.web.pages.problem import html_answer
from flatfare.web.pages.signing_in import told
from flatfare.web.problems import problem

COOKIE = "flatfare-return"
RETURN_S = 600
"""Who is sent to an issuer has so long to come back."""

_NOT_OURS = "This sign-in was not begun here, or too long ago: begin again."


def routes(desk: Desk) -> list[BaseRoute]:
    """The addresses of going to an issuer and of coming back."""
    here = _SigningOn(desk)
    return [
        Route("/sign-in/{issuer}", told(here.depart), methods=["GET"]),
        Route("/sign-in/{issuer}/return", told(here.come_back), methods=["GET"]),
    ]


class _SigningOn:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._seal = secrets.token_bytes(32)

    async def depart(self, request: Request) -> Response:
        there = sessions.next_of(request.query_params.get("next"))
        begun = single_sign_on.begin()

        def sent(books: Books) -> Response:
            issuer = _issuer(books, request.path_params["issuer"])
            answer = RedirectResponse(
                single_sign_on.address_of(issuer, begun, _redirect(request, issuer)), 303
            )
            kept = self._sealed([issuer.name, begun.state, begun.nonce, begun.verifier, there])
            answer.set_cookie(
                COOKIE,
                kept,
                RETURN_S,
                path="/sign-in",
                secure=sessions.is_encrypted(request),
                httponly=True,
                samesite="lax",  # it is the issuer's page that sends the browser back
            )
            return answer

        return await self._desk.ask(sent, writes=False)

    async def come_back(self, request: Request) -> Response:
        if request.method == "HEAD":  # it would use up what lets in once
            return problem(405, "HEAD is not possible here; possible: GET.", {"Allow": "GET"})
        name, begun, there = self._opened(request.cookies.get(COOKIE))
        given = request.query_params
        state = given.get("state", "").encode("utf-8", "surrogatepass")
        if name != request.path_params["issuer"] or not hmac.compare_digest(state, begun.state.encode()):
            raise SignInRefused(_NOT_OURS)
        if "code" not in given:
            said = given.get("error_description") or given.get("error") or "nothing"
            raise SignInRefused(f"{name} said {said[:200]}. Begin again.")

        def begin(books: Books) -> Response:
            issuer = _issuer(books, name)
            now_s = books.now_us // 1_000_000
            redirect = _redirect(request, issuer)
            claims = single_sign_on.claims_of(issuer, begun, given["code"], redirect, now_s=now_s)
            user = single_sign_on.user_of(books.book, issuer, claims, at_us=books.now_us)
            # A redirect would still count as the issuer's: the strict cookie travels from a page of ours on.
            answer = html_answer(rendering.page_of("signed_in.html", {"there": there}))
            sessions.give(answer, request, people.begin(books.book, user, at_us=books.now_us))
            answer.delete_cookie(COOKIE, path="/sign-in", httponly=True, samesite="lax")
            return answer

        return await self._desk.ask(begin, writes=True)

    def _sealed(self, values: list[str]) -> str:
        said = base64.urlsafe_b64encode(json.dumps([int(time.time()), *values]).encode()).decode()
        return f"{said}.{self._mark(said)}"

    def _opened(self, kept: str | None) -> tuple[str, Begun, str]:
        """What the browser kept; ``SignInRefused`` where it is not as we wrote it, or too old."""
        said, _, mark = (kept or "").partition(".")
        if not hmac.compare_digest(mark.encode(), self._mark(said).encode()):
            raise SignInRefused(_NOT_OURS)
        at, name, state, nonce, verifier, there = json.loads(base64.urlsafe_b64decode(said))
        if time.time() - at > RETURN_S:
            raise SignInRefused(_NOT_OURS)
        return name, Begun(state, nonce, verifier), there

    def _mark(self, said: str) -> str:
        return hmac.new(self._seal, said.encode(), hashlib.sha256).hexdigest()


def _issuer(books: Books, name: str) -> Issuer:
    found = books.settings.sign_in.get(name)
    if found is None:
        known = ", ".join(books.settings.sign_in) or "none"
        raise NotFound(f"There is no issuer {name[:40]!r} here. Known: {known}.")
    return found


def _redirect(request: Request, issuer: Issuer) -> str:
    """Where the issuer sends people back to."""
    scheme = "https" if sessions.is_encrypted(request) else "http"
    own = issuer.address or f"{scheme}://{request.headers.get('host', '')}"
    return f"{own}/sign-in/{quote(issuer.name, safe='')}/return"
