"""Whose things at a provider are: what a key made through the operator's credential only that key may use.

Files, batches, kept answers and conversations are named in paths and in bodies. A list of
all of them is refused: it would show everybody's. What nobody made through this gateway
(by the operator, or before) can be named in a body or fetched as an answer by whoever
knows its id, unless that is set to be refused; a file or batch cannot be fetched.
"""

import re
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from concurrent.futures import Executor, Future
from fnmatch import fnmatchcase
from urllib.parse import unquote

import msgspec

from flatfare.dialects.dialect import Route
from flatfare.store import made_things
from flatfare.store.book import Book

NAMED_MAX = 256  # things that one request may name
CACHED_MAX = 50_000
_FREE = "keeping it is free, or billed apart from calls"

_OPENAI = (
    Route("files", "v1/files(?:/[^/]+)?", methods=("GET", "POST", "DELETE"), free=_FREE),
    Route("uploads", "v1/uploads(?:/[^/]+/(?:parts|complete|cancel))?", free=_FREE),
    Route("responses.delete", "v1/responses/[^/]+", methods=("DELETE",), free=_FREE),
    Route(
        "conversations",
        "v1/conversations(?:/[^/]+(?:/items(?:/[^/]+)?)?)?",
        methods=("GET", "POST", "DELETE"),
        free=_FREE,
    ),
)
PASSED: Mapping[str, tuple[Route, ...]] = {
    "openai": _OPENAI,
    "azure": tuple(
        msgspec.structs.replace(route, path=route.path.replace("v1/", "openai/(?:v1/)?", 1))
        for route in _OPENAI
    ),
    "groq": tuple(msgspec.structs.replace(route, path=f"openai/{route.path}") for route in _OPENAI[:1]),
    "mistral": _OPENAI[:1],
    "anthropic": (
        Route("models", "v1/models(?:/[^/]+)?", methods=("GET",), free="listing models is free"),
        Route("files", "v1/files(?:/[^/]+(?:/content)?)?", methods=("GET", "POST", "DELETE"), free=_FREE),
        Route(
            "messages.batches",
            "v1/messages/batches(?:/[^/]+(?:/cancel)?)?",
            methods=("GET", "POST", "DELETE"),
            free="a batch is billed by its results",
        ),
    ),
    "gemini": (
        Route("files", r"v1\w*/files(?:/[^/:]+)?", methods=("GET", "DELETE"), free=_FREE),
        Route(
            "batches", r"v1\w*/batches(?:/[^/:]+(?::cancel)?)?", methods=("GET", "POST", "DELETE"), free=_FREE
        ),
    ),
}
"""Endpoints that keep things at the provider, beside those that the dialects meter."""

_KINDS = (
    "files|batches|uploads|responses|conversations|containers|threads|assistants|vector_stores|interactions"
)
_THING = re.compile(rf"/(?P<kind>{_KINDS})(?:/(?P<id>[^/:]+))?(?P<rest>[/:].*)?$")
_KEPT_APART = ("files", "batches", "uploads", "containers", "vector_stores")
_NO_ID = ("compact", "input_tokens", "runs")  # verbs that stand where an id would

_URIS = frozenset(("fileUri", "file_uri", "cachedContent", "cached_content", "fileName", "file_name"))
_AT_TOP = frozenset(
    (
        *("input_file_id", "training_file", "validation_file", "previous_response_id", "conversation"),
        *("assistant_id", "thread_id", "previous_interaction_id"),
    )
)
_ANYWHERE = _URIS | {"file_id", "file_ids", "vector_store_ids", "container", "container_id"}
_FIELDS = _AT_TOP | _ANYWHERE
_CLIENTS_OWN = frozenset(
    (
        *(
            "metadata",
            "parameters",
            "parametersJsonSchema",
            "input_schema",
            "inputSchema",
            "schema",
            "json_schema",
        ),
        *("arguments", "args", "functionResponse", "toolUse"),
    )
)
"""What a client fills as it likes, and the provider does not read as names of things."""
_NAMES_THINGS = re.compile(rb'"(?:' + "|".join(sorted(_FIELDS)).encode() + rb')"\s*:')


def is_list(method: str, plain_path: str) -> bool:
    """Whether a request would list everybody's things."""
    found = _THING.search(plain_path)
    return found is not None and method == "GET" and not found["id"] and not found["rest"]


def is_kept_apart(plain_path: str) -> bool:
    """Whether a path asks for a file or batch itself: one that nobody here made is not given out."""
    found = _THING.search(plain_path)
    return found is not None and found["kind"] in _KEPT_APART and bool(found["id"])


def thing_in(plain_path: str) -> tuple[str, str | None]:
    """The id of the thing that a path names, and what is done with it."""
    found = _THING.search(plain_path)
    if found is None:
        return "", None
    return unquote(found["id"] or ""), (found["rest"] or "").strip("/") or None


