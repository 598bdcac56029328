"""OpenRouter: OpenAI's shape with the charge itself, for models of many upstreams.

The charge in the answer counts; what is computed stands beside it, from OpenRouter's own
rates or those of the upstream that served.
"""

import re
from decimal import Decimal, InvalidOperation

import msgspec

from flatfare.core.errors import Contradiction
from flatfare.core.usage import Count, Usage
from flatfare.dialects.dialect import Dialect, Route, StreamReader, Whole
from flatfare.dialects.leaves import Wire, count_of, rest_of, usage_from, usage_of
from flatfare.dialects.messages_hosts import MESSAGES
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
    prompt_of,
    read_request,
)
from flatfare.dialects.reading import Asked, Exchange, Part, Reading, Reported


class CostDetails(msgspec.Struct):
    """How the charge came about."""

    upstream_inference_cost: msgspec.Raw = msgspec.Raw()
    upstream_inference_prompt_cost: msgspec.Raw = msgspec.Raw()
    upstream_inference_completions_cost: msgspec.Raw = msgspec.Raw()
    upstream_inference_input_cost: msgspec.Raw = msgspec.Raw()
    upstream_inference_output_cost: msgspec.Raw = msgspec.Raw()


class ToolUse(msgspec.Struct):
    """Tools that OpenRouter ran."""

    web_search_requests: Wire = None
    tool_calls_executed: Wire = None


class RoutedUsage(ChatUsage):
    """Usage with its charge."""

    cost: msgspec.Raw = msgspec.Raw()
    is_byok: bool | None = None
    cost_details: CostDetails | None = None
    server_tool_use_details: ToolUse | None = None


class RoutedBody(ChatBody):
    """A completion or a chunk of OpenRouter."""

    usage: RoutedUsage | None = None
    provider: str | None = None


class RoutedResponseUsage(ResponseUsage):
    """Usage of a response with its charge."""

    cost: msgspec.Raw = msgspec.Raw()
    is_byok: bool | None = None
    cost_details: CostDetails | None = None
    server_tool_use_details: ToolUse | None = None


class RoutedResponse(ResponseBody):
    """A response of OpenRouter."""

    usage: RoutedResponseUsage | None = None


def _leaves(
    prompt: Wire,
    completion: Wire,
    read: PromptDetails | None,
    written: CompletionDetails | None,
    tools: ToolUse | None,
) -> Usage | None:
    if prompt is None and completion is None:
        return None
    prompt_total = count_of(prompt, "prompt_tokens")
    completion_total = count_of(completion, "completion_tokens")
    usage = usage_from(_prompt(prompt_total, read), _completion(completion_total, written))
    searches = _searches(tools)
    return usage + usage_of(web_search=searches) if searches else usage


def _prompt(total: int, details: PromptDetails | None) -> dict[str, Count]:
    """Google's cache is written and read by one request, so that writes may stand beside the prompt."""
    if details is not None:
        cached = count_of(details.cached_tokens, "cached_tokens")
        stored = count_of(details.cache_write_tokens, "cache_write_tokens")
        if stored and cached + stored > total:
            rest = rest_of(total, "prompt_tokens", {"cached_tokens": cached})
            return {"input": rest, "cache_read": cached, "cache_write": stored}
    return prompt_leaves(total, details)


def _completion(total: int, details: CompletionDetails | None) -> dict[str, Count]:
    """Some upstreams count thinking with another tokenizer than the total: then only the total is billed."""
    if details is not None and count_of(details.reasoning_tokens, "reasoning_tokens") > total:
        return {"output": total}
    return completion_leaves(total, details)


def _searches(tools: ToolUse | None) -> int:
    if tools is None:
        return 0
    return count_of(tools.web_search_requests, "web_search_requests")


def _usage(body: RoutedBody) -> Usage | None:
    usage = body.usage
    if usage is None:
        return None
    return _leaves(
        usage.prompt_tokens,
        usage.completion_tokens,
        usage.prompt_tokens_details,
        usage.completion_tokens_details,
        usage.server_tool_use_details,
    )


def _response_usage(body: RoutedResponse) -> Usage | None:
    usage = body.usage
    if usage is None:
        return None
    return _leaves(
        usage.input_tokens,
        usage.output_tokens,
        usage.input_tokens_details,
        usage.output_tokens_details,
        usage.server_tool_use_details,
    )


def _text(raw: msgspec.Raw) -> str | None:
    """An amount's digits; None where it is null. ``Contradiction`` where it is no amount."""
    text = bytes(raw).decode()
    if not text or text == "null":
        return None
    try:
        amount = Decimal(text)
    except InvalidOperation:
        raise Contradiction(
            f"Found {text[:40]} where the answer states a charge: expected a number."
        ) from None
    if abs(amount.adjusted()) > 30:
        raise Contradiction(f"Found a charge of {text[:40]}: no call costs that.")
    return text


def _charge(usage: RoutedUsage | RoutedResponseUsage | None) -> Reported | None:
    """The charge, digits as given; with one's own key the upstream's bill comes on top of it."""
    if usage is None or (cost := _text(usage.cost)) is None:
        return None
    shares = _shares(usage.cost_details)
    upstream = shares.get("upstream")
    if usage.is_byok and upstream is not None:
        total = upstream if Decimal(cost) == 0 else str(Decimal(cost) + Decimal(upstream))
        return Reported(total, "USD", "usage.cost and usage.cost_details.upstream_inference_cost", shares)
    return Reported(cost, "USD", "usage.cost", shares)


