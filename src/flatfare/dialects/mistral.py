"""Mistral: OpenAI's shape, pages of documents, and seconds of audio.

A stream has usage in its last chunk without being asked for it.
"""

import msgspec

from flatfare.core.usage import Usage
from flatfare.dialects.dialect import Dialect, Route
from flatfare.dialects.leaves import Wire, count_of, usage_of
from flatfare.dialects.openai_shape import (
    ChatBody,
    ChatShape,
    ChatUsage,
    PromptDetails,
    chat_routes,
    chat_usage,
    conditions_of,
    embedding_routes,
    free_routes,
    prompt_of,
    read_request,
)
from flatfare.dialects.reading import Exchange, Part, Reading, unread


class MistralUsage(ChatUsage):
    """Usage with what only Mistral counts."""

    num_cached_tokens: Wire = None
    prompt_audio_seconds: Wire = None


class MistralBody(ChatBody):
    """A completion or a chunk of Mistral."""

    usage: MistralUsage | None = None


def _usage(body: MistralBody) -> Usage | None:
    usage = body.usage
    if usage is None:
        return None
    if usage.num_cached_tokens and usage.prompt_tokens_details is None:
        usage.prompt_tokens_details = PromptDetails(cached_tokens=usage.num_cached_tokens)
    leaves = chat_usage(body)
    seconds = count_of(usage.prompt_audio_seconds, "prompt_audio_seconds")
    if leaves is not None and seconds:
        return leaves + usage_of(input_audio_second=seconds)
    return leaves


class PageInfo(msgspec.Struct):
    """Usage of document reading."""

    pages_processed: Wire = None


class PagesBody(msgspec.Struct):
    """What the meter reads of a document that was read."""

    model: str | None = None
    usage_info: PageInfo | None = None
    document_annotation: msgspec.Raw = msgspec.Raw()


def _pages(body: bytes, exchange: Exchange) -> Reading:
    answer = msgspec.json.decode(body, type=PagesBody)
    model = answer.model or exchange.asked.model
    if answer.usage_info is None or answer.usage_info.pages_processed is None:
        return unread("the answer does not say how many pages it read", model)
    pages = count_of(answer.usage_info.pages_processed, "pages_processed")
    conditions = conditions_of(None, exchange.asked)
    if bytes(answer.document_annotation) not in (b"", b"null"):
        conditions = msgspec.structs.replace(conditions, details={"annotated": "true"})
    return Reading(parts=(Part(model, usage_of(page=pages), conditions),), model=model)


TRAPS = """
- The last chunk of a stream has usage, and content too; nothing has to be asked for.
- Cached tokens stand in `num_cached_tokens` or in `prompt_tokens_details.cached_tokens`; both are part of
  `prompt_tokens`.
- Voxtral counts `prompt_audio_seconds` beside `prompt_tokens`: both are billed.
- OCR is billed by the page (`usage_info.pages_processed`); pages with annotations have a price of their
  own.
- Content may be a list of parts, thinking among them.
- Aliases such as `mistral-large-latest` move: the answer names the alias, so the date of the call
  decides.
"""

CHAT = ChatShape(MistralBody, _usage)

DIALECT = Dialect(
    provider="mistral",
    hosts=(r"api\.mistral\.ai", r"codestral\.mistral\.ai"),
    routes=(
        *chat_routes(CHAT),
        Route(endpoint="fim.completions", path="v1/fim/completions", whole=CHAT.whole, stream=CHAT.stream),
        Route(
            endpoint="agents.completions", path="v1/agents/completions", whole=CHAT.whole, stream=CHAT.stream
        ),
        *embedding_routes(),
        Route(endpoint="ocr", path="v1/ocr", whole=_pages, marks={"pages": None, "usage_info": None}),
        Route(
            endpoint="audio.transcriptions",
            path="v1/audio/transcriptions",
            whole=CHAT.whole,
            stream=CHAT.stream,
        ),
        *free_routes(),
    ),
    read_request=read_request,
    traps=TRAPS,
    prompt=prompt_of,
)
