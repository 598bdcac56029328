"""xAI: chat over gRPC drawn as JSON, voice sessions, and its REST API of OpenAI's shape.

Reasoning stands beside the completion; the charge that xAI names is kept beside the
computed cost.
"""

import re
from datetime import datetime
from decimal import Decimal

import msgspec

from flatfare.core.errors import Contradiction
from flatfare.core.usage import Count
from flatfare.dialects.dialect import Dialect, Route, StreamReader, read_lines
from flatfare.dialects.framing import JsonLines
from flatfare.dialects.leaves import Wire, count_of, rest_of, usage_of
from flatfare.dialects.openai_shape import read_request
from flatfare.dialects.reading import (
    NO_CONDITIONS,
    Asked,
    Conditions,
    Exchange,
    Part,
    Reading,
    free,
    unread,
)
from flatfare.dialects.xai_rest import REST_TRAPS, ROUTES, charge_of

_TOOLS = {
    # docs.x.ai/developers/pricing (2026-11); numbers are those of the protocol's enumeration.
    "WEB_SEARCH": "web_search",
    "IMAGE_SEARCH": "web_search",
    "X_SEARCH": "x_search",
    "CODE_EXECUTION": "code_execution",
    "COLLECTIONS_SEARCH": "collection_search",
    1: "web_search",
    2: "x_search",
    3: "code_execution",
    6: "collection_search",
}
_FREE_TOOLS = frozenset({"VIEW_IMAGE", "VIEW_X_VIDEO", "MCP", "INVALID", 0, 4, 5, 7})
"""Tools that cost their tokens alone."""

_OTHER_TOOLS = {8: "attachment_search"}
"""Tools with a fee and no unit of their own: calls under a condition that names them."""


class SamplingUsage(msgspec.Struct):
    """The counts of a completion over gRPC."""

    completion_tokens: Wire = None
    reasoning_tokens: Wire = None
    prompt_tokens: Wire = None
    total_tokens: Wire = None
    prompt_text_tokens: Wire = None
    cached_prompt_text_tokens: Wire = None
    prompt_image_tokens: Wire = None
    num_sources_used: Wire = None
    server_side_tools_used: list[str | int] | None = None
    cost_in_usd_ticks: str | int | None = None


class Completion(msgspec.Struct):
    """A completion over gRPC, or a chunk of it."""

    id: str | None = None
    created: str | None = None
    model: str | None = None
    usage: SamplingUsage | None = None
    service_tier: str | None = None


class _Deferred(msgspec.Struct):
    response: Completion | None = None


_decode = msgspec.json.Decoder(Completion).decode
_decode_deferred = msgspec.json.Decoder(_Deferred).decode
_FRACTION = re.compile(r"(\.\d{6})\d+")
_TIERS = {"SERVICE_TIER_PRIORITY": "priority", "SERVICE_TIER_DEFAULT": "standard"}


def whole_completion(body: bytes, exchange: Exchange) -> Reading:
    """Reads a completion over gRPC."""
    return _read(_decode(body), exchange)


def whole_deferred(body: bytes, exchange: Exchange) -> Reading:
    """Reads a deferred completion, which is empty until it is done."""
    answer = _decode_deferred(body).response
    return _read(answer, exchange) if answer else free("the completion is not done yet", exchange.asked.model)


def _read(answer: Completion, exchange: Exchange) -> Reading:
    usage = answer.usage
    model = answer.model or exchange.asked.model
    if usage is None or (usage.prompt_tokens is None and usage.completion_tokens is None):
        return unread("the completion has no usage", model)
    conditions = _conditions(answer.service_tier, exchange.asked)
    prompt, estimated = _prompt_leaves(usage)
    fees, others = _fees(usage)
    leaves: dict[str, Count] = {**prompt, **_answer_leaves(usage), **fees}
    parts = [Part(model, usage_of(**leaves), conditions, estimated=estimated)]
    for tool, calls in others.items():
        details = {**conditions.details, "tool": tool}
        named = Conditions(conditions.service_tier, conditions.region, details)
        parts.append(Part(model, usage_of(tool_call=calls), named))
    return Reading(
        parts=tuple(part for part in parts if part.usage),
        model=model,
        reason=None if parts[0].usage or others else "the completion counts no tokens",
        reported=charge_of(_ticks(usage.cost_in_usd_ticks)),
        created_at_us=_moment(answer.created),
        response_id=answer.id,
    )


