"""Groq: OpenAI's shape with its own place for streamed usage, and systems of several models.

A compound answer is billed by the models that worked in it, each with its own usage.
"""

import msgspec

from flatfare.core.usage import Usage
from flatfare.dialects.dialect import Dialect, StreamReader
from flatfare.dialects.leaves import usage_of
from flatfare.dialects.openai_audio import audio_routes
from flatfare.dialects.openai_responses import ResponseBody, ResponsesShape, responses_routes
from flatfare.dialects.openai_shape import (
    ChatBody,
    ChatShape,
    ChatStream,
    ChatUsage,
    chat_routes,
    chat_usage,
    embedding_routes,
    free_routes,
    prompt_of,
    read_request,
)
from flatfare.dialects.reading import Exchange, Part, Reading


class Own(msgspec.Struct):
    """Groq's own object beside the answer."""

    usage: ChatUsage | None = None


class ModelUsage(msgspec.Struct):
    """Usage of one model within a compound answer."""

    model: str | None = None
    usage: ChatUsage | None = None


class Breakdown(msgspec.Struct):
    """Usage by model."""

    models: list[ModelUsage] | None = None


class GroqBody(ChatBody):
    """A completion or a chunk of Groq."""

    x_groq: Own | None = None
    usage_breakdown: Breakdown | None = None


def _usage(body: GroqBody) -> Usage | None:
    if body.usage is None and body.x_groq is not None:
        body.usage = body.x_groq.usage
    return chat_usage(body)


class GroqShape(ChatShape[GroqBody]):
    """Chat completions whose usage may be split by model."""

    def reading(
        self, usage: Usage, model: str | None, tier: str | None, answer: GroqBody, exchange: Exchange
    ) -> Reading:
        reading = super().reading(usage, model, tier, answer, exchange)
        models = answer.usage_breakdown.models if answer.usage_breakdown else None
        if not models:
            return reading
        conditions = reading.parts[0].conditions
        parts = []
        for entry in models:
            leaves = chat_usage(ChatBody(usage=entry.usage))
            if leaves is not None:
                parts.append(Part(entry.model, leaves, conditions))
        return msgspec.structs.replace(reading, parts=tuple(parts)) if parts else reading

    def whole(self, body: bytes, exchange: Exchange) -> Reading:
        reading = super().whole(body, exchange)
        if b'"executed_tools"' not in body or not reading.parts:
            return reading
        ran = Tools()
        ran.add(body)
        return ran.charged(reading)

    def stream(self, exchange: Exchange) -> StreamReader:
        return GroqStream(self, exchange)


class GroqStream(ChatStream[GroqBody]):
    """A stream whose deltas may tell the tools that were run."""

    __slots__ = ("_ran",)

    def __init__(self, shape: GroqShape, exchange: Exchange) -> None:
        super().__init__(shape, exchange)
        self._ran = Tools()

    def event(self, name: str, data: bytes) -> None:
        super().event(name, data)
        if b'"executed_tools"' in data:
            self._ran.add(data)

    def finish(self) -> Reading:
        reading = super().finish()
        return self._ran.charged(reading) if reading.parts else reading


class Executed(msgspec.Struct):
    """A tool that Groq ran; in a stream it comes twice, as it starts and with its result, under one index."""

    index: int | None = None
    type: str | None = None


class Message(msgspec.Struct):
    """A message, or a piece of one, that tools were run for."""

    executed_tools: list[Executed] | None = None


class Choice(msgspec.Struct):
    """A choice with its message."""

    message: Message | None = None
    delta: Message | None = None


class Ran(msgspec.Struct):
    """What of an answer tells the tools that were run."""

    choices: list[Choice] | None = None


_decode_ran = msgspec.json.Decoder(Ran).decode
_SEARCHES = frozenset(("search", "web_search", "browser_search"))
_VISITS = frozenset(("visit", "visit_website"))
_BY_TIME = frozenset(
    ("python", "code_interpreter", "code_execution", "browser_automation", "browser.automation")
)
TOOLS_MAX = 1_000  # a compound answer runs ten at most


class Tools:
    """The tools that Groq ran for an answer: searches and visits have a fee each, the rest is billed by time
    (groq.com/pricing, 2026-11)."""

    __slots__ = ("_kinds",)

    def __init__(self) -> None:
        self._kinds: dict[int, str] = {}

    def add(self, data: bytes) -> None:
        """Take the tools of a body or a chunk."""
        for choice in _decode_ran(data).choices or ():
            told = choice.message or choice.delta
            for tool in (told.executed_tools if told else None) or ():
                place = len(self._kinds) if tool.index is None else tool.index
                if tool.type and len(self._kinds) < TOOLS_MAX:
                    self._kinds[place] = tool.type

    def charged(self, reading: Reading) -> Reading:
        """The reading with the fees that can be counted, estimated where others cannot."""
        kinds = self._kinds.values()
        fees = usage_of(
            web_search=sum(kind in _SEARCHES for kind in kinds),
            web_fetch=sum(kind in _VISITS for kind in kinds),
        )
        parts = reading.parts
        if any(kind in _BY_TIME for kind in kinds):
            why = "tools were run that Groq bills by their time, which no answer shows: not in this cost"
            parts = (msgspec.structs.replace(parts[0], estimated=why), *parts[1:])
        if fees:
            parts = (*parts, Part(reading.model, fees, parts[0].conditions))
        return msgspec.structs.replace(reading, parts=parts)


TRAPS = """
- Streamed usage stands in `x_groq.usage` of the last chunk that still has content; a top-level `usage`
  comes only where `stream_options.include_usage` asked for it, and then in a chunk after it.
- `service_tier` `on_demand` is the standard tier.
- Compound systems (`groq/compound`) name the models that worked in `usage_breakdown.models`: each is
  billed at its own price, and tools in `executed_tools` have fees. Code and browsers are billed by their
  time, which no answer shows: such a cost is an estimate, and says what is not in it.
- Transcriptions are billed for ten seconds at least.
"""

CHAT = GroqShape(GroqBody, _usage)

DIALECT = Dialect(
    provider="groq",
    hosts=(r"api\.groq\.com",),
    routes=(
        *chat_routes(CHAT, "openai/v1/chat/completions", {"x_groq": None}),
        *responses_routes(ResponsesShape(ResponseBody), "openai/v1/"),
        *embedding_routes("openai/v1/embeddings"),
        *audio_routes("openai/v1/"),
        *free_routes("openai/v1/"),
    ),
    read_request=read_request,
    traps=TRAPS,
    prompt=prompt_of,
    tokens="o200k",
)
