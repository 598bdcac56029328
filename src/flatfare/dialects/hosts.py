"""Hosts that copied OpenAI's shape faithfully: an address each, and what is particular about them.

What a host does differently in its counts is a module of its own; here the readers are
OpenAI's, and only addresses differ.
"""

import re
from collections.abc import Mapping

import msgspec

from flatfare.core.usage import Usage
from flatfare.dialects.dialect import Dialect, Route
from flatfare.dialects.leaves import Wire
from flatfare.dialects.messages_hosts import MESSAGES
from flatfare.dialects.openai_audio import audio_routes
from flatfare.dialects.openai_pictures import picture_routes
from flatfare.dialects.openai_responses import ResponseBody, ResponsesShape, responses_routes
from flatfare.dialects.openai_shape import (
    ChatBody,
    ChatShape,
    ChatUsage,
    PromptDetails,
    chat_routes,
    chat_usage,
    completion_routes,
    embedded,
    embedding_routes,
    free_routes,
    prompt_of,
    read_request,
)
from flatfare.dialects.reading import Asked, Reported


class HostUsage(ChatUsage):
    """Usage with the places where some hosts put what was cached."""

    cached_tokens: Wire = None
    estimated_cost: msgspec.Raw = msgspec.Raw()
    prompt_token_details: PromptDetails | None = None


class HostBody(ChatBody):
    """A completion or a chunk."""

    usage: HostUsage | None = None


def _usage(body: HostBody) -> Usage | None:
    usage = body.usage
    if usage is not None and usage.prompt_tokens_details is None:
        usage.prompt_tokens_details = usage.prompt_token_details
        if usage.prompt_tokens_details is None and usage.cached_tokens:
            usage.prompt_tokens_details = PromptDetails(cached_tokens=usage.cached_tokens)
    return chat_usage(body)


_DIGITS = re.compile(r"\d{1,9}(?:\.\d{1,30})?(?:[eE]-?\d{1,2})?")


def _charge(body: HostBody) -> Reported | None:
    """What DeepInfra says it charges, digits as given (its API reference, usage.estimated_cost, 2026-11)."""
    text = bytes(body.usage.estimated_cost).decode() if body.usage is not None else ""
    return Reported(text, "USD", "usage.estimated_cost") if _DIGITS.fullmatch(text) else None


def _thinking(body: HostBody) -> dict[str, str]:
    """Qwen's older models cost more while they think (alibabacloud.com/help/en/model-studio, 2026-11)."""
    details = body.usage.completion_tokens_details if body.usage is not None else None
    return {"thinking": "on"} if details is not None and details.reasoning_tokens else {}


CHAT = ChatShape(HostBody, _usage, reported=_charge)
QWEN = ChatShape(HostBody, _usage, details=_thinking)
RESPONSES = ResponsesShape(ResponseBody)
_SHAPE_TRAPS = """
- Counts are OpenAI's: the prompt includes what was cached, the completion includes reasoning. What was
  cached may stand in `prompt_tokens_details`, in `prompt_token_details`, or in `usage.cached_tokens`.
"""


def host(
    provider: str,
    hosts: tuple[str, ...],
    prefix: str = "v1/",
    traps: str = "",
    also: tuple[str, ...] = (),
    chat: ChatShape[HostBody] = CHAT,
) -> Dialect:
    """A dialect of OpenAI's shape below a path."""
    return Dialect(
        provider=provider,
        also=also,
        hosts=hosts,
        routes=(
            *chat_routes(chat, f"{prefix}chat/completions"),
            *completion_routes(CHAT, f"{prefix}completions"),
            *responses_routes(RESPONSES, prefix),
            *embedding_routes(f"{prefix}embeddings"),
            Route(endpoint="rerank", path=f"{prefix}rerank", whole=embedded),
            *picture_routes(prefix),
            *audio_routes(prefix),
            *MESSAGES,
            *free_routes(prefix),
        ),
        read_request=read_request,
        traps=_SHAPE_TRAPS + traps.lstrip("\n"),
        prompt=prompt_of,
    )


_CHOSEN_BY = frozenset(("fastest", "cheapest", "preferred", "auto"))


def _read_routed(body: bytes, path: str) -> Asked:
    """The upstream may be named behind the model: ``deepseek-ai/DeepSeek-R1:together``
    (huggingface.co/docs/inference-providers, provider selection, 2026-11)."""
    asked = read_request(body, path)
    model, colon, upstream = (asked.model or "").partition(":")
    if not colon or not upstream or upstream in _CHOSEN_BY:
        return asked
    return msgspec.structs.replace(asked, model=model, details={**asked.details, "upstream": upstream})


