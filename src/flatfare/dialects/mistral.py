"""Mistral: OpenAI's shape, pages of documents, and seconds of audio.

A stream has usage in its last chunk without being asked for it.
"""

from functools import partial

import msgspec

from flatfare.core.usage import Usage
from flatfare.dialects.dialect import Dialect, Route
from flatfare.dialects.leaves import Wire, count_of, usage_of
from flatfare.dialects.openai_shape import (
    ChatBody,
    ChatShape,
    ChatStream,
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


class Output(msgspec.Struct):
    """One entry of a conversation: a message, a tool that was run."""

    model: str | None = None


class ConversationUsage(ChatUsage):
    """Usage of a conversation, with what its connectors read and how often each ran."""

    connector_tokens: Wire = None
    connectors: dict[str, int] | None = None


class Conversation(msgspec.Struct):
    """What the meter reads of a conversation, or of the event that ends a streamed one."""

    type: str | None = None
    model: str | None = None
    outputs: list[Output] | None = None
    usage: ConversationUsage | None = None


_decode_conversation = msgspec.json.Decoder(Conversation).decode
_CONNECTORS = {
    "web_search": "web_search",
    "web_search_premium": "web_search",
    "code_interpreter": "code_execution",
    "image_generation": "image",
}


def _conversed(body: bytes, exchange: Exchange) -> Reading:
    return _of_conversation(_decode_conversation(body), exchange, None)


def _of_conversation(answer: Conversation, exchange: Exchange, model: str | None) -> Reading:
    """What connectors read is a prompt of the model beside its own (API reference, ConversationUsageInfo,
    2026-11); each run of one has a fee."""
    told = next((output.model for output in answer.outputs or () if output.model), None)
    model = told or answer.model or model or exchange.asked.model
    usage = answer.usage
    leaves = chat_usage(ChatBody(usage=usage))
    if usage is None or leaves is None:
        return unread("the conversation has no usage", model)
    counts = {"tool_use_input": count_of(usage.connector_tokens, "connector_tokens")}
    for name, runs in (usage.connectors or {}).items():
        unit = _CONNECTORS.get(name, "tool_call")
        counts[unit] = counts.get(unit, 0) + count_of(runs, f"connectors.{name}")
    conditions = conditions_of(None, exchange.asked)
    if (usage.connectors or {}).get("web_search_premium"):
        conditions = msgspec.structs.replace(conditions, details={"web_search": "premium"})
    return Reading(parts=(Part(model, leaves + usage_of(**counts), conditions),), model=model)


class _ConversationStream:
    """Usage in the event ``conversation.response.done``; the model in the events of the messages."""

    __slots__ = ("_answer", "_exchange", "_model")

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._model: str | None = None
        self._answer: Conversation | None = None

    def event(self, name: str, data: bytes) -> None:
        event = _decode_conversation(data)
        self._model = self._model or event.model
        if event.usage is not None:
            self._answer = event

    def finish(self) -> Reading:
        model = self._model or self._exchange.asked.model
        if self._answer is None:
            return unread("the stream ended without usage: its last event has it", model)
        return _of_conversation(self._answer, self._exchange, model)


def _transcribed(shape: ChatShape[MistralBody], body: bytes, exchange: Exchange) -> Reading:
    return _billed_by_time(shape.whole(body, exchange))


def _billed_by_time(reading: Reading) -> Reading:
    """A transcription is billed by its seconds alone, though its answer counts tokens too."""
    parts = tuple(
        msgspec.structs.replace(
            part, conditions=msgspec.structs.replace(part.conditions, details={"task": "transcription"})
        )
        for part in reading.parts
    )
    return msgspec.structs.replace(reading, parts=parts)


class _TranscriptionStream(ChatStream[MistralBody]):
    __slots__ = ()

    def finish(self) -> Reading:
        return _billed_by_time(super().finish())


TRAPS = """
- The last chunk of a stream has usage, and content too; nothing has to be asked for.
- Cached tokens stand in `num_cached_tokens` or in `prompt_tokens_details.cached_tokens`; both are part of
  `prompt_tokens`.
- Voxtral counts `prompt_audio_seconds` beside `prompt_tokens`: in a chat both are billed, a transcription
  by its seconds alone.
- Conversations count what connectors read in `connector_tokens`, outside `prompt_tokens`, and how often each
  ran in `connectors`; the model stands in `outputs[]`.
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
            whole=partial(_transcribed, CHAT),
            stream=partial(_TranscriptionStream, CHAT),
        ),
        Route(
            endpoint="conversations",
            path="v1/conversations(?:/[^/]+)?(?:/restart)?",
            whole=_conversed,
            stream=_ConversationStream,
            marks={"object": "conversation.response", "outputs": None},
            stream_marks={"type": "conversation.response."},
        ),
        *free_routes(),
    ),
    read_request=read_request,
    traps=TRAPS,
    prompt=prompt_of,
)
