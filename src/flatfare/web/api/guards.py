"""Guards over HTTP: the verbs of ``flatfare guards``."""

import msgspec

from flatfare.service.budgets import guarding
from flatfare.web.access import Right
from flatfare.web.api.keys import Reason
from flatfare.web.endpoint import Asked, Endpoint


class GuardTerms(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """How far somebody may go: limits and times as text, such as 50, 2.00, 30m or low."""

    at_most: str | None = None
    action: str | None = None
    scope: str | None = None
    within: str | None = None
    every: str | None = None
    least: int | None = None
    factor: int | None = None
    budget: str | None = None
    models: list[str] | None = None
    instead: dict[str, str] | None = None
    contact: str | None = None
    reason: str | None = None


class NewGuard(GuardTerms, kw_only=True):
    """A guard to agree on."""

    name: str
    kind: str
    per: str | None = None


def _list(asked: Asked) -> object:
    return {"guards": guarding.listed(asked.books.book)}


def _show(asked: Asked) -> object:
    book = asked.books.book
    return guarding.document_of(book, guarding.one_of(book, asked.path["guard"]))


def _create(asked: Asked) -> object:
    given: NewGuard = asked.body
    books = asked.books
    made = guarding.create(
        books.book,
        guarding.guard_of(given.name, _terms(given)),
        **asked.on_record(given.reason),
    )
    return guarding.document_of(books.book, made)


def _change(asked: Asked) -> object:
    given: GuardTerms = asked.body
    books = asked.books
    changed = guarding.change(
        books.book,
        asked.path["guard"],
        _terms(given),
        **asked.on_record(given.reason),
    )
    return guarding.document_of(books.book, changed)


def _remove(asked: Asked) -> object:
    given: Reason = asked.body
    books = asked.books
    removed = guarding.remove(books.book, asked.path["guard"], **asked.on_record(given.reason))
    return {"id": removed.id, "name": removed.name, "removed": True}


def _terms(given: GuardTerms) -> dict[str, object]:
    """The terms that were given, as a guard takes them."""
    found: dict[str, object] = msgspec.to_builtins(given)
    return {name: value for name, value in found.items() if name not in ("name", "reason")}


ENDPOINTS = (
    Endpoint("GET", "/api/guards", "list_guards", "Guards, and calls that went past", Right.BUDGETS, _list),
    Endpoint(
        "GET", "/api/guards/{guard}", "show_guard", "One guard, and who went past it", Right.BUDGETS, _show
    ),
    Endpoint(
        "POST",
        "/api/guards",
        "create_guard",
        "Agree on a guard",
        Right.BUDGETS,
        _create,
        takes=NewGuard,
        writes=True,
        status=201,
    ),
    Endpoint(
        "POST",
        "/api/guards/{guard}/change",
        "change_guard",
        "Change what a guard allows or does",
        Right.BUDGETS,
        _change,
        takes=GuardTerms,
        writes=True,
    ),
    Endpoint(
        "POST",
        "/api/guards/{guard}/remove",
        "remove_guard",
        "End a guard",
        Right.BUDGETS,
        _remove,
        takes=Reason,
        writes=True,
    ),
)
