"""Actions over HTTP: published, listed and carried out; runs with their progress and receipts."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import msgspec
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from flatfare.core.action import Ending
from flatfare.core.errors import BadInput, NotAuthorised, NotFound
from flatfare.core.moments import parse_moment
from flatfare.runner.books import Shelf
from flatfare.runner.checking import check
from flatfare.runner.progress import Step
from flatfare.runner.running import Order, Result, Runner
from flatfare.service.actions import documents, publishing, receipts
from flatfare.service.actions.lines import BadAction
from flatfare.service.actions.reading import read
from flatfare.service.alerts import sending
from flatfare.store import runs
from flatfare.store.runs import Run, State
from flatfare.web.access import Right
from flatfare.web.endpoint import Asked, Endpoint
from flatfare.web.workshop import Hook, Workshop

RUNS_MAX = 1000
_UNTOLD: dict[str, object] = {"output": None, "reasons": []}
"""What customers gave and got is theirs: lists hold none of it, nor does who may only look see it."""

_FOR_CUSTOMERS = ("action", "version", "description", "input", "output", "files", "definition", "price")


class ActionFile(msgspec.Struct, forbid_unknown_fields=True):
    """An action file's text."""

    text: str
    file: str = "action.yaml"
    reason: str | None = None
    valid_from: str | None = None  # a time to come; at once, if not said


class ActionQuery(msgspec.Struct, forbid_unknown_fields=True):
    """Which version; the one that is sold now if not said."""

    version: int | None = None


class Webhook(msgspec.Struct, forbid_unknown_fields=True):
    """Where the end of a run is told, signed as Standard Webhooks are."""

    url: str
    secret: str


class NewRun(msgspec.Struct, forbid_unknown_fields=True):
    """What is to be done, for whom, and by which id of the client's own."""

    input: dict[str, Any]
    customer: str | None = None
    id: str | None = None
    wait: bool = True
    version: int | None = None
    labels: dict[str, str] = {}
    webhook: Webhook | None = None


class RunsQuery(msgspec.Struct, forbid_unknown_fields=True):
    """Which runs; ``cursor`` is what a former answer said."""

    action: str | None = None
    customer: str | None = None
    state: str | None = None
    limit: int = 100
    cursor: str | None = None


def _list(asked: Asked) -> object:
    return {"actions": documents.catalogue(publishing.listed(asked.books.book), asked.books.now_us)}


def _show(asked: Asked) -> object:
    books = asked.books
    found = publishing.shown(books.book, asked.path["name"], asked.query.version, at_us=books.now_us)
    document = documents.published_document(found)
    if asked.visitor.may(Right.READ):
        return document
    return {
        name: document[name]
        for name in (*_FOR_CUSTOMERS, "hash", "definition_version", "published_at", "valid_from")
    }


def _check(asked: Asked) -> object:
    given: ActionFile = asked.body
    try:
        found = check(read(given.text, given.file), asked.books.settings, given.file)
    except BadAction as problem:
        return {"problems": problem.problems, "warnings": ()}
    return {"problems": found.problems, "warnings": found.warnings}


def _publish(asked: Asked) -> object:
    given: ActionFile = asked.body
    books = asked.books
    action = read(given.text, given.file)
    found = check(action, books.settings, given.file)
    if found.problems:
        raise BadAction(found.problems)
    from_us = None if given.valid_from is None else parse_moment(given.valid_from)[0]
    made = publishing.publish(books.book, action, from_us=from_us, **asked.on_record(given.reason))
    return {**documents.published_document(made), "warnings": found.warnings}


def _run(asked: Asked) -> object:
    given: NewRun = asked.body
    prefers = {part.strip() for part in asked.headers.get("prefer", "").split(",")}
    waits = given.wait and "respond-async" not in prefers
    books = asked.books
    action = publishing.valid(books.book, asked.path["name"], given.version, at_us=books.now_us).action
    if not waits and not action.keep_us:
        raise BadInput(
            f"{action.name} keeps no results, so that they can only be waited for. To have them later, let "
            "the action keep them: privacy: {keep: 24h}."
        )
    hook = None
    if given.webhook is not None:
        if waits:
            raise BadInput("A webhook is for a run that is not waited for: say wait: false.")
        sending.check_reachable(given.webhook.url, allow_private=asked.books.settings.private_webhooks)
        hook = Hook(given.webhook.url, given.webhook.secret)
    return _Carried(_order(asked, given), hook, waits=waits, for_operator=asked.visitor.may(Right.READ))


