"""Keys over HTTP: the verbs of ``flatfare keys``."""

from typing import Protocol

import msgspec

from flatfare.service.access import keys as issuing
from flatfare.service.access.keys import Issued, Terms
from flatfare.store.book import Book
from flatfare.store.keys import Key
from flatfare.web.access import Right
from flatfare.web.api.reports import moment
from flatfare.web.endpoint import Asked, Endpoint


class NewKey(msgspec.Struct, forbid_unknown_fields=True):
    """What a new key may do; what is not stated is not limited."""

    name: str
    project: str | None = None
    labels: dict[str, str] = {}
    allowed_models: list[str] = []
    allowed_providers: list[str] = []
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrent: int | None = None
    expires: str | None = None
    reason: str | None = None


class Rotation(msgspec.Struct, forbid_unknown_fields=True):
    """How long the former secret is still let in, in seconds."""

    overlap_s: int = 3600
    reason: str | None = None


class Reason(msgspec.Struct, forbid_unknown_fields=True):
    """Why something is changed."""

    reason: str | None = None


class KeysQuery(msgspec.Struct, forbid_unknown_fields=True):
    """Whether those that were revoked or have expired are shown too."""

    all: bool = False


def _list(asked: Asked) -> object:
    query: KeysQuery = asked.query
    return {"keys": issuing.listed(asked.books.book, at_us=asked.books.now_us, with_ended=query.all)}


def _create(asked: Asked) -> object:
    given: NewKey = asked.body
    terms = Terms(
        name=given.name,
        project=given.project,
        labels=given.labels,
        allowed_models=tuple(given.allowed_models),
        allowed_providers=tuple(given.allowed_providers),
        requests_per_minute=given.requests_per_minute,
        tokens_per_minute=given.tokens_per_minute,
        concurrent=given.concurrent,
        expires_at_us=moment(given.expires),
    )
    books = asked.books
    issued = issuing.create(books.book, terms, **asked.on_record(given.reason))
    return _shown_once(issued)


def _rotate(asked: Asked) -> object:
    given: Rotation = asked.body
    issued = issuing.rotate(
        asked.books.book,
        asked.path["key"],
        overlap_us=given.overlap_s * 1_000_000,
        **asked.on_record(given.reason),
    )
    return _shown_once(issued)


def _shown_once(issued: Issued) -> object:
    return {"id": issued.key.id, "key": issued.secret}


def _revoke(asked: Asked) -> object:
    return _changed(asked, issuing.revoke)


def _disable(asked: Asked) -> object:
    return _changed(asked, issuing.disable)


def _enable(asked: Asked) -> object:
    return _changed(asked, issuing.enable)


class _Change(Protocol):
    def __call__(self, book: Book, key: str, /, *, at_us: int, by_whom: str, reason: str | None) -> Key: ...


def _changed(asked: Asked, change: _Change) -> object:
    given: Reason = asked.body
    books = asked.books
    key = change(books.book, asked.path["key"], **asked.on_record(given.reason))
    return {"id": key.id, "name": key.name, "state": key.state(books.now_us)}


ENDPOINTS = (
    Endpoint("GET", "/api/keys", "list_keys", "The keys; never a secret", Right.KEYS, _list, query=KeysQuery),
    Endpoint(
        "POST",
        "/api/keys",
        "create_key",
        "Make a key; its secret is in the answer, once",
        Right.KEYS,
        _create,
        takes=NewKey,
        writes=True,
        status=201,
    ),
    Endpoint(
        "POST",
        "/api/keys/{key}/rotate",
        "rotate_key",
        "Give a key a new secret",
        Right.KEYS,
        _rotate,
        takes=Rotation,
        writes=True,
    ),
    *(
        Endpoint(
            "POST",
            f"/api/keys/{{key}}/{verb}",
            f"{verb}_key",
            summary,
            Right.KEYS,
            answer,
            takes=Reason,
            writes=True,
        )
        for verb, answer, summary in (
            ("revoke", _revoke, "Shut a key off for good"),
            ("disable", _disable, "Shut a key off until it is enabled again"),
            ("enable", _enable, "Let a key in again"),
        )
    ),
)
