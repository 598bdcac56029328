"""Gemini's endpoint of OpenAI's shape, whose thinking shows only in the total.

What the total has beyond prompt and completion is thinking, and billed as output.
"""

import msgspec

from flatfare.core.usage import Usage
from flatfare.dialects.leaves import count_of, rest_of, usage_from, usage_of
from flatfare.dialects.openai_shape import (
    ChatBody,
    ChatShape,
    chat_routes,
    completion_leaves,
    embedding_routes,
    free_routes,
    prompt_leaves,
)


def _usage(body: ChatBody) -> Usage | None:
    usage = body.usage
    if usage is None or (usage.prompt_tokens is None and usage.completion_tokens is None):
        return None
    prompt = count_of(usage.prompt_tokens, "prompt_tokens")
    completion = count_of(usage.completion_tokens, "completion_tokens")
    total = count_of(usage.total_tokens, "total_tokens")
    details = usage.completion_tokens_details
    reasoning = count_of(details.reasoning_tokens, "reasoning_tokens") if details else 0
    # A total that is less than its parts is none; hosts leave it out or 0.
    hidden = rest_of(total, "total_tokens", {"prompt": prompt, "completion": completion}) if total else 0
    if details is not None and reasoning and hidden:
        details = msgspec.structs.replace(details, reasoning_tokens=0)
    leaves = usage_from(
        prompt_leaves(prompt, usage.prompt_tokens_details), completion_leaves(completion, details)
    )
    return leaves + usage_of(reasoning=hidden)


CHAT = ChatShape(ChatBody, _usage)

GEMINI_ROUTES = (
    *chat_routes(CHAT, "v1(?:beta|alpha)?/openai/chat/completions"),
    *embedding_routes("v1(?:beta|alpha)?/openai/embeddings"),
    *free_routes("v1(?:beta|alpha)?/openai/"),
)
VERTEX_ROUTES = chat_routes(
    CHAT, "projects/[^/]+/locations/(?P<region>[^/]+)/endpoints/openapi/chat/completions"
)

OPENAI_TRAPS = """
- At the endpoint of OpenAI's shape `completion_tokens` leaves thinking out: it shows only in
  `total_tokens`, and what that has beyond prompt and completion is billed as output.
"""
