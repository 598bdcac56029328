"""How a question is put in the dialects of OpenAI and Anthropic, and where its answer stands.

Chat completions with ``response_format`` (OpenAI's SDK 3.52, 2026-11) and messages with
``output_config.format`` (Anthropic's SDK 2.11, 2026-11; models that think refuse a tool that must
be used): both give JSON of a stated shape. The shape stands in the instructions too, since many
servers that speak these dialects heed neither.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from flatfare.config import Provider, Secret
from flatfare.core.checks.question import NoReply, Question
from flatfare.core.errors import BadInput

_OPENAI = re.compile(r"^https://(?:api\.openai\.com|[^/]+\.(?:openai|services\.ai)\.azure\.com)(?:/|$)")


@dataclass(frozen=True, slots=True)
class Shape:
    """One dialect."""

    path_after: Callable[[str], str | None]  # the path after that of a base_url; None: the provider's usual
    headers: Mapping[str, str]
    credential: Callable[[Secret | None], dict[str, str]]
    request: Callable[[Question, Provider, bool], dict[str, Any]]
    reply: Callable[[bytes], tuple[str, str | None]]


def _bearer(secret: Secret | None) -> dict[str, str]:
    return {} if secret is None else {"Authorization": f"Bearer {secret!s}"}


def _api_key(secret: Secret | None) -> dict[str, str]:
    return {} if secret is None else {"x-api-key": str(secret)}


def _instructions(question: Question) -> str:
    return f"{question.instructions} Its JSON Schema: {json.dumps(question.schema)}"


# --- OpenAI


def _chat_path(base_path: str) -> str | None:
    """As OpenAI's SDKs have it: the base_url holds the version."""
    return "/chat/completions" if base_path else None


def _chat_request(question: Question, provider: Provider, with_schema: bool) -> dict[str, Any]:
    # OpenAI's reasoning models refuse max_tokens, most other servers know nothing else.
    is_openai = provider.name in ("openai", "azure") or _OPENAI.search(provider.base_url) is not None
    limit = "max_completion_tokens" if is_openai else "max_tokens"
    body: dict[str, Any] = {
        "model": question.model,
        "messages": [
            {"role": "system", "content": _instructions(question)},
            {"role": "user", "content": question.text},
        ],
        limit: question.tokens_max,
    }
    if question.temperature is not None:
        body["temperature"] = float(question.temperature)
    if with_schema:
        schema = {"name": "answer", "strict": True, "schema": question.schema}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    return body


def _chat_reply(body: bytes) -> tuple[str, str | None]:
    document = _object(body)
    choices = document.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(choice, dict) or not isinstance(message, dict):
        raise NoReply("The provider's answer holds no message.")
    if message.get("refusal") or choice.get("finish_reason") == "content_filter":
        raise NoReply("The model refused to answer.")
    if choice.get("finish_reason") == "length":
        raise NoReply("The answer was cut at its limit of tokens: give it more.")
    text = message.get("content")
    if isinstance(text, list):
        text = "".join(str(part.get("text", "")) for part in text if isinstance(part, dict))
    if not isinstance(text, str) or not text.strip():
        raise NoReply("The answer is empty.")
    return text, _model(document)


# --- Anthropic


def _messages_path(base_path: str) -> str | None:
    """As Anthropic's SDKs have it: the base_url holds no version."""
    return ("/messages" if base_path.endswith("/v1") else "/v1/messages") if base_path else None


def _messages_request(question: Question, provider: Provider, with_schema: bool) -> dict[str, Any]:
    if question.temperature is not None:
        raise BadInput(
            f"A verifier that asks {provider.name}/{question.model} states a temperature: Anthropic's "
            "dialect takes none. Leave it out."
        )
    body: dict[str, Any] = {
        "model": question.model,
        "max_tokens": question.tokens_max,
        "system": _instructions(question),
        "messages": [{"role": "user", "content": question.text}],
    }
    if with_schema:
        body["output_config"] = {"format": {"type": "json_schema", "schema": question.schema}}
    return body


def _messages_reply(body: bytes) -> tuple[str, str | None]:
    document = _object(body)
    stopped, content = document.get("stop_reason"), document.get("content")
    if stopped == "refusal":
        raise NoReply("The model refused to answer.")
    if stopped in ("max_tokens", "model_context_window_exceeded"):
        raise NoReply("The answer was cut at its limit of tokens: give it more.")
    blocks = [block for block in content if isinstance(block, dict)] if isinstance(content, list) else []
    text = "".join(str(block.get("text", "")) for block in blocks if block.get("type") == "text")
    if not text.strip():
        raise NoReply("The answer is empty.")
    return text, _model(document)


def _object(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise NoReply("The provider's answer is no JSON object.")
    return document


def _model(document: Mapping[str, Any]) -> str | None:
    model = document.get("model")
    return model if isinstance(model, str) else None


SHAPES: Mapping[str, Shape] = {
    "chat.completions": Shape(_chat_path, {}, _bearer, _chat_request, _chat_reply),
    "messages": Shape(
        _messages_path, {"anthropic-version": "2023-06-01"}, _api_key, _messages_request, _messages_reply
    ),
}
"""By the endpoint that a provider's dialect has; the first that it has is used."""
