"""The shape of Anthropic's Messages, wherever Claude is served, and how it is billed.

``input_tokens`` leaves the cache out, so prompt leaves stand beside each other;
``output_tokens`` includes thinking. Where ``iterations`` are given they are the record
of what is billed: each at the rates of the model that ran it.
"""

from collections.abc import Sequence
from itertools import groupby

import msgspec

from flatfare.core.errors import Contradiction
from flatfare.core.usage import Usage
from flatfare.dialects.dialect import StreamReader
from flatfare.dialects.leaves import Wire, count_of, rest_of, usage_of
from flatfare.dialects.openai_shape import TextSeen
from flatfare.dialects.parts import merged
from flatfare.dialects.reading import Asked, Conditions, Exchange, Part, Reading, free, unread

LONG_PROMPT = 100_000
"""The lowest threshold above which Claude bills a prompt at long-context rates (Haiku 5.5; 200,000 for
Sonnet 4 and 4.5; 2026-11)."""

BILLED_REFUSALS = frozenset({"bio", "frontier_llm", "reasoning_extraction"})
"""Categories of refusal that are billed although no output came
(platform.claude.com/docs/en/build-with-claude/refusals-and-fallback, 2026-09-26)."""

REFUSALS_BILLED_FROM_US = 1_790_208_000_000_000
"""2026-09-24 UTC: before it no refusal before any output was billed (Claude models page, 2026-09-26)."""


class CacheCreation(msgspec.Struct, gc=False):
    """Tokens written to the cache by their time to live."""

    ephemeral_5m_input_tokens: Wire = None
    ephemeral_1h_input_tokens: Wire = None


class Counts(msgspec.Struct):
    """What one sampling read and wrote."""

    input_tokens: Wire = None
    output_tokens: Wire = None
    cache_creation_input_tokens: Wire = None
    cache_read_input_tokens: Wire = None
    cache_creation: CacheCreation | None = None


class Iteration(Counts):
    """One sampling of a call: an answer, a compaction, an advisor's advice, a fallback's answer."""

    type: str | None = None
    model: str | None = None


class OutputDetails(msgspec.Struct, gc=False):
    """Parts of the output."""

    thinking_tokens: Wire = None


class ServerTools(msgspec.Struct, gc=False):
    """Requests of tools that Anthropic runs itself."""

    web_search_requests: Wire = None
    web_fetch_requests: Wire = None
    code_execution_requests: Wire = None


class MessageUsage(Counts):
    """The usage object of a message, of ``message_start`` and of ``message_delta``."""

    output_tokens_details: OutputDetails | None = None
    server_tool_use: ServerTools | None = None
    service_tier: str | None = None
    inference_geo: str | None = None
    speed: str | None = None
    iterations: list[Iteration] | None = None


class Trigger(msgspec.Struct):
    """Why one model handed over to another."""

    category: str | None = None


class Block(msgspec.Struct):
    """A block of content, as far as billing needs it: whether it is there, and where a fallback began."""

    type: str | None = None
    trigger: Trigger | None = None


class StopDetails(msgspec.Struct):
    """Why the answer stopped."""

    category: str | None = None


class Message(msgspec.Struct):
    """A whole message."""

    id: str | None = None
    type: str | None = None
    model: str | None = None
    content: list[Block] | None = None
    stop_reason: str | None = None
    stop_details: StopDetails | None = None
    usage: MessageUsage | None = None


class RequestBody(msgspec.Struct):
    """What the meter reads of a request."""

    model: str | None = None
    stream: bool | None = None
    max_tokens: int | None = None
    speed: str | None = None
    system: msgspec.Raw = msgspec.Raw()
    messages: msgspec.Raw = msgspec.Raw()


_decode_request = msgspec.json.Decoder(RequestBody).decode


def read_request(body: bytes, path: str) -> Asked:
    """What a request for a message asked."""
    request = _decode_request(body)
    tier = "fast" if request.speed == "fast" else None
    return Asked(
        model=request.model,
        is_stream=bool(request.stream),
        service_tier=tier,
        output_limit=request.max_tokens,
    )


