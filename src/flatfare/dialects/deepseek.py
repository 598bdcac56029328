"""DeepSeek: OpenAI's shape, with the cache's hits and misses told apart.

A hit is part of the prompt; misses are the rest of it.
"""

import msgspec

from flatfare.core.usage import Usage
from flatfare.dialects.dialect import Dialect
from flatfare.dialects.leaves import Wire
from flatfare.dialects.messages_hosts import MESSAGES
from flatfare.dialects.openai_responses import ResponseBody, ResponsesShape, responses_routes
from flatfare.dialects.openai_shape import (
    ChatBody,
    ChatShape,
    ChatUsage,
    PromptDetails,
    chat_routes,
    chat_usage,
    completion_routes,
    free_routes,
    prompt_of,
    read_request,
)


class HitUsage(ChatUsage):
    """Usage with the cache's hits."""

    prompt_cache_hit_tokens: Wire = None


class DeepSeekBody(ChatBody):
    """A completion or a chunk of DeepSeek."""

    usage: HitUsage | None = None


def _usage(body: DeepSeekBody) -> Usage | None:
    usage = body.usage
    if usage is not None and usage.prompt_cache_hit_tokens:
        details = usage.prompt_tokens_details or PromptDetails()
        if not details.cached_tokens:
            usage.prompt_tokens_details = msgspec.structs.replace(
                details, cached_tokens=usage.prompt_cache_hit_tokens
            )
    return chat_usage(body)


TRAPS = """
- `prompt_cache_hit_tokens` is part of `prompt_tokens`; so is `prompt_cache_miss_tokens`, which is billed
  in full.
- `completion_tokens` includes `reasoning_tokens`.
- The last chunk of a stream has usage whether it was asked for or not.
- At peak hours (weekdays 01:00–04:00 and 06:00–10:00 UTC, Chinese holidays left out) the price doubles:
  the moment of the call decides, not the moment it is read.
"""

CHAT = ChatShape(DeepSeekBody, _usage)
_PREFIX = "(?:v1/|beta/)?"

DIALECT = Dialect(
    provider="deepseek",
    hosts=(r"api\.deepseek\.com",),
    routes=(
        *chat_routes(CHAT, f"{_PREFIX}chat/completions", {"usage.prompt_cache_hit_tokens": None}),
        *completion_routes(CHAT, f"{_PREFIX}completions"),
        *responses_routes(ResponsesShape(ResponseBody), _PREFIX),
        *MESSAGES,
        *free_routes(_PREFIX),
    ),
    read_request=read_request,
    traps=TRAPS,
    prompt=prompt_of,
)