def _conditions(tier: str | None, asked: Asked) -> Conditions:
    tier = _TIERS.get(tier or "") or asked.service_tier
    return Conditions(tier, asked.region) if tier or asked.region else NO_CONDITIONS


def _prompt_leaves(usage: SamplingUsage) -> tuple[dict[str, int], str | None]:
    """The prompt by text and pictures, cached and not, and a remark where more was cached than sent.

    With attachments and server tools xAI counts more cached tokens than the prompt has: all of the
    prompt is then taken as cached, and the cost is estimated.
    """
    prompt = count_of(usage.prompt_tokens, "prompt_tokens")
    image = count_of(usage.prompt_image_tokens, "prompt_image_tokens")
    cached = count_of(usage.cached_prompt_text_tokens, "cached_prompt_text_tokens")
    text = rest_of(prompt, "prompt_tokens", {"prompt_image_tokens": image})
    cached_text = min(cached, text)
    cached_image = min(cached - cached_text, image)
    leaves = {
        "input": text - cached_text,
        "cache_read": cached_text,
        "input_image": image - cached_image,
        "cache_read_image": cached_image,
    }
    if cached <= prompt:
        return leaves, None
    return (
        leaves,
        f"{cached} tokens are said to be cached of a prompt of {prompt}: all of it is taken as cached",
    )


def _answer_leaves(usage: SamplingUsage) -> dict[str, int]:
    prompt = count_of(usage.prompt_tokens, "prompt_tokens")
    completion = count_of(usage.completion_tokens, "completion_tokens")
    reasoning = count_of(usage.reasoning_tokens, "reasoning_tokens")
    total = count_of(usage.total_tokens, "total_tokens")
    if usage.total_tokens is not None and total != prompt + completion + reasoning:
        raise Contradiction(
            f"Found total_tokens {total}, which its parts do not add up to: prompt {prompt}, "
            f"completion {completion}, reasoning {reasoning}."
        )
    return {"output": completion, "reasoning": reasoning}


def _fees(usage: SamplingUsage) -> tuple[dict[str, int], dict[str, int]]:
    """Calls of tools with units of their own, and of the others by name."""
    fees = {"search_source": count_of(usage.num_sources_used, "num_sources_used")}
    others: dict[str, int] = {}
    for tool in usage.server_side_tools_used or ():
        name = tool.removeprefix("SERVER_SIDE_TOOL_") if isinstance(tool, str) else tool
        if (unit := _TOOLS.get(name)) is not None:
            fees[unit] = fees.get(unit, 0) + 1
        elif name not in _FREE_TOOLS:
            other = _OTHER_TOOLS.get(name, str(name).lower()) if isinstance(name, int) else name.lower()
            others[other] = others.get(other, 0) + 1
    return fees, others


def _ticks(ticks: str | int | None) -> int | None:
    """The charge in ticks, which JSON of a protocol buffer writes as text."""
    if isinstance(ticks, str):
        if not ticks.isdecimal() or len(ticks) > 18:
            raise Contradiction(
                f"Found {ticks[:40]!r} for cost_in_usd_ticks: a charge is a whole number of ticks."
            )
        return int(ticks)
    return ticks


def _moment(created: str | None) -> int | None:
    """Microseconds since 1970 of a moment written with nanoseconds; None where it is no such."""
    try:
        moment = datetime.fromisoformat(_FRACTION.sub(r"\1", created or ""))
    except ValueError:
        return None
    if moment.tzinfo is None:
        return None
    return int(moment.timestamp()) * 1_000_000 + moment.microsecond


class ChunkReader:
    """Keeps the latest counts of a stream, which are cumulative, and what its chunks say once."""

    __slots__ = ("_answer", "_exchange")

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._answer = Completion()

    def event(self, name: str, data: bytes) -> None:
        chunk = _decode(data)
        for field in Completion.__struct_fields__:
            value = getattr(chunk, field)
            if value is not None:
                setattr(self._answer, field, value)

    def finish(self) -> Reading:
        return _read(self._answer, self._exchange)