def read_message(message: Message, exchange: Exchange) -> Reading:
    """The reading of a message that is complete."""
    usage = message.usage
    model = message.model or exchange.asked.model
    if usage is None or (usage.input_tokens is None and usage.output_tokens is None and not usage.iterations):
        if message.type == "error":
            return free("the answer is an error: providers bill no failed request", model)
        return unread("the message has no usage", model)
    declined = message.stop_reason == "refusal" and not _was_billed(message, exchange)
    hops = [block.trigger for block in message.content or () if block.type == "fallback"]
    parts = _parts(usage, model, hops, declined, exchange)
    if not parts:
        return free("the model declined before any output, in a category that is not billed", model)
    return Reading(parts=parts, model=model, reason=_remark(usage), response_id=message.id)


def _was_billed(message: Message, exchange: Exchange) -> bool:
    """Whether a refusal is billed: it came after output, or in a billed category; older models name none."""
    usage = message.usage
    wrote = any(block.type != "fallback" for block in message.content or ())
    if message.stop_details is None or (wrote and usage is not None and usage.output_tokens):
        return True
    return is_billed_refusal(message.stop_details.category, exchange.at_us)


def is_billed_refusal(category: str | None, at_us: int | None) -> bool:
    """Whether a refusal before any output is billed, at a moment or today."""
    return category in BILLED_REFUSALS and (at_us is None or at_us >= REFUSALS_BILLED_FROM_US)


def _parts(
    usage: MessageUsage,
    model: str | None,
    hops: Sequence[Trigger | None],
    declined: bool,
    exchange: Exchange,
) -> tuple[Part, ...]:
    conditions = conditions_of(usage, exchange.asked)
    details = usage.output_tokens_details or OutputDetails()
    thinking = count_of(details.thinking_tokens, "thinking_tokens")
    tools = usage.server_tool_use or ServerTools()
    fees = {
        "web_search": count_of(tools.web_search_requests, "web_search_requests"),
        "web_fetch": count_of(tools.web_fetch_requests, "web_fetch_requests"),
    }
    if usage.iterations:
        parts = _iteration_parts(
            usage, usage.iterations, model, hops, declined, conditions, thinking, exchange.at_us
        )
        return merged(_with_fees(parts, model, fees, conditions))
    if declined:
        return ()
    return _split_by_sampling(leaves(usage, thinking), fees, model, conditions)


def leaves(counts: Counts, thinking: int = 0) -> dict[str, int]:
    """The leaves of one sampling; thinking is part of its output.

    Where the split by time to live is missing, the cache was written for five minutes:
    Anthropic's default, and the only one before the split existed (prompt caching docs, 2026-11).
    """
    written = count_of(counts.cache_creation_input_tokens, "cache_creation_input_tokens")
    five = hour = 0
    if split := counts.cache_creation:
        five = count_of(split.ephemeral_5m_input_tokens, "ephemeral_5m_input_tokens")
        hour = count_of(split.ephemeral_1h_input_tokens, "ephemeral_1h_input_tokens")
    if five or hour:
        if counts.cache_creation_input_tokens is not None and five + hour != written:
            raise Contradiction(
                f"Found cache_creation_input_tokens {written}, but {five} for 5 minutes and {hour} for "
                "1 hour: the two must add up to it."
            )
    else:
        five = written
    output = count_of(counts.output_tokens, "output_tokens")
    return {
        "input": count_of(counts.input_tokens, "input_tokens"),
        "cache_read": count_of(counts.cache_read_input_tokens, "cache_read_input_tokens"),
        "cache_write_5m": five,
        "cache_write_1h": hour,
        "output": rest_of(output, "output_tokens", {"thinking_tokens": thinking}),
        "reasoning": thinking,
    }


def conditions_of(usage: MessageUsage, asked: Asked) -> Conditions:
    """Tier, speed and geography of a call: what the answer says beats what was asked."""
    tier = usage.service_tier
    if tier in (None, "standard") and (usage.speed or asked.service_tier) == "fast":
        tier = "fast"
    region = usage.inference_geo
    if asked.region or region == "not_available":
        region = asked.region
    return Conditions(tier or asked.service_tier, region, asked.details)


