"""Budgets over HTTP: the verbs of ``flatfare budgets``, and what a request would cost before it is sent."""

from dataclasses import replace

import msgspec

from flatfare.core.budget import Budget, Scope, Threshold, TopUp, Window
from flatfare.core.currency import dollars
from flatfare.service.budgets import budgeting
from flatfare.service.budgets.estimating import estimate
from flatfare.service.budgets.units_left import unit_costs
from flatfare.service.costing.pricing import open_price_book
from flatfare.store import budgets as standing
from flatfare.web.access import Right
from flatfare.web.api.keys import Reason
from flatfare.web.api.reports import moment
from flatfare.web.endpoint import Asked, Endpoint


class NewBudget(msgspec.Struct, forbid_unknown_fields=True):
    """A budget to agree on; amounts as decimal text, in dollars."""

    name: str
    amount: str
    scope: str = "organisation"
    per: str = "month"
    time_zone: str | None = None
    hard: bool = True
    thresholds: list[str] | None = None  # such as 90 or 90:stop
    queue_ms: int | None = None
    unpriced: str | None = None
    fail: str | None = None
    output_limit: str | None = None
    contact: str | None = None
    reason: str | None = None


class More(msgspec.Struct, forbid_unknown_fields=True):
    """More for a budget, until it expires; or another amount in its place."""

    amount: str
    expires: str | None = None
    subject: str | None = None
    replaces: bool = False
    id: str | None = None  # the same twice is one
    reason: str | None = None


class ToEstimate(msgspec.Struct, forbid_unknown_fields=True):
    """A request as an SDK would send it, and whose it is."""

    request: msgspec.Raw
    provider: str = "openai"
    endpoint: str | None = None
    model: str | None = None


def _list(asked: Asked) -> object:
    books = asked.books
    costs = unit_costs(books.book, books.lake, standing.all_of(books.book), books.now_us)
    return {"budgets": budgeting.listed(books.book, at_us=books.now_us, costs=costs)}


def _show(asked: Asked) -> object:
    book, now_us = asked.books.book, asked.books.now_us
    found = budgeting.one_of(book, asked.path["budget"])
    costs = unit_costs(book, asked.books.lake, [found], now_us)
    return budgeting.document_of(book, found, at_us=now_us, subjects_max=1000, costs=costs)


def _create(asked: Asked) -> object:
    given: NewBudget = asked.body
    books = asked.books
    wanted = Budget(
        "",
        given.name,
        Scope.of(given.scope),
        dollars(given.amount),
        Window.of(given.per, given.time_zone or books.settings.time_zone),
        is_hard=given.hard,
        contact=given.contact,
    )
    if given.thresholds is not None:
        wanted = replace(wanted, thresholds=tuple(Threshold.of(text) for text in given.thresholds))
    for name in ("queue_ms", "unpriced", "fail", "output_limit"):
        value = getattr(given, name)
        if value is not None:
            wanted = replace(wanted, **{name: value})
    made = budgeting.create(books.book, wanted, **asked.on_record(given.reason))
    return budgeting.document_of(books.book, made, at_us=books.now_us)


def _top_up(asked: Asked) -> object:
    given: More = asked.body
    books = asked.books
    until_us = moment(given.expires)
    more = TopUp(
        dollars(given.amount),
        books.now_us,
        until_us,
        asked.visitor.name,
        given.reason,
        given.replaces,
        given.subject,
    )
    found = budgeting.top_up(
        books.book, asked.path["budget"], more, at_us=books.now_us, top_up_id=given.id, reason=given.reason
    )
    return budgeting.document_of(books.book, found, at_us=books.now_us)


def _remove(asked: Asked) -> object:
    given: Reason = asked.body
    books = asked.books
    removed = budgeting.remove(books.book, asked.path["budget"], **asked.on_record(given.reason))
    return {"id": removed.id, "name": removed.name, "removed": True}


def _estimate(asked: Asked) -> object:
    given: ToEstimate = asked.body
    books = asked.books
    own = books.settings.providers.get(given.provider)
    found = estimate(
        open_price_book(books.settings),
        (books.book, books.lake),
        bytes(given.request),
        at_us=books.now_us,
        provider=given.provider,
        endpoint=given.endpoint,
        model=given.model,
        default_tier=None if own is None else own.default_tier,
    )
    return found.as_json()


ENDPOINTS = (
    Endpoint("GET", "/api/budgets", "list_budgets", "Budgets and where they stand", Right.READ, _list),
    Endpoint(
        "GET", "/api/budgets/{budget}", "show_budget", "One budget, all its subjects", Right.READ, _show
    ),
    Endpoint(
        "POST",
        "/api/budgets",
        "create_budget",
        "Agree on a budget",
        Right.BUDGETS,
        _create,
        takes=NewBudget,
        writes=True,
        status=201,
    ),
    Endpoint(
        "POST",
        "/api/budgets/{budget}/top-ups",
        "top_up_budget",
        "Give a budget more for a while, or another amount in its place",
        Right.BUDGETS,
        _top_up,
        takes=More,
        writes=True,
    ),
    Endpoint(
        "POST",
        "/api/budgets/{budget}/remove",
        "remove_budget",
        "End a budget",
        Right.BUDGETS,
        _remove,
        takes=Reason,
        writes=True,
    ),
    Endpoint(
        "POST",
        "/api/estimate",
        "estimate",
        "What a request would cost, at most and likely, before it is sent",
        Right.RECORD,
        _estimate,
        takes=ToEstimate,
    ),
)
