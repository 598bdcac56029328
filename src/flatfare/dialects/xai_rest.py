"""xAI over REST: OpenAI's shape, reasoning beside the completion, and the charge in ticks.

Whether reasoning stands inside or beside the completion follows from the total, which
is always the sum of all.
"""

from decimal import Decimal

import msgspec

from flatfare.core.usage import Count, Usage
from flatfare.dialects.dialect import Route, Whole
from flatfare.dialects.leaves import Wire, count_of, usage_from, usage_of
from flatfare.dialects.messages_hosts import MESSAGES
from flatfare.dialects.openai_pictures import picture_routes
from flatfare.dialects.openai_responses import (
    ResponseBody,
    ResponsesShape,
    ResponseUsage,
    responses_routes,
)
from flatfare.dialects.openai_shape import (
    ChatBody,
    ChatShape,
    ChatUsage,
    CompletionDetails,
    PromptDetails,
    chat_routes,
    completion_leaves,
    completion_routes,
    embedding_routes,
    free_routes,
    prompt_leaves,
)
from flatfare.dialects.reading import Exchange, Part, Reading, Reported

TICKS_PER_DOLLAR = 10**10  # docs.x.ai/developers/cost-tracking, 2026-11


class ToolCalls(msgspec.Struct):
    """Tools that xAI ran, by kind."""

    web_search_calls: Wire = None
    x_search_calls: Wire = None
    code_interpreter_calls: Wire = None
    file_search_calls: Wire = None
    document_search_calls: Wire = None


class GrokUsage(ChatUsage):
    """Usage with sources searched, tools run, and the charge."""

    num_sources_used: Wire = None
    cost_in_usd_ticks: Wire = None
    server_side_tool_usage_details: ToolCalls | None = None


class GrokBody(ChatBody):
    """A completion or a chunk of xAI."""

    usage: GrokUsage | None = None


class GrokResponseUsage(ResponseUsage):
    """Usage of a response, likewise."""

    num_sources_used: Wire = None
    cost_in_usd_ticks: Wire = None
    server_side_tool_usage_details: ToolCalls | None = None


class GrokResponse(ResponseBody):
    """A response of xAI."""

    usage: GrokResponseUsage | None = None


def completion_of(
    completion: int, total: int, prompt: int, details: CompletionDetails | None
) -> dict[str, Count]:
    """The leaves of an answer: reasoning is beside the completion where the total says so."""
    reasoning = count_of(details.reasoning_tokens, "reasoning_tokens") if details else 0
    if reasoning and total == prompt + completion + reasoning:
        return {"output": completion, "reasoning": reasoning}
    return completion_leaves(completion, details)


def tool_fees(tools: ToolCalls | None, sources: Wire) -> Usage:
    """Searches and runs of code (docs.x.ai/developers/pricing, 2026-11); sources are those of live search."""
    if tools is None:
        return usage_of(search_source=count_of(sources, "num_sources_used"))
    return usage_of(
        web_search=count_of(tools.web_search_calls, "web_search_calls"),
        x_search=count_of(tools.x_search_calls, "x_search_calls"),
        code_execution=count_of(tools.code_interpreter_calls, "code_interpreter_calls"),
        file_search=count_of(tools.file_search_calls, "file_search_calls"),
        collection_search=count_of(tools.document_search_calls, "document_search_calls"),
        search_source=count_of(sources, "num_sources_used"),
    )


def charge_of(ticks: Wire) -> Reported | None:
    """The charge in dollars, exactly."""
    if ticks is None:
        return None
    dollars = Decimal(count_of(ticks, "cost_in_usd_ticks")) / TICKS_PER_DOLLAR
    return Reported(format(dollars, "f"), "USD", "usage.cost_in_usd_ticks")


def _usage(body: GrokBody) -> Usage | None:
    usage = body.usage
    if usage is None or (usage.prompt_tokens is None and usage.completion_tokens is None):
        return None
    completion = count_of(usage.completion_tokens, "completion_tokens")
    cached, prompt = _cached_and_prompt(usage)
    details = usage.prompt_tokens_details
    if details is not None and cached > prompt:
        details = PromptDetails(cached_tokens=prompt)
    total = count_of(usage.total_tokens, "total_tokens")
    leaves = usage_from(
        prompt_leaves(prompt, details),
        completion_of(completion, total, prompt, usage.completion_tokens_details),
    )
    return leaves + tool_fees(usage.server_side_tool_usage_details, usage.num_sources_used)