def _iteration_parts(
    usage: MessageUsage,
    iterations: Sequence[Iteration],
    model: str | None,
    hops: Sequence[Trigger | None],
    declined: bool,
    conditions: Conditions,
    thinking: int,
    at_us: int | None,
) -> list[Part]:
    """A part for each sampling that is billed, in their order."""
    unbilled = _unbilled(iterations, model, hops, declined, at_us)
    parts = []
    if not any(_is_answer(entry) for entry in iterations):
        parts.append(Part(model, usage_of(**leaves(usage, thinking)), conditions))
        thinking = 0
    for place, entry in enumerate(iterations):
        if place in unbilled:
            continue
        thought = 0
        if thinking and _is_answer(entry):
            thought = min(thinking, count_of(entry.output_tokens, "output_tokens"))
            thinking -= thought
        advised = entry.type == "advisor_message" and conditions.service_tier == "fast"
        ran_under = Conditions("standard", conditions.region, conditions.details) if advised else conditions
        parts.append(Part(entry.model or model, usage_of(**leaves(entry, thought)), ran_under))
    if thinking and not unbilled:
        raise Contradiction(f"Found {thinking} thinking_tokens more than the iterations wrote.")
    return [part for part in parts if part.usage]


def _is_answer(entry: Iteration) -> bool:
    """Whether the sampling was one of the model that answers, whose counts the top level sums."""
    return entry.type not in ("compaction", "advisor_message")


def _unbilled(
    iterations: Sequence[Iteration],
    model: str | None,
    hops: Sequence[Trigger | None],
    declined: bool,
    at_us: int | None,
) -> set[int]:
    """Places of samplings that are not billed: a model that declined before it wrote anything.

    Consecutive answers of one model are one attempt; all but the last attempt declined, and
    the content's fallback blocks say in their order why (refusals and fallback, 2026-09-26).
    """
    answers = [place for place, entry in enumerate(iterations) if _is_answer(entry)]
    attempts = [list(run) for _, run in groupby(answers, key=lambda place: iterations[place].model or model)]
    if not attempts:
        return set()
    free_places: set[int] = set()
    for order, attempt in enumerate(attempts[:-1]):
        hop = hops[order] if len(hops) == len(attempts) - 1 else None
        is_silent = not any(iterations[place].output_tokens for place in attempt)
        if is_silent and not is_billed_refusal(hop.category if hop else None, at_us):
            free_places.update(attempt)
    if declined:
        free_places.update(attempts[-1])
    return free_places


def _with_fees(
    parts: list[Part], model: str | None, fees: dict[str, int], conditions: Conditions
) -> list[Part]:
    fee_usage = usage_of(**fees)
    return [*parts, Part(model, fee_usage, conditions)] if fee_usage else parts


