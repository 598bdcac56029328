"""Bedrock's Converse: one shape for every vendor, whole and as an AWS event stream.

Here, too, is what holds for all of Bedrock: the model is the one that was addressed, and the rates
are those of its place, tier and latency.
"""

import msgspec

from flatfare.core.errors import Contradiction
from flatfare.dialects.dialect import StreamReader
from flatfare.dialects.leaves import Wire, count_of, rest_of, usage_of
from flatfare.dialects.openai_shape import TextSeen
from flatfare.dialects.reading import NOTHING, Conditions, Exchange, Part, Reading, unread


class _CacheDetail(msgspec.Struct, rename="camel"):
    ttl: str | None = None
    input_tokens: Wire = None


class TokenUsage(msgspec.Struct, rename="camel"):
    """The counts of Converse, and of Amazon's own models."""

    input_tokens: Wire = None
    output_tokens: Wire = None
    total_tokens: Wire = None
    cache_read_input_tokens: Wire = None
    cache_write_input_tokens: Wire = None
    cache_read_input_token_count: Wire = None  # the older name of the same
    cache_write_input_token_count: Wire = None
    cache_details: list[_CacheDetail] | None = None


class ServiceTier(msgspec.Struct):
    """The tier that was asked for, or served."""

    type: str | None = None


class Performance(msgspec.Struct):
    """Whether the answer came at optimised latency, which has rates of its own."""

    latency: str | None = None


class _Router(msgspec.Struct, rename="camel"):
    invoked_model_id: str | None = None


class _Trace(msgspec.Struct, rename="camel"):
    prompt_router: _Router | None = None


class _ToolUse(msgspec.Struct):
    name: str | None = None
    type: str | None = None


class _Block(msgspec.Struct, rename="camel"):
    tool_use: _ToolUse | None = None


class _SaidMessage(msgspec.Struct):
    content: list[_Block] | None = None


class _Output(msgspec.Struct):
    message: _SaidMessage | None = None


class Converse(msgspec.Struct, rename="camel"):
    """An answer of Converse, or the last event of its stream."""

    usage: TokenUsage | None = None
    output: _Output | None = None
    service_tier: ServiceTier | None = None
    performance_config: Performance | None = None
    trace: _Trace | None = None


_decode_converse = msgspec.json.Decoder(Converse).decode


def converse_leaves(usage: TokenUsage) -> dict[str, int]:
    """The leaves of Converse, whose input leaves the cache out and whose total includes it."""
    prompt = count_of(usage.input_tokens, "inputTokens")
    answer = count_of(usage.output_tokens, "outputTokens")
    read = _either(usage.cache_read_input_tokens, usage.cache_read_input_token_count, "cacheReadInputTokens")
    written = _either(
        usage.cache_write_input_tokens, usage.cache_write_input_token_count, "cacheWriteInputTokens"
    )
    if usage.total_tokens is not None:
        total = count_of(usage.total_tokens, "totalTokens")
        if total not in (prompt + answer + read + written, prompt + answer):
            raise Contradiction(
                f"Found totalTokens {total}, which its parts do not add up to: input {prompt}, "
                f"output {answer}, cache read {read}, cache written {written}."
            )
    hour = 0
    for detail in usage.cache_details or ():
        if detail.ttl == "1h":
            hour += count_of(detail.input_tokens, "cacheDetails.inputTokens")
    return {
        "input": prompt,
        "cache_read": read,
        "cache_write_5m": rest_of(written, "cacheWriteInputTokens", {"cacheDetails of 1h": hour}),
        "cache_write_1h": hour,
        "output": answer,
    }


def _either(count: Wire, older_name: Wire, name: str) -> int:
    return count_of(older_name if count is None else count, name)


def conditions_of(exchange: Exchange, tier: str | None, latency: str | None, model: str | None) -> Conditions:
    """Tier, place and latency of a call; capacity that was bought ahead is known by the model's ARN."""
    headers, asked = exchange.headers, exchange.asked
    tier = tier or headers.get("x-amzn-bedrock-service-tier") or asked.service_tier
    latency = (
        latency or headers.get("x-amzn-bedrock-performanceconfig-latency") or asked.details.get("latency")
    )
    if tier == "reserved" or any(kind in (model or "") for kind in _BOUGHT_AHEAD):
        tier = "provisioned"
    details = {name: value for name, value in asked.details.items() if name != "latency"}
    if latency == "optimized":
        details["latency"] = latency
    return Conditions("standard" if tier == "default" else tier, asked.region, details or NOTHING)


