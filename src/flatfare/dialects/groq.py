"""Groq: OpenAI's shape with its own place for streamed usage, and systems of several models.

A compound answer is billed by the models that worked in it, each with its own usage.
"""

import msgspec

from flatfare.core.usage import Usage
from flatfare.dialects.dialect import Dialect
from flatfare.dialects.leaves import usage_of
from flatfare.dialects.openai_audio import audio_routes
from flatfare.dialects.openai_responses import ResponseBody, ResponsesShape, responses_routes
from flatfare.dialects.openai_shape import (
    ChatBody,
    ChatShape,
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
        fees = _tool_fees(body)
        if not fees:
            return reading
        first = reading.parts[0]
        charged = Part(reading.model, fees, first.conditions)
        return msgspec.structs.replace(reading, parts=(*reading.parts, charged))


class Executed(msgspec.Struct):
    """A tool that Groq ran."""

    type: str | None = None


class Message(msgspec.Struct):
    """A message that tools were run for."""

    executed_tools: list[Executed] | None = None


class Choice(msgspec.Struct):
    """A choice with its message."""

    message: Message | None = None


class Ran(msgspec.Struct):
    """What of an answer tells the tools that were run."""

    choices: list[Choice] | None = None


def _tool_fees(body: bytes) -> Usage:
    """Searches, visits and runs of code have fees of their own (groq.com/pricing, 2026-11)."""
    ran = [
        tool.type
        for choice in msgspec.json.decode(body, type=Ran).choices or ()
        for tool in (choice.message.executed_tools if choice.message else None) or ()
    ]
    return usage_of(
        web_search=sum(kind in ("search", "web_search", "browser_search") for kind in ran),
        web_fetch=sum(kind in ("visit", "visit_website") for kind in ran),
        code_execution=sum(kind in ("python", "code_interpreter", "code_execution") for kind in ran),
    )


TRAPS = """
- Streamed usage stands in `x_groq.usage` of the last chunk that still has content; a top-level `usage`
  comes only where `stream_options.include_usage` asked for it, and then in a chunk after it.
- `service_tier` `on_demand` is the standard tier.
- Compound systems (`groq/compound`) name the models that worked in `usage_breakdown.models`: each is
  billed at its own price, and tools in `executed_tools` have fees.
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
