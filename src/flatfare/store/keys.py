"""Keys as the book keeps them: what each may do, and the hashes of its secrets, never a secret.

Every change raises the number that workers watch, in the same transaction.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from types import MappingProxyType

from flatfare.core import labels as label_rules
from flatfare.store.book import Book, Row, Value

_COLUMNS = (
    "id, name, project, labels, allowed_models, allowed_providers, requests_per_minute, tokens_per_minute, "
    "concurrent, created_at_us, expires_at_us, disabled_at_us, revoked_at_us"
)


@dataclass(frozen=True, slots=True)
class Key:
    """A credential as agreed: whom it is for, what it may reach, how much of it."""

    id: str
    name: str
    created_at_us: int
    project: str | None = None
    labels: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    allowed_models: tuple[str, ...] = ()  # patterns such as gpt-5*; none means every model
    allowed_providers: tuple[str, ...] = ()
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrent: int | None = None  # calls at one time
    expires_at_us: int | None = None
    disabled_at_us: int | None = None
    revoked_at_us: int | None = None
    labels_text: str = "{}"  # canonical JSON

    def why_not(self, provider: str, model: str | None) -> str | None:
        """Why this key may not call the model at the provider; None where it may."""
        if self.allowed_providers and not _matches(provider, self.allowed_providers):
            return (
                f"The key {self.name!r} may not use the provider {provider!r}, only "
                f"{', '.join(self.allowed_providers)}."
            )
        if self.allowed_models and (model is None or not _matches(model, self.allowed_models)):
            asked = "a request that names no model" if model is None else f"the model {model!r}"
            return f"The key {self.name!r} may not use {asked}, only {', '.join(self.allowed_models)}."
        return None

    def state(self, at_us: int) -> str:
        """active, disabled, revoked or expired."""
        if self.revoked_at_us is not None:
            return "revoked"
        if self.expires_at_us is not None and self.expires_at_us <= at_us:
            return "expired"
        return "active" if self.disabled_at_us is None else "disabled"


@dataclass(frozen=True, slots=True)
class KeySecret:
    """What the book knows of a secret: its hash, how it begins, and until when it is let in."""

    hash: str  # SHA-256, hexadecimal
    key_id: str
    prefix: str
    created_at_us: int
    ends_at_us: int | None = None


def _matches(text: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(text.lower(), pattern.lower()) for pattern in patterns)


def insert(book: Book, key: Key) -> None:
    """Write a new key, in the transaction that is open."""
    book.execute(
        f"INSERT INTO keys ({_COLUMNS}) VALUES ({', '.join('?' * 13)})",
        (
            key.id,
            key.name,
            key.project,
            label_rules.canonical(key.labels),
            json.dumps(key.allowed_models),
            json.dumps(key.allowed_providers),
            key.requests_per_minute,
            key.tokens_per_minute,
            key.concurrent,
            key.created_at_us,
            key.expires_at_us,
            key.disabled_at_us,
            key.revoked_at_us,
        ),
    )


def insert_secret(book: Book, secret: KeySecret) -> None:
    """Let a secret in for its key, in the transaction that is open."""
    book.execute(
        "INSERT INTO key_secrets (hash, key_id, prefix, created_at_us, ends_at_us) VALUES (?, ?, ?, ?, ?)",
        (secret.hash, secret.key_id, secret.prefix, secret.created_at_us, secret.ends_at_us),
    )


def end_secrets(book: Book, key_id: str, ends_at_us: int) -> None:
    """Let the key's present secrets in no longer than to a moment; one that ends sooner stays as it is."""
    book.execute(
        "UPDATE key_secrets SET ends_at_us = ? WHERE key_id = ? AND (ends_at_us IS NULL OR ends_at_us > ?)",
        (ends_at_us, key_id, ends_at_us),
    )


def set_disabled(book: Book, key_id: str, disabled_at_us: int | None) -> None:
    """Shut a key off for a while, or (None) let it in again."""
    book.execute("UPDATE keys SET disabled_at_us = ? WHERE id = ?", (disabled_at_us, key_id))


def set_revoked(book: Book, key_id: str, revoked_at_us: int) -> None:
    """Shut a key off for good."""
    book.execute("UPDATE keys SET revoked_at_us = ? WHERE id = ?", (revoked_at_us, key_id))


def count_change(book: Book) -> None:
    """Tell the workers that watch that keys have changed, in the transaction of the change."""
    book.execute("UPDATE key_changes SET number = number + 1")


def change_number(book: Book) -> Value:
    """Differs from what it was if any key has changed since."""
    return book.value("SELECT number FROM key_changes")


def all_of(book: Book) -> list[Key]:
    """Every key there ever was, the oldest first."""
    return [_read(row) for row in book.rows(f"SELECT {_COLUMNS} FROM keys ORDER BY created_at_us, id")]


def named(book: Book, id_or_name: str) -> list[Key]:
    """The key of that id, or those of that name."""
    rows = book.rows(
        f"SELECT {_COLUMNS} FROM keys WHERE id = ? OR name = ? ORDER BY created_at_us, id",
        (id_or_name, id_or_name),
    )
    return [_read(row) for row in rows]


def secrets_of_all(book: Book) -> list[KeySecret]:
    """What is known of every secret, the oldest first."""
    rows = book.rows(
        "SELECT hash, key_id, prefix, created_at_us, ends_at_us FROM key_secrets ORDER BY created_at_us, hash"
    )
    return [KeySecret(*row) for row in rows]  # type: ignore[arg-type]


def _read(row: Row) -> Key:
    labels_text = str(row[3])
    return Key(
        id=str(row[0]),
        name=str(row[1]),
        project=None if row[2] is None else str(row[2]),
        labels=MappingProxyType(json.loads(labels_text)),
        allowed_models=tuple(json.loads(str(row[4]))),
        allowed_providers=tuple(json.loads(str(row[5]))),
        requests_per_minute=_whole(row[6]),
        tokens_per_minute=_whole(row[7]),
        concurrent=_whole(row[8]),
        created_at_us=_whole(row[9]) or 0,
        expires_at_us=_whole(row[10]),
        disabled_at_us=_whole(row[11]),
        revoked_at_us=_whole(row[12]),
        labels_text=labels_text,
    )


def _whole(value: Value) -> int | None:
    return None if value is None else int(value)
