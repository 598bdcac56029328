"""Perplexity: OpenAI's shape, a fee for each request or search, and the charge itself.

Only deep research counts thinking beside its completion and is billed for it, for
citations and for each search; the other models have a fee by request.
"""

from decimal import Decimal

import msgspec

from flatfare.core.errors import Contradiction
from flatfare.core.usage import Usage
from flatfare.dialects.dialect import Dialect
from flatfare.dialects.leaves import Wire, count_of, usage_of
from flatfare.dialects.openai_responses import ResponseBody, ResponsesShape, responses_routes
from flatfare.dialects.openai_shape import (
    ChatBody,
    ChatShape,
    ChatUsage,
    chat_routes,
    chat_usage,
    prompt_of,
    read_request,
)
from flatfare.dialects.reading import Reported


class Charge(msgspec.Struct):
    """What was charged, by what it was for."""

    total_cost: msgspec.Raw = msgspec.Raw()


class SonarUsage(ChatUsage):
    """Usage with searches, citations and the charge."""

    reasoning_tokens: Wire = None
    citation_tokens: Wire = None
    num_search_queries: Wire = None
    search_context_size: str | None = None
    cost: Charge | None = None


class SonarBody(ChatBody):
    """A completion or a chunk of Perplexity."""

    usage: SonarUsage | None = None


def _usage(body: SonarBody) -> Usage | None:
    leaves = chat_usage(body)
    usage = body.usage
    if leaves is None or usage is None:
        return leaves
    if "deep-research" not in (body.model or ""):
        return leaves + usage_of(request=1)
    return leaves + usage_of(
        reasoning=count_of(usage.reasoning_tokens, "reasoning_tokens"),
        tool_use_input=count_of(usage.citation_tokens, "citation_tokens"),
        web_search=count_of(usage.num_search_queries, "num_search_queries"),
    )


def _details(body: SonarBody) -> dict[str, str]:
    size = body.usage.search_context_size if body.usage else None
    return {"search_context_size": size} if size in ("medium", "high") else {}


def _charge(body: SonarBody) -> Reported | None:
    charge = body.usage.cost if body.usage else None
    text = bytes(charge.total_cost).decode() if charge else ""
    if text in ("", "null"):
        return None
    if not text.replace(".", "").replace("e-", "").isdigit() or Decimal(text).adjusted() > 6:
        raise Contradiction(f"Found {text[:40]} in usage.cost.total_cost: expected an amount of dollars.")
    return Reported(text, "USD", "usage.cost.total_cost")


TRAPS = """
- Every request has a fee by `usage.search_context_size` (low unless asked otherwise);
  `sonar-deep-research` has none, but one for each of `num_search_queries`.
- `reasoning_tokens` and `citation_tokens` of deep research stand beside `completion_tokens` and
  `prompt_tokens`, and are billed; other models have them in their totals or free.
- `usage.cost.total_cost` is the charge in dollars, since 2025.
- Each chunk of a stream repeats usage: the last one counts.
"""

CHAT = ChatShape(SonarBody, _usage, reported=_charge, details=_details)

DIALECT = Dialect(
    provider="perplexity",
    hosts=(r"api\.perplexity\.ai",),
    routes=(
        *chat_routes(CHAT, "(?:v1/)?chat/completions", {"usage.search_context_size": None}),
        *responses_routes(ResponsesShape(ResponseBody), "(?:v1/)?"),
    ),
    read_request=read_request,
    traps=TRAPS,
    prompt=prompt_of,
)