def hugging_face(dialect: Dialect) -> Dialect:
    """Hugging Face names the upstream in the path or behind the model."""
    return msgspec.structs.replace(dialect, read_request=_read_routed)


def writer() -> Dialect:
    """Writer names its chat differently."""
    dialect = host(
        "writer",
        (r"api\.writer\.com",),
        traps="""
- Details are named in the singular: `prompt_token_details`, `completion_token_details`.
- A text completion streamed has no usage.
""",
    )
    return msgspec.structs.replace(dialect, routes=(*chat_routes(CHAT, "v1/chat"), *dialect.routes))


HOSTS: Mapping[str, tuple[tuple[str, ...], str, str]] = {
    # provider: (host patterns, path before the endpoints, traps)
    "together": ((r"api\.together\.(?:xyz|ai)",), "v1/", ""),
    "cerebras": ((r"api\.cerebras\.ai",), "v1/", ""),
    "crusoe": ((r"api\.inference\.crusoecloud\.com",), "v1/", ""),
    "zai": ((r"api\.z\.ai", r"open\.bigmodel\.cn"), "api/(?:coding/)?paas/v4/", ""),
    "fireworks": ((r"api\.fireworks\.ai",), "inference/v1/", ""),
    "deepinfra": ((r"api\.deepinfra\.com",), "v1/openai/", ""),
    "nebius": ((r"api\.(?:studio|tokenfactory)\.nebius\.(?:ai|com)",), "v1/", ""),
    "novita": ((r"api\.novita\.ai",), "(?:v3/)?openai/(?:v1/)?", ""),
    "nvidia": ((r"integrate\.api\.nvidia\.com",), "v1/", ""),
    "sambanova": ((r"api\.sambanova\.ai",), "v1/", ""),
    "moonshot": ((r"api\.moonshot\.(?:ai|cn)",), "v1/", ""),
    "minimax": ((r"api\.minimax(?:i)?\.(?:io|chat|com)",), "v1/", ""),
    "alibaba": ((r"dashscope(?:-intl|-us)?\.aliyuncs\.com",), "compatible-mode/v1/", ""),
    "github": ((r"models\.(?:github\.ai|inference\.ai\.azure\.com)",), "(?:inference/|v1/)?", ""),
    "heroku": (
        (r"(?P<region>us|eu)\.inference\.heroku\.com",),
        "v1/",
        "\n- Claude behind Heroku is counted in OpenAI's shape, without what was cached.\n",
    ),
    "snowflake": (
        (r"[^.]+(?:\.[^.]+)*\.snowflakecomputing\.com",),
        "api/v2/cortex/v1/",
        "\n- Cortex is billed in credits, whose price in dollars is that of your contract and edition.\n",
    ),
    "vllm": (
        (r"(?:localhost|127\.0\.0\.1|0\.0\.0\.0):8000",),
        "v1/",
        """
- A server of one's own has no price by the token: give it a rate, or its cost as a commitment.
- Usage in a stream comes only where `stream_options.include_usage` asked for it; `continuous_usage_stats`
  sends it on every chunk, cumulative: the last one counts.
- There are no details: what its prefix cache saved is not told.
""",
    ),
}

HUGGING_FACE: tuple[tuple[str, ...], str, str] = (
    (r"router\.huggingface\.co", r"api-inference\.huggingface\.co"),
    "(?:(?P<upstream>[a-z0-9-]+)/)?(?:v1/|v3/openai/|openai/v1/|inference/v1/)",
    """
- The router passes each provider's price on: the path names the provider (`/together/v1/…`), or the model
  does (`…:together`); where neither does, no price is known.
""",
)

_ALSO: Mapping[str, tuple[str, ...]] = {
    "together": ("together-ai", "togetherai"),
    "fireworks": ("fireworks-ai",),
    "huggingface": ("hf", "hugging-face"),
    "alibaba": ("dashscope", "qwen"),
    "zai": ("z-ai", "zhipu"),
    "moonshot": ("moonshotai", "kimi"),
}

DIALECTS = (
    *(
        host(name, hosts, prefix, traps, _ALSO.get(name, ()), QWEN if name == "alibaba" else CHAT)
        for name, (hosts, prefix, traps) in HOSTS.items()
    ),
    writer(),
    hugging_face(host("huggingface", *HUGGING_FACE, also=_ALSO["huggingface"])),
)
