"""One way to do each thing over HTTP: an endpoint names its path, what it takes and gives, and for whom.

The routes and the OpenAPI document are both made from the same list, so that neither can
say what the other does not.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypedDict

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from flatfare.core.errors import BadInput
from flatfare.web.access import Door, Right, Visitor
from flatfare.web.desk import Books, Desk

BODY_BYTES_MAX = 16 * 1024 * 1024
SIGNED_BYTES_MAX = 1024 * 1024
SENDER = Visitor("the sender of a message", Right.NOTHING)


class NoQuery(msgspec.Struct, forbid_unknown_fields=True):
    """An endpoint that takes no parameters."""


class OnRecord(TypedDict):
    """When, by whom and why: what is put on record with every change."""

    at_us: int
    by_whom: str
    reason: str | None


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, read and checked."""

    visitor: Visitor
    books: Books
    path: Mapping[str, str]
    query: Any  # of the endpoint's type
    body: Any  # of the endpoint's type, or None
    headers: Mapping[str, str] = field(default_factory=dict)  # by lower-case name

    def on_record(self, reason: str | None) -> OnRecord:
        """What is put on record with a change that this request makes."""
        return {"at_us": self.books.now_us, "by_whom": self.visitor.name, "reason": reason}


@dataclass(frozen=True, slots=True)
class Signed:
    """A message as it came."""

    headers: Mapping[str, str]  # by lower-case name
    body: bytes


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One thing that can be done."""

    method: str
    path: str
    name: str  # the operation's id
    summary: str
    right: Right
    answer: Callable[[Asked], object]  # runs in a thread of the desk; its errors are problem documents
    query: type[msgspec.Struct] = NoQuery
    takes: type | None = None
    gives: type = dict
    writes: bool = False
    status: int = 200
    is_signed: bool = False  # no visitor: a message is believed for its signature; ``body`` is ``Signed``
    narrows: bool = False  # heeds the visitor's scope; where it does not, only who sees everything may ask


def route(endpoint: Endpoint, desk: Desk, door: Door) -> Route:
    """The endpoint as Starlette serves it."""

    async def serve(request: Request) -> Response:
        if not endpoint.is_signed:
            door.check_origin(request)
        read = await _read(endpoint, request)

        def answered(books: Books) -> object:
            visitor = SENDER if endpoint.is_signed else door.visitor(request, books)
            visitor.require(endpoint.right)
            if not endpoint.narrows:
                visitor.require_whole("This")
            if isinstance(read, BadInput):  # said only to who may ask at all
                raise read
            query, body = read
            given = dict(request.headers)
            return endpoint.answer(Asked(visitor, books, request.path_params, query, body, given))

        answer = await desk.ask(answered, writes=endpoint.writes)
        if isinstance(answer, Response):
            return answer
        return Response(msgspec.json.encode(answer), endpoint.status, None, "application/json")

    return Route(endpoint.path, serve, methods=[endpoint.method], name=endpoint.name)


async def _read(endpoint: Endpoint, request: Request) -> tuple[msgspec.Struct, object] | BadInput:
    """Parameters and body, or why they cannot be read."""
    try:
        query = _query(endpoint, request)
        body = await (_signed(request) if endpoint.is_signed else _body(endpoint, request))
    except BadInput as problem:
        return problem
    return query, body


def _query(endpoint: Endpoint, request: Request) -> msgspec.Struct:
    given: dict[str, object] = {}
    lists = {field.encode_name for field in msgspec.structs.fields(endpoint.query) if _is_list(field.type)}
    for name, value in request.query_params.multi_items():
        if name in lists:
            held = given.setdefault(name, [])
            assert isinstance(held, list)
            held.append(value)
        elif name in given:
            raise BadInput(f"Found the parameter {name!r} more than once: it is given once.")
        else:
            given[name] = value
    try:
        return msgspec.convert(given, endpoint.query, strict=False)
    except msgspec.ValidationError as problem:
        known = ", ".join(field.encode_name for field in msgspec.structs.fields(endpoint.query)) or "none"
        raise BadInput(f"The parameters cannot be read: {problem}. Known: {known}.") from None


def _is_list(kind: object) -> bool:
    return getattr(kind, "__origin__", None) in (list, tuple)


async def _signed(request: Request) -> Signed:
    """A message of somebody who has proven nothing yet: read no further than one may be long."""
    parts, length = [], 0
    async for part in request.stream():
        length += len(part)
        if length > SIGNED_BYTES_MAX:
            raise BadInput(f"Found a message of more than {SIGNED_BYTES_MAX} bytes.")
        parts.append(part)
    return Signed(dict(request.headers), b"".join(parts))


async def _body(endpoint: Endpoint, request: Request) -> object:
    if endpoint.takes is None:
        return None
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise BadInput(
            f"Found a body of type {kind or 'unsaid'!r}: send JSON, Content-Type: application/json."
        )
    raw = await request.body()
    if len(raw) > BODY_BYTES_MAX:
        raise BadInput(f"Found a body of {len(raw)} bytes: at most {BODY_BYTES_MAX}. Send it in parts.")
    try:
        return msgspec.json.decode(raw, type=endpoint.takes)
    except (msgspec.DecodeError, UnicodeDecodeError) as problem:
        raise BadInput(f"The body cannot be read: {problem}.") from None
