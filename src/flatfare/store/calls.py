"""Hot calls: rows written one by one, and corrections that take a revision back and write a new one."""

from collections.abc import Iterable, Mapping

from flatfare.store.book import Book, Value
from flatfare.store.layout import AMOUNTS, CALLS, names

_INSERT = f"INSERT INTO calls ({names(CALLS)}) VALUES ({', '.join('?' * len(CALLS))}) ON CONFLICT DO NOTHING"

_DEFAULTS: Mapping[str, Value] = {
    "revision": 0,
    "n": 1,
    "purpose": "work",
    "status": "ok",
    "usage_state": "measured",
    "labels": "{}",
}

_THEN: Mapping[str, tuple[str, ...]] = {
    "assistants.runs": ("retrieve", "continue"),
    "interactions": ("retrieve", "cancel"),
    "openai.assistants.runs": ("retrieve", "continue"),  # through a gateway that names whose they are
    "openai.responses": ("retrieve", "cancel"),
    "responses": ("retrieve", "cancel"),
}
"""Endpoints that begin what their provider keeps, and what is done with it afterwards."""

SHOWN_BY: Mapping[str, str] = {
    f"{begins}.{then}": begins for begins, thens in _THEN.items() for then in thens
}
"""Endpoints that show an answer which the provider keeps, each with the endpoint that begins such."""

OF_KEPT_ANSWERS = f"endpoint IN ({', '.join(map(repr, sorted({*SHOWN_BY, *_THEN})))})"
"""All of these, in the words of the index that finds their calls by ``external_id``."""


def is_of_kept_answer(call: Mapping[str, Value]) -> bool:
    """Whether a call began or fetched an answer that its provider keeps, and is known by its id there."""
    endpoint = call.get("endpoint")
    return (endpoint in _THEN or endpoint in SHOWN_BY) and call.get("external_id") is not None


def begins_answer(call: Mapping[str, Value]) -> bool:
    """Whether such a call began its answer, rather than fetched it."""
    return call.get("endpoint") in _THEN


def may_be_told(call: Mapping[str, Value]) -> bool:
    """Whether another call may yet tell what such a call cost, or take its cost over."""
    if begins_answer(call):
        return is_of_kept_answer(call) and call["cost_state"] != "measured"
    return is_of_kept_answer(call) and call["cost_nano"] != 0


def insert(book: Book, calls: Iterable[Mapping[str, Value]]) -> int:
    """Write calls given by column name; one that is there stays as it is. Returns how many were new."""
    return book.execute_many(_INSERT, (_row(call) for call in calls))


def _row(call: Mapping[str, Value]) -> list[Value]:
    return [call.get(column.name, _DEFAULTS.get(column.name)) for column in CALLS]


def taken_back(call: Mapping[str, Value], revision: int) -> dict[str, Value]:
    """The row that cancels a revision of a call: every figure negated, under the next revision's number."""
    figures = {name: -value for name in AMOUNTS if isinstance(value := call.get(name), int)}
    return {**call, **figures, "n": -1, "revision": revision}
