"""People who sign in, as the book keeps them: hashes of passwords and of sessions, never either itself."""

import json
from dataclasses import dataclass

from flatfare.store.book import Book, Row

_USER = "id, name, role, scope, password_hash, subject, created_at_us, disabled_at_us"


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who may sign in."""

    id: str
    name: str
    role: str
    created_at_us: int
    scope: tuple[tuple[str, str], ...] = ()  # labels and values; none means everything is seen
    password_hash: str | None = None
    subject: str | None = None  # the issuer's name for who signs in elsewhere
    disabled_at_us: int | None = None

    @property
    def state(self) -> str:
        """active or disabled."""
        return "active" if self.disabled_at_us is None else "disabled"


@dataclass(frozen=True, slots=True)
class Tries:
    """How often a sign-in under a name failed in a row, and when last."""

    failures: int
    last_at_us: int


def insert(book: Book, user: User) -> None:
    """Write a new user, in the transaction that is open."""
    book.execute(
        f"INSERT INTO users ({_USER}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            user.id,
            user.name,
            user.role,
            json.dumps(user.scope),
            user.password_hash,
            user.subject,
            user.created_at_us,
            user.disabled_at_us,
        ),
    )


def update(book: Book, user: User) -> None:
    """Change a user, in the transaction that is open; the name stays."""
    book.execute(
        "UPDATE users SET role = ?, scope = ?, password_hash = ?, subject = ?, disabled_at_us = ? "
        "WHERE id = ?",
        (
            user.role,
            json.dumps(user.scope),
            user.password_hash,
            user.subject,
            user.disabled_at_us,
            user.id,
        ),
    )


def all_of(book: Book) -> list[User]:
    """Everybody, by name."""
    return [_user(row) for row in book.rows(f"SELECT {_USER} FROM users ORDER BY name")]


def named(book: Book, name: str) -> User | None:
    """The user of that name or id."""
    rows = book.rows(f"SELECT {_USER} FROM users WHERE name = ? OR id = ?", (name, name))
    return _user(rows[0]) if rows else None


def of_subject(book: Book, subject: str) -> User | None:
    """The user whom an issuer calls by this name."""
    rows = book.rows(f"SELECT {_USER} FROM users WHERE subject = ?", (subject,))
    return _user(rows[0]) if rows else None


def insert_session(book: Book, session_hash: str, user_id: str, at_us: int, ends_at_us: int) -> None:
    """Write a session, in the transaction that is open; those that have ended go."""
    book.execute("DELETE FROM user_sessions WHERE ends_at_us <= ?", (at_us,))
    book.execute(
        "INSERT INTO user_sessions (hash, user_id, created_at_us, ends_at_us) VALUES (?, ?, ?, ?)",
        (session_hash, user_id, at_us, ends_at_us),
    )


def in_session(book: Book, session_hash: str, at_us: int) -> User | None:
    """Whose session it is, while it lasts and the user may sign in."""
    rows = book.rows(
        f"SELECT {', '.join(f'users.{name}' for name in _USER.split(', '))} FROM user_sessions "
        "JOIN users ON users.id = user_sessions.user_id "
        "WHERE hash = ? AND ends_at_us > ? AND disabled_at_us IS NULL",
        (session_hash, at_us),
    )
    return _user(rows[0]) if rows else None


def end_session(book: Book, session_hash: str) -> None:
    """End one session, in the transaction that is open."""
    book.execute("DELETE FROM user_sessions WHERE hash = ?", (session_hash,))


def end_sessions(book: Book, user_id: str) -> None:
    """End every session of a user, in the transaction that is open."""
    book.execute("DELETE FROM user_sessions WHERE user_id = ?", (user_id,))


def tries_of(book: Book, name: str) -> Tries:
    """The failures under a name since the last success."""
    rows = book.rows("SELECT failures, last_at_us FROM sign_in_failures WHERE name = ?", (name,))
    return Tries(int(rows[0][0] or 0), int(rows[0][1] or 0)) if rows else Tries(0, 0)


def count_failure(book: Book, name: str, at_us: int) -> None:
    """One more failure under a name, in the transaction that is open."""
    book.execute(
        "INSERT INTO sign_in_failures (name, failures, last_at_us) VALUES (?, 1, ?) ON CONFLICT (name) "
        "DO UPDATE SET failures = sign_in_failures.failures + 1, last_at_us = excluded.last_at_us",
        (name, at_us),
    )


def forget_failures(book: Book, name: str) -> None:
    """A sign-in under the name went well, in the transaction that is open."""
    book.execute("DELETE FROM sign_in_failures WHERE name = ?", (name,))


def _user(row: Row) -> User:
    return User(
        id=str(row[0]),
        name=str(row[1]),
        role=str(row[2]),
        scope=tuple((str(key), str(value)) for key, value in json.loads(str(row[3]))),
        password_hash=None if row[4] is None else str(row[4]),
        subject=None if row[5] is None else str(row[5]),
        created_at_us=int(row[6] or 0),
        disabled_at_us=None if row[7] is None else int(row[7]),
    )