def _shares(details: CostDetails | None) -> dict[str, str]:
    if details is None:
        return {}
    shares = {
        "upstream": _text(details.upstream_inference_cost),
        "input": _text(details.upstream_inference_prompt_cost or details.upstream_inference_input_cost),
        "output": _text(
            details.upstream_inference_completions_cost or details.upstream_inference_output_cost
        ),
    }
    return {name: text for name, text in shares.items() if text is not None}


def _details(body: RoutedBody) -> dict[str, str]:
    details = {"upstream": body.provider} if body.provider else {}
    usage = body.usage
    if usage is not None:
        if usage.is_byok:
            details["byok"] = "true"
        if tools := usage.server_tool_use_details:
            details |= _search_engine(tools)
    return details


def _search_engine(tools: ToolUse) -> dict[str, str]:
    """A search that OpenRouter ran itself goes to Exa; one it passed on is the upstream's own."""
    if not tools.web_search_requests:
        return {}
    return {"search": "exa" if tools.tool_calls_executed else "native"}


def _no_tool_fees(answer: RoutedResponse, exchange: Exchange, part: Part) -> tuple[Part, ...]:
    """OpenRouter counts the tools it ran in its usage; items of the output are not billed again."""
    return (part,)


_OWN_TOOL = re.compile(rb'"(openrouter:[a-z_]{1,40})"')


def _read_request(body: bytes, path: str) -> Asked:
    """As everywhere, with the tools that OpenRouter is to run itself: their fees explain a charge."""
    asked = read_request(body, path)
    tools = sorted({name.decode() for name in _OWN_TOOL.findall(body)})
    if not tools:
        return asked
    return msgspec.structs.replace(asked, details={**asked.details, "server_tools": ", ".join(tools)})


TRAPS = """
- `usage.cost` is what OpenRouter charged, in dollars. With one's own key (`is_byok`) it is only
  OpenRouter's fee, usually 0, and the upstream's bill stands in `cost_details.upstream_inference_cost`.
- The charge can include more than tokens: web searches (`server_tool_use_details`) and other plugins.
- `provider` names the upstream that served: the same model has other rates at other upstreams.
- With Google's models `cache_write_tokens` and `cached_tokens` may be the same tokens: they are written
  and read by one request, and the writing is a fee beside the prompt.
- `reasoning_tokens` may exceed `completion_tokens` where upstream and OpenRouter count differently: the
  total is billed.
- Model names are slugs, dated in the answer where they were not in the request; `:free` costs nothing.
"""


class RoutedShape(ChatShape[RoutedBody]):
    """Chat completions, whose upstream's tier is not always one that is billed."""

    def reading(
        self, usage: Usage, model: str | None, tier: str | None, answer: RoutedBody, exchange: Exchange
    ) -> Reading:
        if tier in ("provisioned", "scale"):
            tier = (
                None  # capacity that OpenRouter keeps at the upstream: its own users pay the standard rates
            )
        return super().reading(usage, model, tier, answer, exchange)


CHAT = RoutedShape(RoutedBody, _usage, reported=lambda body: _charge(body.usage), details=_details)
RESPONSES = ResponsesShape(
    RoutedResponse, _response_usage, reported=lambda body: _charge(body.usage), fees=_no_tool_fees
)


class _Costed(msgspec.Struct):
    """Any answer's usage, as far as it states what was charged."""

    usage: RoutedUsage | None = None


_decode_costed = msgspec.json.Decoder(_Costed).decode


def _charged(whole: Whole) -> Whole:
    """Another shape's answer with OpenRouter's charge on it: messages and embeddings state it too."""

    def read(body: bytes, exchange: Exchange) -> Reading:
        return msgspec.structs.replace(whole(body, exchange), reported=_charge(_decode_costed(body).usage))

    return read


class _ChargedStream:
    """A stream of another shape, with OpenRouter's charge in the event that has its usage."""

    __slots__ = ("_inner", "_reported")

    def __init__(self, inner: StreamReader) -> None:
        self._inner = inner
        self._reported: Reported | None = None

    def event(self, name: str, data: bytes) -> None:
        self._inner.event(name, data)
        if b'"cost"' in data:
            self._reported = _charge(_decode_costed(data).usage) or self._reported

    def finish(self) -> Reading:
        return msgspec.structs.replace(self._inner.finish(), reported=self._reported)


def _with_charge(route: Route) -> Route:
    if route.free:
        return route
    inner = route.stream
    stream = None if inner is None else lambda exchange: _ChargedStream(inner(exchange))
    return msgspec.structs.replace(route, whole=_charged(route.whole), stream=stream)


DIALECT = Dialect(
    provider="openrouter",
    hosts=(r"openrouter\.ai", r"(?P<region>eu)\.openrouter\.ai"),
    routes=(
        *chat_routes(CHAT, "api/v1/chat/completions", {"provider": None, "id": "gen-"}),
        *responses_routes(RESPONSES, "api/v1/"),
        *completion_routes(CHAT, "api/v1/completions"),
        *map(_with_charge, embedding_routes("api/v1/embeddings")),
        *map(_with_charge, MESSAGES),
        *free_routes("api/v1/"),
        Route(
            endpoint="generation",
            path="api/v1/generation",
            methods=("GET",),
            free="a look at an earlier call",
        ),
    ),
    read_request=_read_request,
    traps=TRAPS,
    prompt=prompt_of,
)