def _order(asked: Asked, given: NewRun) -> Order:
    key, header = asked.visitor.key, asked.headers.get("idempotency-key")
    if given.id is not None and header is not None and given.id != header:
        raise BadInput("Found two ids of one run: the header Idempotency-Key and 'id' say different things.")
    own = {} if key is None else dict(key.labels)
    customer = given.customer or own.get("customer")
    if own.get("customer") not in (None, customer):
        raise NotAuthorised(f"This key is of the customer {own['customer']!r}, and of no other.")
    return Order(
        asked.path["name"],
        given.input,
        customer=customer,
        key=given.id or header,
        version=given.version,
        labels={**given.labels, **own},
        project=None if key is None else key.project,
        webhook=None if given.webhook is None else given.webhook.url,
    )


class _Carried(Response):
    """The answer to an order: the run when it is done, or at once with where to look."""

    def __init__(self, order: Order, hook: Hook | None, *, waits: bool, for_operator: bool) -> None:
        super().__init__()
        self._order = order
        self._hook = hook
        self._waits = waits
        self._for_operator = for_operator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        workshop: Workshop = scope["app"].state.workshop
        runner = await workshop.runner()
        leaving = asyncio.get_running_loop().create_task(_left(receive))
        try:
            if self._waits:
                result = await workshop.carry_out(self._order)
            else:
                run = await workshop.begin(self._order, self._hook)
                result = Result(run)
        finally:
            has_left = leaving.done()
            leaving.cancel()
        if self._waits and has_left:
            await runner.not_handed_over(result.run)
            return
        document = await runner.books.do(_document, result, self._for_operator)
        is_done = document["state"] == State.DONE
        headers = {"Location": f"/api/runs/{result.run.id}"}
        body = msgspec.json.encode(document)
        await Response(body, 200 if is_done else 202, headers, "application/json")(scope, receive, send)
        if self._waits:
            await runner.handed_over(result.run)


async def _left(receive: Receive) -> None:
    """Ends when who asked has left."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _document(shelf: Shelf, result: Result, for_operator: bool) -> dict[str, object]:
    run = runs.one(shelf.book, result.run.id) or result.run
    return receipts.document_of(
        shelf.book, shelf.lake, run, for_operator=for_operator, output=result.output, reasons=result.reasons
    )


def _show_run(asked: Asked) -> object:
    run = _seen(asked)
    books, is_operator = asked.books, asked.visitor.may(Right.READ)
    document = receipts.document_of(books.book, books.lake, run, for_operator=is_operator)
    if asked.visitor.key is None and not asked.visitor.may(Right.MANAGE):
        return _untold(document)
    return document


def _untold(document: dict[str, object]) -> dict[str, object]:
    """A run without what its customer gave and got; why it was refused is neither."""
    return document | (_UNTOLD if document["state"] != State.REFUSED else {"output": None})


def _seen(asked: Asked) -> Run:
    """The run that is asked for, where the visitor may see it."""
    run = receipts.run_of(asked.books.book, asked.path["run"])
    if not _may_see(asked, run):
        raise NotFound(f"There is no run {run.id!r}.")
    return run


def _may_see(asked: Asked, run: Run) -> bool:
    key = asked.visitor.key
    if key is not None:
        own = key.labels.get("customer")
        return run.project == key.project and own in (None, run.customer)
    asked.visitor.require(Right.READ)
    labels: dict[str, str] = msgspec.json.decode(run.labels, type=dict[str, str])
    return asked.visitor.scope.sees(labels)


def _list_runs(asked: Asked) -> object:
    query: RunsQuery = asked.query
    key = asked.visitor.key
    limit = max(1, min(query.limit, RUNS_MAX))
    found = runs.listed(
        asked.books.book,
        action=query.action,
        customer=query.customer,
        state=query.state,
        project=None if key is None else key.project,
        before=_before(query.cursor),
        limit=limit,
    )
    cursor = f"{found[-1].started_at_us}/{found[-1].id}" if len(found) == limit else None
    is_operator = asked.visitor.may(Right.READ)
    seen = [run for run in found if _may_see(asked, run)]
    documents = receipts.documents_of(asked.books.book, asked.books.lake, seen, for_operator=is_operator)
    return {"runs": [_untold(document) for document in documents], "cursor": cursor}


def _before(cursor: str | None) -> tuple[int, str] | None:
    if cursor is None:
        return None
    at, _, run = cursor.partition("/")
    if not at.isdigit() or not run:
        raise BadInput(f"Found the cursor {cursor[:60]!r}: give it as a former answer said.")
    return int(at), run


def _events(asked: Asked) -> object:
    return _Told(_seen(asked))


class _Told(Response):
    """A run's progress as server-sent events, from its beginning to its end."""

    def __init__(self, run: Run) -> None:
        super().__init__()
        self._run = run

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        workshop: Workshop = scope["app"].state.workshop
        runner = await workshop.runner()
        stream = StreamingResponse(_steps(runner, self._run), media_type="text/event-stream")
        await stream(scope, receive, send)


