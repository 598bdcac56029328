"""OpenAI's Responses: usage of the model beside the fees of the tools it ran.

The fees stand nowhere as amounts: each is counted from the items of the output, or
from the provider's own count where the answer has one.
"""

from collections.abc import Callable, Mapping
from typing import Generic, TypeVar, cast

import msgspec

from flatfare.core.usage import Usage
from flatfare.dialects.dialect import Route, StreamReader
from flatfare.dialects.leaves import Wire, count_of, usage_from, usage_of
from flatfare.dialects.openai_pictures import ImageUsage, image_leaves, picture_part
from flatfare.dialects.openai_shape import (
    CompletionDetails,
    PromptDetails,
    Stamp,
    TextSeen,
    completion_leaves,
    conditions_of,
    moment_of,
    prompt_leaves,
)
from flatfare.dialects.reading import Conditions, Exchange, Part, Reading, Reported, free, unread

Fields = Mapping[str, object]


class ResponseUsage(msgspec.Struct):
    """The usage object of a response."""

    input_tokens: Wire = None
    output_tokens: Wire = None
    total_tokens: Wire = None
    input_tokens_details: PromptDetails | None = None
    output_tokens_details: CompletionDetails | None = None


class ResponseBody(msgspec.Struct):
    """What the meter reads of a response; what its tools did is looked at only where there are any."""

    id: str | None = None
    model: str | None = None
    created_at: Stamp = None
    service_tier: str | None = None
    status: str | None = None
    background: bool | None = None
    usage: ResponseUsage | None = None
    output: msgspec.Raw = msgspec.Raw()
    tools: msgspec.Raw = msgspec.Raw()
    tool_usage: msgspec.Raw = msgspec.Raw()
    error: msgspec.Raw = msgspec.Raw()


def response_usage(usage: ResponseUsage | None) -> Usage | None:
    """The leaves of the model's own tokens; None where there are none on the wire."""
    if usage is None or (usage.input_tokens is None and usage.output_tokens is None):
        return None
    prompt = count_of(usage.input_tokens, "input_tokens")
    completion = count_of(usage.output_tokens, "output_tokens")
    return usage_from(
        prompt_leaves(prompt, usage.input_tokens_details, "input_tokens"),
        completion_leaves(completion, usage.output_tokens_details, "output_tokens"),
    )


R = TypeVar("R", bound=ResponseBody)


class ResponsesShape(Generic[R]):
    """Readers of one provider's responses."""

    def __init__(
        self,
        body: type[R],
        usage: Callable[[R], Usage | None] = lambda body: response_usage(body.usage),
        reported: Callable[[R], Reported | None] | None = None,
        fees: "Callable[[R, Exchange, Part], tuple[Part, ...]] | None" = None,
    ) -> None:
        self.usage = usage
        self.reported = reported
        self.fees = fees if fees is not None else tool_fees
        self.decode = msgspec.json.Decoder(body).decode
        event = msgspec.defstruct(
            "ResponseEvent",
            [
                ("type", str | None, None),
                ("response", body | None, None),
                ("delta", msgspec.Raw, msgspec.Raw()),
            ],
        )
        self.decode_event: Callable[[bytes], ResponseEvent] = cast(
            "Callable[[bytes], ResponseEvent]", msgspec.json.Decoder(event).decode
        )

    def whole(self, body: bytes, exchange: Exchange) -> Reading:
        """Reads a response."""
        return self.reading(self.decode(body), exchange)

    def looked_at(self, body: bytes, exchange: Exchange) -> Reading:
        """Reads a response that was fetched by its id."""
        return _looked_at(self.reading(self.decode(body), exchange), self.decode(body))

    def stream(self, exchange: Exchange) -> StreamReader:
        """Reads the events of a response."""
        return ResponseStream(self, exchange)

    def stream_looked_at(self, exchange: Exchange) -> StreamReader:
        """Reads the events of a response that was fetched by its id."""
        return ResponseStream(self, exchange, is_looked_at=True)

    def reading(self, answer: R, exchange: Exchange) -> Reading:
        asked = exchange.asked
        model = answer.model or asked.model
        usage = self.usage(answer)
        if usage is None:
            return _without_usage(answer, exchange, model)
        part = Part(model, usage, conditions_of(answer.service_tier, asked))
        has_tools = b"_call" in bytes(answer.output) or bytes(answer.tool_usage) not in (b"", b"null")
        parts = self.fees(answer, exchange, part) if has_tools else (part,)
        return Reading(
            parts=parts,
            model=model,
            reported=self.reported(answer) if self.reported is not None else None,
            created_at_us=moment_of(answer.created_at),
            response_id=_kept_id(answer),
        )