def _response_usage(body: GrokResponse) -> Usage | None:
    usage = body.usage
    if usage is None or (usage.input_tokens is None and usage.output_tokens is None):
        return None
    prompt = count_of(usage.input_tokens, "input_tokens")
    output = count_of(usage.output_tokens, "output_tokens")
    total = count_of(usage.total_tokens, "total_tokens")
    leaves = usage_from(
        prompt_leaves(prompt, usage.input_tokens_details, "input_tokens"),
        completion_of(output, total, prompt, usage.output_tokens_details),
    )
    return leaves + tool_fees(usage.server_side_tool_usage_details, usage.num_sources_used)


def _fees_are_counted(answer: GrokResponse, exchange: Exchange, part: Part) -> tuple[Part, ...]:
    """xAI counts its tools in the usage; items of the output are not counted again."""
    return (part,)


class GrokShape(ChatShape[GrokBody]):
    """Chat completions in which more may be cached than was sent."""

    def reading(
        self, usage: Usage, model: str | None, tier: str | None, answer: GrokBody, exchange: Exchange
    ) -> Reading:
        reading = super().reading(usage, model, tier, answer, exchange)
        counts = answer.usage
        cached, prompt = _cached_and_prompt(counts) if counts else (0, 0)
        if cached <= prompt:
            return reading
        how = f"{cached} tokens are said to be cached of a prompt of {prompt}: all of it is taken as cached"
        part = msgspec.structs.replace(reading.parts[0], estimated=how)
        return msgspec.structs.replace(reading, parts=(part,))


def _cached_and_prompt(usage: GrokUsage) -> tuple[int, int]:
    details = usage.prompt_tokens_details
    cached = count_of(details.cached_tokens, "cached_tokens") if details else 0
    return cached, count_of(usage.prompt_tokens, "prompt_tokens")


CHAT = GrokShape(
    GrokBody, _usage, reported=lambda body: charge_of(body.usage.cost_in_usd_ticks if body.usage else None)
)
RESPONSES = ResponsesShape(
    GrokResponse,
    _response_usage,
    reported=lambda body: charge_of(body.usage.cost_in_usd_ticks if body.usage else None),
    fees=_fees_are_counted,
)


class ChargedPictures(msgspec.Struct):
    """An answer with pictures, of which only the charge is read here."""

    usage: GrokUsage | None = None


def _charged(whole: Whole) -> Whole:
    """Pictures as everywhere, with the charge that xAI states on them too."""

    def read(body: bytes, exchange: Exchange) -> Reading:
        usage = msgspec.json.decode(body, type=ChargedPictures).usage
        reported = charge_of(usage.cost_in_usd_ticks if usage else None)
        return msgspec.structs.replace(whole(body, exchange), reported=reported)

    return read


ROUTES = (
    *chat_routes(CHAT, marks={"usage.num_sources_used": None}),
    # The answer to a deferred request is fetched once, and billed then (docs.x.ai, 2026-11).
    Route(
        endpoint="chat.deferred-completion",
        path="v1/chat/deferred-completion/[^/]+",
        methods=("GET",),
        whole=CHAT.whole,
    ),
    *responses_routes(RESPONSES),
    *completion_routes(CHAT),
    *embedding_routes(),
    *(
        msgspec.structs.replace(route, whole=_charged(route.whole), marks={}, stream_marks={})
        for route in picture_routes()
    ),
    *MESSAGES,
    *free_routes(),
)

REST_TRAPS = """
- `reasoning_tokens` stand beside `completion_tokens`, not inside: `total_tokens` is the sum of all three.
  In Responses they stand inside. The total decides which it is.
- `cost_in_usd_ticks` is the charge, tools included: 10,000,000,000 ticks are a dollar.
- With server tools more tokens may be cached than the prompt has: all of it is then taken as cached, and the
  cost is estimated.
- Tools are counted in `server_side_tool_usage_details`; live search is billed by `num_sources_used`.
"""