def stream_completion(exchange: Exchange) -> StreamReader:
    """Reads the chunks of a completion over gRPC."""
    return ChunkReader(exchange)


class _VoiceUsage(msgspec.Struct):
    billable_audio_seconds: Wire = None


class _VoiceSession(msgspec.Struct):
    model: str | None = None


class _VoiceEvent(msgspec.Struct):
    type: str | None = None
    session: _VoiceSession | None = None
    usage: _VoiceUsage | None = None


_decode_voice = msgspec.json.Decoder(_VoiceEvent).decode


class VoiceReader:
    """Keeps the billable seconds of a voice session, which xAI counts up from its start."""

    __slots__ = ("_exchange", "_model", "_seconds")

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._model: str | None = None
        self._seconds: Decimal | None = None

    def event(self, name: str, data: bytes) -> None:
        event = _decode_voice(data)
        if event.session is not None and event.session.model:
            self._model = event.session.model
        if event.usage is not None and event.usage.billable_audio_seconds is not None:
            seconds = Decimal(str(event.usage.billable_audio_seconds))
            if seconds < 0 or seconds > 10**7:
                raise Contradiction(f"Found billable_audio_seconds {seconds}: no session is that long.")
            self._seconds = max(seconds, self._seconds or seconds)

    def finish(self) -> Reading:
        model = self._model or self._exchange.asked.model
        if not self._seconds:
            return unread("the session counts no billable seconds: they come with each answer", model)
        region = self._exchange.asked.region
        seconds = usage_of(session_second=self._seconds)
        return Reading(parts=(Part(model, seconds, Conditions(None, region)),), model=model)


def stream_voice(exchange: Exchange) -> StreamReader:
    """Reads the events of a voice session."""
    return VoiceReader(exchange)


def whole_voice(body: bytes, exchange: Exchange) -> Reading:
    """Reads a voice session that was recorded, an event on each line."""
    return read_lines(VoiceReader(exchange), body)


_ALL_ROUTES = (
    Route(
        "chat.grpc",
        r"xai_api\.Chat/GetCompletion",
        whole=whole_completion,
        methods=("POST", "GRPC"),
        marks={"usage.prompt_text_tokens": None, "outputs": None},
    ),
    Route(
        "chat.grpc.stream",
        r"xai_api\.Chat/GetCompletionChunk",
        whole=whole_completion,
        stream=stream_completion,
        framing=JsonLines,
        methods=("POST", "GRPC"),
        stream_marks={"usage.prompt_text_tokens": None, "outputs": None},
    ),
    Route(
        "chat.grpc.deferred",
        r"xai_api\.Chat/GetDeferredCompletion",
        whole=whole_deferred,
        methods=("POST", "GRPC"),
    ),
    Route(
        "chat.grpc.deferred.start",
        r"xai_api\.Chat/StartDeferredCompletion",
        methods=("POST", "GRPC"),
        free="a deferred completion is billed when it is done",
        starts="a deferred completion",
    ),
    Route(
        "realtime",
        r"v1/realtime",
        whole=whole_voice,
        stream=stream_voice,
        framing=JsonLines,
        methods=("GET", "WS"),
        marks={"type": "session.created", "session.model": "grok", "event_id": None},
        stream_marks={"type": "session.created", "session.model": "grok", "event_id": None},
    ),
    *ROUTES,
)

TRAPS = """
- Over gRPC `reasoning_tokens` stand beside `completion_tokens`; `prompt_tokens` include pictures and what was
  cached. With attachments and server tools more may be cached than the prompt has: all of it is then taken as
  cached, and the cost is estimated.
- Another model than the one asked for may serve: its name is in the answer.
- Chunks of a stream repeat cumulative counts: the last ones hold.
- Tools that ran are listed by name; each search has its fee, looking at pictures and MCP cost their tokens.
- A voice session is billed by its seconds, which every answer counts up from the session's start: the last
  ones hold, and tokens are not billed.
""" + REST_TRAPS.lstrip("\n")

DIALECT = Dialect(
    provider="xai",
    also=("x-ai", "grok", "xai-grpc", "xai-realtime"),
    hosts=(r"api\.x\.ai", r"(?P<region>[a-z0-9-]+)\.api\.x\.ai"),
    routes=_ALL_ROUTES,
    read_request=read_request,
    traps=TRAPS,
)