class ResponseEvent(msgspec.Struct):
    """One event of a streamed response."""

    type: str | None = None
    response: ResponseBody | None = None
    delta: msgspec.Raw = msgspec.Raw()


_STATUS_REASON = {
    "queued": "the response is queued: its usage comes when it is fetched after it has completed",
    "in_progress": "the response is in progress: its usage comes when it is fetched after it has completed",
    "cancelled": "the response was cancelled and has no usage: the provider's bill shows what it cost",
}


_UNDER_WAY = ("queued", "in_progress")


def _kept_id(answer: ResponseBody) -> str | None:
    """The id under which the answer is fetched, and billed once: one that runs in the background."""
    return answer.id if answer.background else None


def _without_usage(answer: ResponseBody, exchange: Exchange, model: str | None) -> Reading:
    if answer.status == "failed" or (answer.status is None and bytes(answer.error) not in (b"", b"null")):
        reading = free("the response failed and has no usage: providers bill no failed request", model)
    else:
        reading = unread(_STATUS_REASON.get(answer.status or "", "the answer has no usage"), model)
    created_us = moment_of(answer.created_at)
    return msgspec.structs.replace(reading, created_at_us=created_us, response_id=_kept_id(answer))


def _looked_at(reading: Reading, answer: ResponseBody) -> Reading:
    """A response fetched again: only a background one shows its usage for the first time, once it is done."""
    if answer.status in _UNDER_WAY and not reading.parts:
        return _only_a_look(reading, "a look at a response under way")
    if answer.background or not reading.parts:
        return reading
    return _only_a_look(reading, "a later look at a response, whose usage was billed when it was made")


def _only_a_look(reading: Reading, reason: str) -> Reading:
    """What costs nothing, and tells nothing of what the response costs."""
    return msgspec.structs.replace(
        free(reason, reading.model), created_at_us=reading.created_at_us, response_id=None
    )


_ENDS = ("response.completed", "response.incomplete", "response.failed")


class ResponseStream(Generic[R]):
    """Usage of a streamed response: in the event that ends it, whichever way it ends."""

    __slots__ = ("_answer", "_exchange", "_is_looked_at", "_shape", "_started", "_text")

    def __init__(self, shape: ResponsesShape[R], exchange: Exchange, is_looked_at: bool = False) -> None:
        self._shape = shape
        self._exchange = exchange
        self._is_looked_at = is_looked_at
        self._started: R | None = None
        self._answer: R | None = None
        self._text = TextSeen()

    def event(self, name: str, data: bytes) -> None:
        if data == b"[DONE]":
            return
        event = self._shape.decode_event(data)
        if event.response is not None:
            answer = cast("R", event.response)
            self._started = self._started or answer
            # Some hosts end their streams with an event of their own: usage tells it.
            if event.type in _ENDS or answer.usage is not None:
                self._answer = answer
        elif event.delta and (event.type or "").endswith("delta") and "audio" not in (event.type or ""):
            self._text.keep(bytes(event.delta))

    def finish(self) -> Reading:
        if self._answer is not None:
            reading = self._shape.reading(self._answer, self._exchange)
            return _looked_at(reading, self._answer) if self._is_looked_at else reading
        started = self._started
        reading = Reading(
            parts=(),
            model=(started.model if started else None) or self._exchange.asked.model,
            reason="the stream was cut before its usage came",
            is_complete=False,
            created_at_us=moment_of(started.created_at) if started else None,
            text_seen=self._text.joined(),
            response_id=_kept_id(started) if started else None,
        )
        if self._is_looked_at:
            return _only_a_look(reading, "a look at a response, cut before its usage came")
        return reading


