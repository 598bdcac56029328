"""People who sign in: made, changed and shut out, each change on record; and signing in itself.

A password is kept as its Argon2id hash, a session as the SHA-256 of 256 random bits. After
failures in a row a name has to wait, longer each time; an unknown name takes as long as a
wrong password.
"""

import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

from flatfare.core import labels
from flatfare.core.errors import BadInput, BadUsage, Conflict, FlatfareError, NotFound
from flatfare.core.moments import DAY_US, MICROSECONDS, iso
from flatfare.store import chains, users
from flatfare.store.book import Book
from flatfare.store.users import User

if TYPE_CHECKING:
    from argon2 import PasswordHasher

ROLES = ("admin", "finance", "developer", "reviewer", "viewer")
SESSION_US = 7 * DAY_US
PASSWORD_LENGTH_MIN, PASSWORD_LENGTH_MAX = 10, 1024
FAILURES_FREE = 5
WAIT_S, WAIT_S_MAX = 30, 3600
_NAME_LENGTH_MAX = 128


class SignInRefused(FlatfareError):
    """Name and password do not let anybody in, or not yet."""

    exit_code = 4
    http_status = 401


@dataclass(frozen=True, slots=True)
class Session:
    """A session that has begun, and its secret, which is not to be had again."""

    user: User
    secret: str
    ends_at_us: int


def create(
    book: Book,
    name: str,
    *,
    role: str,
    password: str | None,
    scope: Mapping[str, str] | None = None,
    subject: str | None = None,
    at_us: int,
    by_whom: str,
) -> User:
    """Let somebody sign in; a user of the same name is a ``Conflict``."""
    _check_name(name)
    user = User(
        f"usr_{secrets.token_hex(8)}",
        name,
        _role(role),
        at_us,
        _scope(scope or {}),
        None if password is None else hash_of(password),
        subject,
    )
    with book.writing():
        if users.named(book, name) is not None:
            raise Conflict(f"There is a user {name!r} already. Change it: flatfare users change {name}")
        users.insert(book, user)
        _record(book, "user.created", user, _terms(user), at_us, by_whom)
    return user


def change(
    book: Book,
    name: str,
    *,
    role: str | None = None,
    password: str | None = None,
    scope: Mapping[str, str] | None = None,
    at_us: int,
    by_whom: str,
) -> User:
    """Change role, password or scope; every session of the user ends."""
    with book.writing():
        former = one_of(book, name)
        changed = replace(
            former,
            role=former.role if role is None else _role(role),
            scope=former.scope if scope is None else _scope(scope),
            password_hash=former.password_hash if password is None else hash_of(password),
        )
        _keep_an_admin(book, former, changed)
        users.update(book, changed)
        users.end_sessions(book, former.id)
        users.forget_failures(book, former.name)
        content = {**_terms(changed), "password_changed": password is not None}
        _record(book, "user.changed", changed, content, at_us, by_whom)
    return changed


def disable(book: Book, name: str, *, at_us: int, by_whom: str) -> User:
    """Shut somebody out; every session of the user ends."""
    with book.writing():
        former = one_of(book, name)
        if former.disabled_at_us is not None:
            return former
        changed = replace(former, disabled_at_us=at_us)
        _keep_an_admin(book, former, changed)
        users.update(book, changed)
        users.end_sessions(book, former.id)
        _record(book, "user.disabled", changed, {}, at_us, by_whom)
    return changed


def enable(book: Book, name: str, *, at_us: int, by_whom: str) -> User:
    """Let somebody in again who was shut out."""
    with book.writing():
        changed = replace(one_of(book, name), disabled_at_us=None)
        users.update(book, changed)
        _record(book, "user.enabled", changed, {}, at_us, by_whom)
    return changed


def one_of(book: Book, name: str) -> User:
    """The user of that name or id; ``NotFound`` names those there are."""
    found = users.named(book, name)
    if found is None:
        known = ", ".join(user.name for user in users.all_of(book)[:10])
        hint = f"Known: {known}." if known else "Make the first: flatfare users create --admin NAME"
        raise NotFound(f"There is no user {name!r}. {hint}")
    return found


def sign_in(book: Book, name: str, password: str, *, at_us: int) -> Session:
    """Begin a session; ``SignInRefused`` says nothing of which part was wrong."""
    name = name.strip()[:_NAME_LENGTH_MAX]
    _wait(book, name, at_us)
    user = users.named(book, name)
    held = user.password_hash if user is not None and user.disabled_at_us is None else None
    is_right = _verified(held or _decoy(), password) and held is not None
    with book.writing():
        if user is None or not is_right:
            users.count_failure(book, name, at_us)
        else:
            users.forget_failures(book, name)
    if user is None or not is_right:
        raise SignInRefused("Name and password do not belong together. Try again, or ask an administrator.")
    return begin(book, user, at_us=at_us)


