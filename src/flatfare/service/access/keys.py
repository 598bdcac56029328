"""Keys: created, rotated, disabled and revoked, each change on record with who made it.

A secret is shown once, when it is made, and kept only as its SHA-256: it has 256 random
bits, so that no slow hash is needed to keep it from being guessed.
"""

import hashlib
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from flatfare.core import labels
from flatfare.core.errors import BadInput, Conflict, NotFound
from flatfare.core.moments import iso
from flatfare.store import chains, keys, text_terms
from flatfare.store.book import Book
from flatfare.store.keys import Key, KeySecret
from flatfare.store.text_terms import TextTerms

MARK = "ff_"
SECRET_BYTES = 32
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SECRET_LENGTH = 43  # 62 ** 43 > 2 ** 256
_ID_LENGTH = 11  # 62 ** 11 > 2 ** 64
_PREFIX_LENGTH = len(MARK) + 4
_NAME_LENGTH_MAX = 128


@dataclass(frozen=True, slots=True)
class Terms:
    """What a new key may do; what is not stated is not limited."""

    name: str
    project: str | None = None
    labels: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    allowed_models: tuple[str, ...] = ()
    allowed_providers: tuple[str, ...] = ()
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrent: int | None = None
    expires_at_us: int | None = None
    texts: TextTerms | None = None  # what is stored of what is said; nothing if not


@dataclass(frozen=True, slots=True)
class Issued:
    """A key and its secret, which is not to be had again."""

    key: Key
    secret: str = field(repr=False)


