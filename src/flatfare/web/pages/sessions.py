"""How a browser is given its session, and where it goes on from there."""

from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from flatfare.service.access import users as people
from flatfare.service.access.users import Session
from flatfare.web.access import SESSION_COOKIE


def give(answer: Response, request: Request, session: Session) -> None:
    """Let the answer carry a session, in a cookie that no script can read and no other site sends."""
    answer.set_cookie(
        SESSION_COOKIE,
        session.secret,
        max_age=people.SESSION_US // 1_000_000,
        path="/",
        secure=is_encrypted(request),
        httponly=True,
        samesite="strict",
    )


def take(answer: Response) -> None:
    """Let the answer take the session away."""
    answer.delete_cookie(SESSION_COOKIE, path="/", httponly=True, samesite="strict")


def is_encrypted(request: Request) -> bool:
    """The browser speaks TLS, to us or to who stands before us."""
    return request.url.scheme == "https" or request.headers.get("x-forwarded-proto") == "https"


def next_of(text: str | None) -> str:
    """Where to go afterwards: an address of ours, never somebody else's."""
    if not text or not text.startswith("/") or text.startswith(("//", "/\\")):
        return "/"
    parts = urlsplit(text)
    is_own = not parts.scheme and not parts.netloc and "\\" not in text and text.isprintable()
    return text if is_own else "/"