def makes(method: str, plain_path: str) -> bool:
    """Whether an answer to this request may name a thing that it made."""
    if method != "POST":
        return False
    found = _THING.search(plain_path)
    if found is None:
        return ":batchGenerateContent" in plain_path
    return (
        not found["id"] or found["id"] in _NO_ID or (found["rest"] or "").strip("/") in ("complete", "runs")
    )


def named_things(plain_path: str, body: bytes) -> list[str]:
    """The ids of the things that a request names, in its path and in its body."""
    named: dict[str, None] = {}
    found = _THING.search(plain_path)
    if found is not None and found["id"] and found["id"] not in _NO_ID:
        named[unquote(found["id"])] = None
    # A name may hide behind escapes; to look for one byte first is many times faster.
    is_escaped = b"\\" in body and b"\\u00" in body
    if is_escaped or _NAMES_THINGS.search(body):
        try:
            decoded = msgspec.json.decode(body)
            fields = decoded.items() if isinstance(decoded, dict) else ()
            top = (thing for name, value in fields if name in _AT_TOP for thing in _ids_of(name, value))
            named.update(dict.fromkeys((*top, *_in_value(decoded))))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            pass  # no JSON: the provider finds nothing in it either
    return list(named)


def not_shared(things: list[str], shared: tuple[str, ...]) -> list[str]:
    """Those of the things that the operator has not shared with every key."""
    return [thing for thing in things if not any(fnmatchcase(thing, pattern) for pattern in shared)]


def _in_value(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            if name in _ANYWHERE:
                yield from _ids_of(name, inner)
            if name not in _CLIENTS_OWN:
                yield from _in_value(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _in_value(inner)


def _ids_of(name: str, value: object) -> Iterator[str]:
    if isinstance(value, str):
        if name not in _URIS:
            yield value
        elif value.startswith(("files/", "cachedContents/", "batches/")) or "googleapis.com/" in value:
            yield value.rstrip("/").rpartition("/")[2]
    elif isinstance(value, list):
        yield from (one for one in value if isinstance(one, str))
    elif isinstance(value, dict) and isinstance(value.get("id"), str):
        yield value["id"]


class _Answer(msgspec.Struct):
    id: str | None = None
    name: str | None = None  # Google's: files/abc
    response: "_Answer | None" = None  # within the first event of a stream
    file: "_Answer | None" = None
    conversation: "_Answer | str | None" = None
    output_file_id: str | None = None  # of a batch: where its answers are
    error_file_id: str | None = None


_decode_answer = msgspec.json.Decoder(_Answer).decode


def made_in(answer: bytes) -> list[str]:
    """The ids of what an answer, or the first event of a stream, says was made."""
    start = answer.find(b"{")
    if start < 0:
        return []
    if start:  # an event of a stream: its first line of data
        answer = answer[start:].partition(b"\n")[0]
    try:
        said = _decode_answer(answer)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return []
    found = []
    for one in (said, said.response, said.file, said.conversation):
        if isinstance(one, _Answer):
            name = one.id or (one.name or "").rpartition("/")[2]
            found += [made for made in (name, one.output_file_id, one.error_file_id) if made]
    return found


class Owners:
    """Who owns what, as one worker knows it: its memory, and the book behind it."""

    def __init__(self, book: Book, thread: Executor) -> None:
        self._book = book
        self._thread = thread  # where the book is open
        self._known: OrderedDict[tuple[str, str], str] = OrderedDict()

    def add(self, provider: str, things: list[str], key_id: str, at_us: int) -> "Future[None]":
        """Keep that the key made these; done when the book has it."""
        for thing in things:
            self._remember(provider, thing, key_id)
        rows = [(provider, thing, key_id, at_us) for thing in things]
        return self._thread.submit(made_things.insert, self._book, rows)

    def all_known(self, provider: str, things: list[str], key_id: str) -> bool:
        """Whether memory alone says that all of these are the key's."""
        return all(self._known.get((provider, thing)) == key_id for thing in things)

    def is_anothers(self, provider: str, things: list[str], key_id: str) -> bool:
        """Whether memory says that any of these is another key's."""
        return any(self._known.get((provider, thing), key_id) != key_id for thing in things)

    def ask(self, provider: str, things: list[str]) -> "Future[Mapping[str, str]]":
        """The owners that the book knows."""
        return self._thread.submit(made_things.owners, self._book, provider, things)

    def learn(self, provider: str, owners: Mapping[str, str]) -> None:
        """Remember what the book said."""
        for thing, key_id in owners.items():
            self._remember(provider, thing, key_id)

    def _remember(self, provider: str, thing: str, key_id: str) -> None:
        self._known.setdefault((provider, thing), key_id)
        if len(self._known) > CACHED_MAX:
            self._known.popitem(last=False)