async def _steps(runner: Runner, run: Run) -> AsyncIterator[bytes]:
    last = None
    async for step in runner.progress.follow(run.id):
        last = step
        yield _event(step.kind, step.data)
    if last is None or not last.is_last:  # another process has it, or it is long done
        found = (await runner.result(run)).run
        is_awaited = found.ending == Ending.AWAITED and found.state is State.JUDGED
        kind = "awaited" if is_awaited else str(found.state)
        step = Step(kind, {"run": found.id, "ending": found.ending})
        yield _event(step.kind, step.data)


def _event(kind: str, data: Mapping[str, object]) -> bytes:
    return f"event: {kind}\ndata: {msgspec.json.encode(data).decode()}\n\n".encode()


ENDPOINTS = (
    Endpoint(
        "GET", "/api/actions", "list_actions", "Actions that can be run", Right.NOTHING, _list, narrows=True
    ),
    Endpoint(
        "GET",
        "/api/actions/{name}",
        "show_action",
        "One action: what it takes and gives, and what it costs",
        Right.NOTHING,
        _show,
        query=ActionQuery,
        narrows=True,
    ),
    Endpoint(
        "POST",
        "/api/actions/check",
        "check_action",
        "Everything that is wrong with an action file, by line",
        Right.READ,
        _check,
        takes=ActionFile,
    ),
    Endpoint(
        "POST",
        "/api/actions",
        "publish_action",
        "Publish an action: this version never changes",
        Right.MANAGE,
        _publish,
        takes=ActionFile,
        writes=True,
        status=201,
    ),
    Endpoint(
        "POST",
        "/api/actions/{name}/runs",
        "run_action",
        "Carry an action out: 200 with the run when it is done, 202 where it is not waited for",
        Right.RECORD,
        _run,
        takes=NewRun,
        narrows=True,
    ),
    Endpoint(
        "POST",
        "/v1/actions/{name}",
        "run_action_beside_models",
        "The same, at the base URL that a client of models has already",
        Right.RECORD,
        _run,
        takes=NewRun,
        narrows=True,
    ),
    Endpoint(
        "GET",
        "/api/runs",
        "list_runs",
        "Runs, the newest first",
        Right.NOTHING,
        _list_runs,
        query=RunsQuery,
        narrows=True,
    ),
    Endpoint(
        "GET",
        "/api/runs/{run}",
        "show_run",
        "One run, with its receipt",
        Right.NOTHING,
        _show_run,
        narrows=True,
    ),
    Endpoint(
        "GET",
        "/api/runs/{run}/events",
        "follow_run",
        "A run's progress, as server-sent events",
        Right.NOTHING,
        _events,
        narrows=True,
    ),
)