def tool_fees(answer: ResponseBody, exchange: Exchange, part: Part) -> tuple[Part, ...]:
    """The part with the fees of OpenAI's own tools, and pictures drawn as a part of their own.

    A web search is billed for each search, not for opening or reading a page; a
    sandbox for each container opened; MCP, computer use and tool search for their tokens
    only (developers.openai.com/api/docs/pricing and guides/tools-web-search, 2026-11).
    """
    items = _objects(answer.output)
    tools = {str(tool.get("type")): tool for tool in _objects(answer.tools)}
    counts = {
        "web_search": _searches(answer, items),
        "file_search": sum(item.get("type") == "file_search_call" for item in items),
        "code_session": _containers(items, tools),
    }
    conditions = part.conditions
    if found := _tool_details(counts, tools):
        conditions = Conditions(conditions.service_tier, conditions.region, {**conditions.details, **found})
    charged = Part(part.model, part.usage + usage_of(**counts), conditions, part.provider)
    return (charged, *_pictures(answer, items, tools.get("image_generation", {})))


def _objects(raw: msgspec.Raw) -> list[Fields]:
    value = msgspec.json.decode(raw) if raw else None
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _tool_usage(answer: ResponseBody, name: str) -> Fields:
    value = msgspec.json.decode(answer.tool_usage) if answer.tool_usage else None
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, dict) else {}


def _searches(answer: ResponseBody, items: list[Fields]) -> int:
    counted = _tool_usage(answer, "web_search").get("num_requests")
    if isinstance(counted, int):
        return count_of(counted, "tool_usage.web_search.num_requests")
    searches = 0
    for item in items:
        if item.get("type") == "web_search_call":
            action = item.get("action")
            kind = action.get("type") if isinstance(action, dict) else None
            searches += kind in (None, "search")
    return searches


def _containers(items: list[Fields], tools: Mapping[str, Fields]) -> int:
    """Containers that this response opened: one named in the request was paid for when it was made."""
    if isinstance(tools.get("code_interpreter", {}).get("container"), str):
        return 0
    return len({item.get("container_id") for item in items if item.get("type") == "code_interpreter_call"})


def _tool_details(counts: Mapping[str, int], tools: Mapping[str, Fields]) -> dict[str, str]:
    details = {}
    if counts["web_search"] and any(name.startswith("web_search_preview") for name in tools):
        details["web_search"] = "preview"
    container = tools.get("code_interpreter", {}).get("container")
    if counts["code_session"] and isinstance(container, dict):
        memory = container.get("memory_limit")
        if isinstance(memory, str) and memory != "1g":
            details["container_memory"] = memory
    return details


def _pictures(answer: ResponseBody, items: list[Fields], tool: Fields) -> tuple[Part, ...]:
    """Pictures drawn by a model of their own, with tokens of their own beside the response's."""
    model = str(tool.get("model") or "gpt-image-1")
    counted = _tool_usage(answer, "image_gen")
    if counted.get("total_tokens"):
        return (Part(model, image_leaves(msgspec.convert(counted, ImageUsage))),)
    made = [item for item in items if item.get("type") == "image_generation_call" and item.get("result")]
    return tuple(picture_part(model, str(item.get("quality")), str(item.get("size"))) for item in made)


def responses_routes(shape: ResponsesShape[R], prefix: str = "v1/") -> tuple[Route, ...]:
    """The routes of responses: made, compacted, counted, fetched again, cancelled."""
    marks = {"object": "response", "output": None, "status": None}
    return (
        Route(
            endpoint="responses.input_tokens",
            path=f"{prefix}responses/input_tokens",
            free="counting tokens is free",
        ),
        Route(
            endpoint="responses.compact",
            path=f"{prefix}responses/compact",
            whole=shape.whole,
            marks={"object": "response.compaction"},
        ),
        Route(
            endpoint="responses.cancel",
            path=f"{prefix}responses/[^/]+/cancel",
            whole=shape.looked_at,
        ),
        Route(
            endpoint="responses",
            path=f"{prefix}responses",
            whole=shape.whole,
            stream=shape.stream,
            marks=marks,
            stream_marks={"type": "response.", "response.object": "response"},
        ),
        Route(
            endpoint="responses.retrieve",
            path=f"{prefix}responses/[^/]+",
            whole=shape.looked_at,
            stream=shape.stream_looked_at,
            methods=("GET",),
        ),
        Route(
            endpoint="responses.items",
            path=f"{prefix}responses/[^/]+/input_items",
            methods=("GET",),
            free="listing what was sent is free",
        ),
    )