def hash_of(secret: str) -> str:
    """How a secret is kept and looked up."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def create(
    book: Book,
    terms: Terms,
    *,
    at_us: int,
    by_whom: str,
    reason: str | None = None,
    together_with: Callable[[Key], None] | None = None,
) -> Issued:
    """Make a key. A key of the same name that is not revoked is a ``Conflict``.

    What is written ``together_with`` it, such as its budget, is there whenever the key is: nobody
    sees the one without the other, and where it cannot be, there is no key.
    """
    _check(terms, at_us)
    key = Key(
        id=f"key_{_base62(secrets.randbits(64)).rjust(_ID_LENGTH, '0')}",
        name=terms.name,
        created_at_us=at_us,
        project=terms.project,
        labels=labels.checked(terms.labels),
        allowed_models=terms.allowed_models,
        allowed_providers=terms.allowed_providers,
        requests_per_minute=terms.requests_per_minute,
        tokens_per_minute=terms.tokens_per_minute,
        concurrent=terms.concurrent,
        expires_at_us=terms.expires_at_us,
        labels_text=labels.canonical(terms.labels),
    )
    secret = _new_secret()
    with book.writing():
        if any(one.revoked_at_us is None for one in keys.named(book, key.name)):
            raise Conflict(
                f"There is a key {key.name!r} already. Give this one another name, or a new secret to that: "
                f"flatfare keys rotate {key.name}"
            )
        keys.insert(book, key)
        keys.insert_secret(book, KeySecret(hash_of(secret), key.id, secret[:_PREFIX_LENGTH], at_us))
        content = _terms_of(key, secret)
        if terms.texts is not None:
            text_terms.put(book, key.id, terms.texts)
            content["store_text"] = _texts_document(terms.texts)
        _record(book, "key.created", key, content, at_us, by_whom, reason)
        if together_with is not None:
            together_with(key)
    return Issued(key, secret)


def rotate(
    book: Book, id_or_name: str, *, overlap_us: int, at_us: int, by_whom: str, reason: str | None = None
) -> Issued:
    """Give a key a new secret; those it has are let in for the overlap, and not after."""
    secret = _new_secret()
    with book.writing():
        key = _standing(book, id_or_name)
        keys.end_secrets(book, key.id, at_us + overlap_us)
        keys.insert_secret(book, KeySecret(hash_of(secret), key.id, secret[:_PREFIX_LENGTH], at_us))
        content = {"prefix": secret[:_PREFIX_LENGTH], "former_ends_at_us": at_us + overlap_us}
        _record(book, "key.rotated", key, content, at_us, by_whom, reason)
    return Issued(key, secret)


def revoke(book: Book, id_or_name: str, *, at_us: int, by_whom: str, reason: str | None = None) -> Key:
    """Shut a key off for good. Revoking it twice changes nothing."""
    with book.writing():
        key = _one(book, id_or_name)
        if key.revoked_at_us is not None:
            return key
        keys.set_revoked(book, key.id, at_us)
        _record(book, "key.revoked", key, {}, at_us, by_whom, reason)
    return replace(key, revoked_at_us=at_us)


def disable(book: Book, id_or_name: str, *, at_us: int, by_whom: str, reason: str | None = None) -> Key:
    """Shut a key off until it is enabled again."""
    return _switch(book, id_or_name, "key.disabled", at_us, by_whom, reason)


def enable(book: Book, id_or_name: str, *, at_us: int, by_whom: str, reason: str | None = None) -> Key:
    """Let a key in again that was disabled."""
    return _switch(book, id_or_name, "key.enabled", at_us, by_whom, reason)


def _switch(book: Book, id_or_name: str, kind: str, at_us: int, by_whom: str, reason: str | None) -> Key:
    """Shut a key off or let it in again. Doing the same twice changes nothing."""
    disabled_at_us = at_us if kind == "key.disabled" else None
    with book.writing():
        key = _standing(book, id_or_name)
        if (key.disabled_at_us is None) == (disabled_at_us is None):
            return key
        keys.set_disabled(book, key.id, disabled_at_us)
        _record(book, kind, key, {}, at_us, by_whom, reason)
    return replace(key, disabled_at_us=disabled_at_us)


def listed(book: Book, *, at_us: int, with_ended: bool = False) -> list[dict[str, object]]:
    """Every key that is let in or disabled (or all there ever were) as a document; never a secret."""
    secrets = keys.secrets_of_all(book)
    texts = text_terms.all_of(book)
    return [
        {
            **document_of(key, secrets, at_us),
            "store_text": _texts_document(texts[key.id]) if key.id in texts else None,
        }
        for key in keys.all_of(book)
        if with_ended or key.state(at_us) in ("active", "disabled")
    ]


def document_of(key: Key, secrets: Iterable[KeySecret], at_us: int) -> dict[str, object]:
    """A key as command line and API show it, with how those of its secrets begin that are let in."""
    return {
        "id": key.id,
        "name": key.name,
        "state": key.state(at_us),
        "secrets": [
            {
                "begins": secret.prefix,
                "created": iso(secret.created_at_us),
                "ends": iso(secret.ends_at_us),
            }
            for secret in secrets
            if secret.key_id == key.id and (secret.ends_at_us is None or secret.ends_at_us > at_us)
        ],
        "project": key.project,
        "labels": dict(key.labels),
        "allowed_models": list(key.allowed_models),
        "allowed_providers": list(key.allowed_providers),
        "requests_per_minute": key.requests_per_minute,
        "tokens_per_minute": key.tokens_per_minute,
        "concurrent": key.concurrent,
        "created": iso(key.created_at_us),
        "expires": iso(key.expires_at_us),
    }


def _record(
    book: Book,
    kind: str,
    key: Key,
    content: Mapping[str, object],
    at_us: int,
    by_whom: str,
    reason: str | None,
) -> None:
    keys.count_change(book)
    chains.record_change(book, kind, key.id, content, at_us=at_us, by_whom=by_whom, reason=reason)


def _terms_of(key: Key, secret: str) -> dict[str, object]:
    terms: dict[str, object] = {
        "name": key.name,
        "prefix": secret[:_PREFIX_LENGTH],
        "project": key.project,
        "labels": dict(key.labels),
        "allowed_models": list(key.allowed_models),
        "allowed_providers": list(key.allowed_providers),
        "requests_per_minute": key.requests_per_minute,
        "tokens_per_minute": key.tokens_per_minute,
        "concurrent": key.concurrent,
        "expires_at_us": key.expires_at_us,
    }
    return {name: value for name, value in terms.items() if value not in (None, [], {})}


def _texts_document(terms: TextTerms) -> dict[str, object]:
    return {"keep_s": terms.keep_us // 1_000_000, "subject": terms.subject}


def _one(book: Book, id_or_name: str) -> Key:
    """The key meant: of that id, or the newest of that name, one that stands before one that was revoked."""
    found = keys.named(book, id_or_name)
    if not found:
        known = [key.name for key in keys.all_of(book) if key.revoked_at_us is None]
        hint = f"Known: {', '.join(known[:10])}." if known else "Create one: flatfare keys create --name NAME"
        raise NotFound(f"There is no key {id_or_name!r}. {hint}")
    return min(reversed(found), key=lambda key: (key.id != id_or_name, key.revoked_at_us is not None))


def _standing(book: Book, id_or_name: str) -> Key:
    key = _one(book, id_or_name)
    if key.revoked_at_us is not None:
        raise Conflict(
            f"The key {key.name!r} was revoked, which is for good. "
            f"Create another: flatfare keys create --name {key.name}"
        )
    return key


def _check(terms: Terms, at_us: int) -> None:
    name = terms.name
    if not name.strip() or len(name) > _NAME_LENGTH_MAX or not name.isprintable():
        raise BadInput(
            f"Found the name {name[:40]!r} for a key: a name is plain text of at most "
            f"{_NAME_LENGTH_MAX} characters."
        )
    if name.startswith(("key_", MARK)):
        raise BadInput(f"Found the name {name[:12]!r}… for a key: names beginning so are ids or secrets.")
    if terms.expires_at_us is not None and terms.expires_at_us <= at_us:
        raise BadInput("The key would expire before it is made: give a time that is still to come.")
    for limit in (terms.requests_per_minute, terms.tokens_per_minute, terms.concurrent):
        if limit is not None and limit < 1:
            raise BadInput(f"Found a limit of {limit}: a key that may do nothing is a disabled one.")


def _new_secret() -> str:
    return MARK + _base62(int.from_bytes(secrets.token_bytes(SECRET_BYTES), "big")).rjust(_SECRET_LENGTH, "0")


def _base62(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 62)
        digits = _ALPHABET[digit] + digits
    return digits
