"""Signals over HTTP: signed messages of other systems that say what became of tasks."""

import os

import msgspec

from flatfare.service.access.secret_box import found_box
from flatfare.service.judging import signalling
from flatfare.web.access import Right
from flatfare.web.endpoint import Asked, Endpoint, Signed


class MessagesQuery(msgspec.Struct, forbid_unknown_fields=True):
    """How many of the last."""

    limit: int = 100


def _receive(asked: Asked) -> object:
    given: Signed = asked.body
    books = asked.books
    received = signalling.receive(
        books.book,
        books.lake,
        found_box(os.environ),
        asked.path["source"],
        given.headers,
        given.body,
        now_us=books.now_us,
    )
    return {"message": received.message_id, "status": received.status, "signals": received.signals}


def _list(asked: Asked) -> object:
    return {"sources": signalling.listed(asked.books.book)}


def _messages(asked: Asked) -> object:
    limit = max(1, min(int(asked.query.limit), 10_000))
    return {"messages": signalling.messages_of(asked.books.book, asked.path["source"], limit)}


ENDPOINTS = (
    Endpoint(
        "POST",
        "/api/signals/{source}",
        "receive_signal",
        "A signed webhook (Standard Webhooks) of a source of signals",
        Right.NOTHING,
        _receive,
        writes=True,
        is_signed=True,
    ),
    Endpoint("GET", "/api/signals", "list_signal_sources", "Who tells of tasks", Right.MANAGE, _list),
    Endpoint(
        "GET",
        "/api/signals/{source}/messages",
        "list_signal_messages",
        "What came of a source's last messages",
        Right.MANAGE,
        _messages,
        query=MessagesQuery,
    ),
)