def _split_by_sampling(
    counts: dict[str, int], fees: dict[str, int], model: str | None, conditions: Conditions
) -> tuple[Part, ...]:
    """One part; or several where server tools made the model read its prompt again and again.

    Anthropic sums the samplings of a server tool loop. No sampling of such a sum need have been
    long, so the sum is shared out evenly over as many samplings as tools ran, plus one.
    """
    whole = Usage.of_leaves({unit: count for unit, count in counts.items() if count})
    samplings = sum(fees.values()) + 1
    prompt = whole.input_tokens
    if samplings == 1 or prompt <= LONG_PROMPT:
        return (Part(model, whole + usage_of(**fees), conditions),)
    samplings = min(samplings, -(-prompt // LONG_PROMPT))
    shares = [
        usage_of(**{unit: (count + place) // samplings for unit, count in whole.items()})
        for place in range(samplings)
    ]
    shares[0] = shares[0] + usage_of(**fees)
    return tuple(Part(model, share, conditions) for share in shares)


def _remark(usage: MessageUsage) -> str | None:
    tools = usage.server_tool_use
    if tools is None or not tools.code_execution_requests:
        return None
    return (
        "code execution is billed by the hour of its container beyond a free allowance, "
        "which no answer shows: it is not in this cost"
    )


decode_message = msgspec.json.Decoder(Message).decode


def whole_message(body: bytes, exchange: Exchange) -> Reading:
    """Reads a message."""
    return read_message(decode_message(body), exchange)


class _Delta(msgspec.Struct):
    text: msgspec.Raw = msgspec.Raw()
    thinking: msgspec.Raw = msgspec.Raw()
    partial_json: msgspec.Raw = msgspec.Raw()
    stop_reason: str | None = None
    stop_details: StopDetails | None = None


class _Event(msgspec.Struct):
    type: str | None = None
    message: Message | None = None
    content_block: Block | None = None
    delta: _Delta | None = None
    usage: MessageUsage | None = None


_decode_event = msgspec.json.Decoder(_Event).decode


class MessageStream:
    """Builds the message from its events: counts of ``message_delta`` take the place of earlier ones."""

    __slots__ = ("_exchange", "_is_complete", "_message", "_problem", "_text")

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._message = Message(content=[])
        self._is_complete = False
        self._problem: str | None = None
        self._text = TextSeen()

    def event(self, name: str, data: bytes) -> None:
        event = _decode_event(data)
        if event.type == "message_start" and event.message is not None:
            started = event.message
            self._message = msgspec.structs.replace(started, content=list(started.content or ()))
        elif event.type == "content_block_start" and event.content_block is not None:
            assert self._message.content is not None
            if len(self._message.content) < 10_000:
                self._message.content.append(event.content_block)
        elif event.type == "content_block_delta" and event.delta is not None:
            for raw in (event.delta.text, event.delta.thinking, event.delta.partial_json):
                self._text.keep(bytes(raw))
        elif event.type == "message_delta":
            self._ended(event)
        elif event.type == "error":
            self._problem = "the stream ended in an error"

    def _ended(self, event: _Event) -> None:
        if event.delta is not None:
            self._message.stop_reason = event.delta.stop_reason or self._message.stop_reason
            self._message.stop_details = event.delta.stop_details or self._message.stop_details
        if event.usage is not None:
            self._message.usage = _overwritten(self._message.usage, event.usage)
            self._is_complete = True

    def finish(self) -> Reading:
        message = self._message
        if self._is_complete:
            return read_message(message, self._exchange)
        model = message.model or self._exchange.asked.model
        reason = self._problem or "the stream was cut before its usage came"
        text = self._text.joined()
        if message.usage is None and self._problem is not None:
            return free("the answer is an error: providers bill no failed request", model)
        if message.usage is None:
            return Reading(parts=(), model=model, reason=reason, is_complete=False, text_seen=text)
        # What the prompt cost is known from the start; what was written is counted in the text.
        message.usage.output_tokens = None
        conditions = conditions_of(message.usage, self._exchange.asked)
        prompt = usage_of(**leaves(message.usage))
        return Reading(
            parts=(Part(model, prompt, conditions),) if prompt else (),
            model=model,
            reason=reason,
            is_complete=False,
            text_seen=text,
            response_id=message.id,
        )


def stream_message(exchange: Exchange) -> StreamReader:
    """Reads the events of a message."""
    return MessageStream(exchange)


def _overwritten(start: MessageUsage | None, delta: MessageUsage) -> MessageUsage:
    """The counts of the delta, and those of the start that it does not give.

    Only the start tells how the cache's tokens are split by time to live; where the count
    grew since, and all of it had one time to live, so has the growth.
    """
    if start is None:
        return delta
    for name in MessageUsage.__struct_fields__:
        value = getattr(delta, name)
        if value is not None:
            setattr(start, name, value)
    split, written = start.cache_creation, start.cache_creation_input_tokens
    if split is not None and delta.cache_creation is None and written is not None:
        if not split.ephemeral_1h_input_tokens:
            start.cache_creation = CacheCreation(ephemeral_5m_input_tokens=written)
        elif not split.ephemeral_5m_input_tokens:
            start.cache_creation = CacheCreation(ephemeral_1h_input_tokens=written)
    return start
