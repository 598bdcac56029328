"""Calls over HTTP, in the order in which they were booked."""

import json

import msgspec

from flatfare.service.arriving import document_of
from flatfare.store import arrivals
from flatfare.web.access import Right
from flatfare.web.endpoint import Asked, Endpoint

ROWS_MAX = 1000


class CallsQuery(msgspec.Struct, forbid_unknown_fields=True):
    """Where to look on from, as a former answer said; without it, the last ones."""

    after: int | None = None
    limit: int = 100


def _calls(asked: Asked) -> object:
    query: CallsQuery = asked.query
    limit = max(1, min(query.limit, ROWS_MAX))
    book = asked.books.book
    after = query.after if query.after is not None else max(0, arrivals.newest(book) - limit)
    found = arrivals.since(book, after, limit)
    scope = asked.visitor.scope
    seen = [row for row in found.rows if scope.is_whole or scope.sees(json.loads(str(row["labels"])))]
    return {"calls": [document_of(row) for row in seen], "after": found.cursor}


ENDPOINTS = (
    Endpoint(
        "GET",
        "/api/calls",
        "list_calls",
        "Calls of the gateway that are not sealed yet, the oldest first",
        Right.READ,
        _calls,
        query=CallsQuery,
        narrows=True,
    ),
)