def begin(book: Book, user: User, *, at_us: int) -> Session:
    """Begin a session of somebody who is known."""
    secret = secrets.token_urlsafe(32)
    ends = at_us + SESSION_US
    with book.writing():
        users.insert_session(book, session_hash(secret), user.id, at_us, ends)
    return Session(user, secret, ends)


def in_session(book: Book, secret: str, at_us: int) -> User | None:
    """Whose session this is."""
    return users.in_session(book, session_hash(secret), at_us)


def sign_out(book: Book, secret: str) -> None:
    """End a session."""
    with book.writing():
        users.end_session(book, session_hash(secret))


def session_hash(secret: str) -> str:
    """How a session is kept and looked up."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def hash_of(password: str) -> str:
    """The password's Argon2id hash; ``BadInput`` for one that is easily guessed by its length alone."""
    if not PASSWORD_LENGTH_MIN <= len(password) <= PASSWORD_LENGTH_MAX:
        raise BadInput(
            f"Found a password of {len(password)} characters: at least {PASSWORD_LENGTH_MIN}, "
            f"at most {PASSWORD_LENGTH_MAX}."
        )
    return _hasher().hash(password)


def document_of(user: User) -> dict[str, object]:
    """A user as command line and pages show it; never a hash."""
    return {
        "id": user.id,
        "name": user.name,
        "role": user.role,
        "scope": [f"{key}={value}" for key, value in user.scope],
        "signs_in": "elsewhere" if user.subject else "with a password",
        "state": user.state,
        "created": iso(user.created_at_us),
    }


def _wait(book: Book, name: str, at_us: int) -> None:
    tries = users.tries_of(book, name)
    if tries.failures < FAILURES_FREE:
        return
    wait_s = min(WAIT_S << min(tries.failures - FAILURES_FREE, 16), WAIT_S_MAX)
    left_s = wait_s - (at_us - tries.last_at_us) // MICROSECONDS
    if left_s > 0:
        raise SignInRefused(
            f"Too many tries under this name: wait {left_s} seconds. An administrator can set a new one: "
            "flatfare users change NAME --password"
        )


def _verified(held: str, password: str) -> bool:
    from argon2.exceptions import VerificationError

    try:
        return _hasher().verify(held, password[:PASSWORD_LENGTH_MAX])
    except VerificationError:
        return False


@cache
def _hasher() -> "PasswordHasher":
    try:
        from argon2 import PasswordHasher
    except ImportError as problem:
        raise BadUsage("Signing in needs the web extra: pip install 'flatfare[web]'.") from problem
    return PasswordHasher()  # RFC 9106's second recommendation, the library's default


@cache
def _decoy() -> str:
    """What an unknown name's password is held against, so that it takes as long."""
    return _hasher().hash(secrets.token_urlsafe(16))


def _role(role: str) -> str:
    if role not in ROLES:
        raise BadInput(f"Found the role {role[:40]!r}: it is {', '.join(ROLES)}.")
    return role


def _scope(scope: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(labels.checked(scope).items()))


def _check_name(name: str) -> None:
    if not name.strip() or name != name.strip() or len(name) > _NAME_LENGTH_MAX or not name.isprintable():
        raise BadInput(
            f"Found the name {name[:40]!r} for a user: a name is plain text of at most {_NAME_LENGTH_MAX} "
            "characters."
        )
    if name.startswith("usr_"):
        raise BadInput("Names that begin with usr_ are ids: choose another.")


def _keep_an_admin(book: Book, former: User, changed: User) -> None:
    """The last administrator is neither shut out nor made anything else."""
    if former.role != "admin" or (changed.role == "admin" and changed.disabled_at_us is None):
        return
    others = [
        user
        for user in users.all_of(book)
        if user.role == "admin" and user.disabled_at_us is None and user.id != former.id
    ]
    if not others:
        raise Conflict(f"{former.name!r} is the last administrator: make another one first.")


def _terms(user: User) -> dict[str, object]:
    return {"name": user.name, "role": user.role, "scope": dict(user.scope), "subject": user.subject}


def _record(
    book: Book, kind: str, user: User, content: Mapping[str, object], at_us: int, by_whom: str
) -> None:
    chains.append(
        book,
        chains.ORGANISATION,
        kind=kind,
        subject=user.id,
        by_whom=by_whom,
        at_us=at_us,
        content=json.dumps(content, sort_keys=True, ensure_ascii=False),
    )
