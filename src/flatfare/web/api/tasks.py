"""Tasks over HTTP: what is told of them, what they are, and by what they are judged."""

from typing import Annotated, Any

import msgspec

from flatfare.core.errors import NotFound
from flatfare.service.reporting import listing, neighbours
from flatfare.service.tasks import defining, telling
from flatfare.service.tasks.events import KINDS
from flatfare.service.tasks.recording import Recorded, Teller, record
from flatfare.verifiers import again
from flatfare.web.access import Right
from flatfare.web.api.reports import filter_of, moment
from flatfare.web.endpoint import Asked, Endpoint

_OneEvent = Annotated[
    msgspec.Raw,
    msgspec.Meta(
        extra_json_schema={
            "type": "object",
            "required": ["event", "id", "task"],
            "properties": {
                "event": {"type": "string", "enum": [*KINDS]},
                "id": {"type": "string", "format": "uuid"},
                "task": {"type": "string"},
                "at": {"type": ["string", "integer"]},
            },
        }
    ),
]
"""One event; what else it says depends on its kind, and is read event by event."""


class Events(msgspec.Struct, forbid_unknown_fields=True):
    """A batch of events; see the guide on outcomes for their kinds."""

    events: list[_OneEvent]


class TasksQuery(msgspec.Struct, forbid_unknown_fields=True):
    """Which tasks, and in which order."""

    filter: list[str] = []  # KEY=VALUE; values of one key are alternatives
    since: str | None = None
    until: str | None = None
    sort: str = listing.NEWEST
    limit: int = 100
    offset: int = 0


class DefinitionsQuery(msgspec.Struct, forbid_unknown_fields=True):
    """Of which kind of task; of all, if none is named."""

    action: str | None = None


class NewDefinition(msgspec.Struct, forbid_unknown_fields=True):
    """What makes a task of one kind verified; see the guide on outcomes."""

    definition: dict[str, Any]
    reason: str | None = None


def _record(asked: Asked) -> object:
    given: Events = asked.body
    key, books = asked.visitor.key, asked.books
    teller = Teller(
        asked.visitor.name,
        project=None if key is None else key.project,
        labels={} if key is None else key.labels,
    )
    events = [bytes(event) for event in given.events]
    return _document(record(books.book, books.lake, events, teller, now_us=books.now_us))


def _document(done: Recorded) -> object:
    return {
        "recorded": done.recorded,
        "known": done.known,
        "refused": [{"index": one.index, "id": one.id, "reason": one.reason} for one in done.refused],
    }


def _list(asked: Asked) -> object:
    query: TasksQuery = asked.query
    books = asked.books
    found = listing.listed(
        books.book,
        books.lake,
        now_us=books.now_us,
        filters=asked.visitor.scope.narrowed(filter_of(text) for text in query.filter),
        since_us=moment(query.since),
        until_us=moment(query.until),
        sort=query.sort,
        limit=query.limit,
        offset=query.offset,
    )
    return {"tasks": [task.as_json(books.settings.currency) for task in found]}


def _show(asked: Asked) -> object:
    books = asked.books
    task = telling.find(books.book, books.lake, asked.path["task"], now_us=books.now_us)
    if not asked.visitor.scope.sees(task.labels):
        raise NotFound(f"There is no task {asked.path['task'][:80]!r} that you may see.")
    told = telling.story(books.book, books.lake, task, now_us=books.now_us, currency=books.settings.currency)
    return neighbours.told(
        books.book,
        books.lake,
        task,
        told,
        now_us=books.now_us,
        filters=asked.visitor.scope.narrowed([]),
    )


def _definitions(asked: Asked) -> object:
    query: DefinitionsQuery = asked.query
    return {
        "definitions": [
            defining.shown(version) for version in defining.listed(asked.books.book, query.action)
        ]
    }


def _define(asked: Asked) -> object:
    given: NewDefinition = asked.body
    definition = defining.of_document(given.definition)
    again.check(definition)
    made = defining.define(asked.books.book, definition, **asked.on_record(given.reason))
    return defining.document_of(made)


ENDPOINTS = (
    Endpoint(
        "POST",
        "/api/events",
        "record_events",
        "Tell of tasks: opened, tried, judged, signalled, reworked, closed; idempotent, in any order",
        Right.RECORD,
        _record,
        takes=Events,
        writes=True,
    ),
    Endpoint(
        "GET",
        "/api/tasks",
        "list_tasks",
        "Tasks with their state and cost, the newest or the dearest first",
        Right.READ,
        _list,
        query=TasksQuery,
        narrows=True,
    ),
    Endpoint(
        "GET",
        "/api/tasks/{task}",
        "show_task",
        "One task's whole story: attempts, calls, verdicts with evidence, rework, signals, moves",
        Right.READ,
        _show,
        narrows=True,
    ),
    Endpoint(
        "GET",
        "/api/definitions",
        "list_definitions",
        "What makes a task of each kind verified, every version",
        Right.READ,
        _definitions,
        query=DefinitionsQuery,
    ),
    Endpoint(
        "POST",
        "/api/definitions",
        "define",
        "Put a definition in force for the tasks that are opened from now on",
        Right.MANAGE,
        _define,
        takes=NewDefinition,
        writes=True,
        status=201,
    ),
)
