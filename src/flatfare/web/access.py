"""Who asks, and what they may: decided in this one place, for pages and API alike.

On this machine the one user is let in by the token that ``serve`` prints. Elsewhere people
sign in and hold a role; for programs, a Flatfare key lets record work and read what it
recorded. A request that a web page of another place could have made is refused: Host and
Origin are checked, and a form carries a mark that only our own pages know.
"""

import hashlib
import hmac
from dataclasses import dataclass
from enum import Flag, auto
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from starlette.requests import Request

from flatfare.core.errors import FlatfareError, NotAuthorised
from flatfare.gateway.keyring import Refused
from flatfare.service.access import users
from flatfare.service.access.keys import MARK
from flatfare.store.keys import Key
from flatfare.web.desk import Books
from flatfare.web.scope import EVERYTHING, Scope

COOKIE = "flatfare-token"
SESSION_COOKIE = "flatfare-session"
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_SAFE = ("GET", "HEAD", "OPTIONS")


class Right(Flag):
    """What somebody may do."""

    NOTHING = 0
    RECORD = auto()  # tell of tasks, verdicts and signals, and ask what a call would cost
    READ = auto()  # see reports, tasks and calls of everybody within the own scope
    REVIEW = auto()  # give verdicts on what is queued for a person
    KEYS = auto()  # make and revoke keys
    BUDGETS = auto()  # change budgets
    BILL = auto()  # issue invoices and credit notes, and book what customers pay
    AUDIT = auto()  # see who changed what
    MANAGE = auto()  # change everything else: settings, definitions, users


ALL = ~Right.NOTHING

RIGHTS = {
    "admin": ALL,
    "finance": Right.READ | Right.BUDGETS | Right.BILL | Right.AUDIT,
    "developer": Right.READ | Right.RECORD | Right.KEYS,
    "reviewer": Right.READ | Right.REVIEW,
    "viewer": Right.READ,
}
"""What each role may do."""


_NOBODY = (
    "Found nobody that is known here. Send 'Authorization: Bearer KEY' with a Flatfare key, or open "
    "the address with the token that flatfare serve prints."
)


class NotKnown(FlatfareError):
    """Who asks is not known."""

    exit_code = 4
    http_status = 401


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who asks."""

    name: str
    rights: Right
    key: Key | None = None
    scope: Scope = EVERYTHING
    mark: str = ""  # what a form of ours carries, where the browser was let in by a cookie

    @property
    def is_anybody(self) -> bool:
        """Nothing said who asks: a program on this machine, let in to record and no more."""
        return self.key is None and self.rights == Right.RECORD

    def may(self, right: Right) -> bool:
        """The visitor has this right."""
        return right in self.rights

    def require(self, right: Right) -> None:
        """``NotAuthorised`` where the visitor does not have this right; ``NotKnown`` for anybody."""
        if right not in self.rights:
            if self.is_anybody:
                raise NotKnown(_NOBODY)
            raise NotAuthorised(
                f"{self.name} may not do this: it takes the right to {_words(right)}. "
                "Use the address with the token that flatfare serve prints, or ask an administrator."
            )

    def require_whole(self, what: str) -> None:
        """``NotAuthorised`` for somebody who sees only a part: this cannot be narrowed to it."""
        if not self.scope.is_whole:
            raise NotAuthorised(f"{what} is of everybody together, and you see only {self.scope}.")

    def require_mark(self, given: str) -> None:
        """``NotAuthorised`` for a form that is not of our pages."""
        if not self.mark or not _same(given, self.mark):
            raise NotAuthorised("This form is out of date: load the page again, and send it once more.")


@dataclass(frozen=True, slots=True)
class Door:
    """How visitors are let in."""

    token: str  # of the one user of this machine
    is_loopback: bool  # only this machine reaches the address

    def check_origin(self, request: Request) -> None:
        """``NotAuthorised`` for a request that a web page of another place could have made."""
        host = _host_of(request.headers.get("host", ""))
        if self.is_loopback and host not in _LOOPBACK:
            raise NotAuthorised(
                f"Found the host {host[:80]!r}: this address serves only this machine, as localhost."
            )
        origin = request.headers.get("origin")
        site = request.headers.get("sec-fetch-site", "none")
        is_foreign = origin is not None and urlsplit(origin).netloc != request.headers.get("host")
        if is_foreign or (request.method not in _SAFE and site not in ("none", "same-origin")):
            raise NotAuthorised(
                f"Found the origin {(origin or site)[:80]!r}: pages of other places are not let in."
            )

    def is_operator(self, request: Request) -> bool:
        """The request carries the token of this machine's user."""
        given = _bearer(request) or _cookie(request, COOKIE)
        return given is not None and self.is_token(given)

    def is_token(self, given: str) -> bool:
        """This is the token of this machine's user; only this machine's addresses take it."""
        return self.is_loopback and _same(given, self.token)

    def visitor(self, request: Request, books: Books) -> Visitor:
        """Who asks; ``NotKnown`` where nothing says so."""
        if self.is_operator(request):
            cookie = _cookie(request, COOKIE)
            return Visitor("the user of this machine", ALL, mark=_mark(cookie) if cookie else "")
        given = _bearer(request)
        if given is not None and given.startswith(MARK):
            return _of_key(given, books)
        session = _cookie(request, SESSION_COOKIE)
        if given is None and session is not None:
            user = users.in_session(books.book, session, books.now_us)
            if user is not None:
                return Visitor(user.name, RIGHTS[user.role], scope=Scope.of(user.scope), mark=_mark(session))
        if given is None and self.is_loopback and not len(books.keyring):
            return Visitor("this machine", Right.RECORD)
        raise NotKnown(_NOBODY)


def _of_key(secret: str, books: Books) -> Visitor:
    key = books.keyring.find(secret, books.now_us)
    if isinstance(key, Refused):
        raise NotKnown(key.reason)
    return Visitor(f"the key {key.name!r}", Right.RECORD, key)


def _bearer(request: Request) -> str | None:
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    return given.strip() if scheme.lower() == "bearer" and given.strip() else None


def session_of(request: Request) -> str | None:
    """The secret of the session that the request carries."""
    return _cookie(request, SESSION_COOKIE)


def _mark(secret: str) -> str:
    """What only a page shown to the holder of this secret carries."""
    return hmac.new(secret.encode("utf-8", "surrogatepass"), b"form", hashlib.sha256).hexdigest()


def _cookie(request: Request, name: str) -> str | None:
    try:
        found = SimpleCookie(request.headers.get("cookie", "")).get(name)
    except CookieError:
        return None
    return None if found is None else found.value


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode("utf-8", "surrogatepass"), other.encode())


def _host_of(header: str) -> str:
    name = header.strip().lower()
    return name.partition("]")[0].strip("[") if name.startswith("[") else name.partition(":")[0]


_WORDS = {
    Right.RECORD: "record work",
    Right.READ: "read reports",
    Right.REVIEW: "review work",
    Right.KEYS: "change keys",
    Right.BUDGETS: "change budgets",
    Right.BILL: "bill customers",
    Right.AUDIT: "see who changed what",
    Right.MANAGE: "change settings",
}


def _words(right: Right) -> str:
    return " and ".join(words for one, words in _WORDS.items() if one in right)