_BOUGHT_AHEAD = (":provisioned-model/", ":imported-model/", ":custom-model-deployment/")
"""Models whose use is billed by the hour of their capacity and not by the token."""


def served_by(asked: str | None, told: str | None) -> str | None:
    """The model that served: as addressed, but where the address hides it and the answer tells."""
    is_hidden = asked is None or ":application-inference-profile/" in asked or "prompt-router/" in asked
    return told or asked if is_hidden else asked


def reading_of(
    counts: dict[str, int],
    exchange: Exchange,
    told: str | None = None,
    tier: str | None = None,
    latency: str | None = None,
) -> Reading:
    """The counts at the rates of whatever served; unread where there are none."""
    model = served_by(exchange.asked.model, told)
    conditions = conditions_of(exchange, tier, latency, exchange.asked.model)
    usage = usage_of(**counts)
    if not usage:
        return unread("the answer counts no tokens", model)
    return Reading(parts=(Part(model, usage, conditions),), model=model)


def _read_converse(answer: Converse, exchange: Exchange, grounded: int = 0) -> Reading:
    usage = answer.usage
    if usage is None or (usage.input_tokens is None and usage.output_tokens is None):
        return unread("the answer has no usage", exchange.asked.model)
    router = answer.trace.prompt_router if answer.trace else None
    for block in (answer.output.message.content if answer.output and answer.output.message else None) or ():
        grounded += _is_grounding(block)
    return reading_of(
        {**converse_leaves(usage), "web_search": grounded},
        exchange,
        told=router.invoked_model_id if router else None,
        tier=answer.service_tier.type if answer.service_tier else None,
        latency=answer.performance_config.latency if answer.performance_config else None,
    )


def _is_grounding(block: _Block) -> bool:
    """Whether Nova searched the web here (Nova user guide, Web Grounding, 2026-11)."""
    return block.tool_use is not None and block.tool_use.name == "nova_grounding"


def whole_converse(body: bytes, exchange: Exchange) -> Reading:
    """Reads an answer of Converse."""
    return _read_converse(_decode_converse(body), exchange)


class _ReasoningDelta(msgspec.Struct):
    text: msgspec.Raw = msgspec.Raw()


class _ToolDelta(msgspec.Struct):
    input: msgspec.Raw = msgspec.Raw()


class _Delta(msgspec.Struct, rename="camel"):
    text: msgspec.Raw = msgspec.Raw()
    reasoning_content: _ReasoningDelta | None = None
    tool_use: _ToolDelta | None = None


class StreamEvent(msgspec.Struct):
    """A piece of a stream's content."""

    delta: _Delta | None = None
    start: _Block | None = None


_decode_stream_event = msgspec.json.Decoder(StreamEvent).decode


class ConverseReader:
    """Reads the events of ConverseStream: counts come with the last one."""

    __slots__ = ("_answer", "_exchange", "_grounded", "_problem", "_text")

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._answer: Converse | None = None
        self._grounded = 0
        self._problem: str | None = None
        self._text = TextSeen()

    def event(self, name: str, data: bytes) -> None:
        if name == "metadata":
            self._answer = _decode_converse(data)
        elif name == "contentBlockStart":
            start = _decode_stream_event(data).start
            self._grounded += start is not None and _is_grounding(start)
        elif name == "contentBlockDelta":
            self._delta(_decode_stream_event(data).delta or _Delta())
        elif name.lower().endswith(("exception", "error")):
            self._problem = f"the stream ended in {name}"

    def _delta(self, delta: _Delta) -> None:
        self._text.keep(bytes(delta.text))
        if delta.reasoning_content is not None:
            self._text.keep(bytes(delta.reasoning_content.text))
        if delta.tool_use is not None:
            self._text.keep(bytes(delta.tool_use.input))

    def finish(self) -> Reading:
        if self._answer is not None:
            return _read_converse(self._answer, self._exchange, self._grounded)
        return Reading(
            parts=(),
            model=self._exchange.asked.model,
            reason=self._problem or "the stream was cut before its usage came",
            is_complete=False,
            text_seen=self._text.joined(),
        )


def stream_converse(exchange: Exchange) -> StreamReader:
    """Reads the events of ConverseStream."""
    return ConverseReader(exchange)
