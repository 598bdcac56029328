"""Gemini: generateContent, Live sessions, interactions, embeddings, pictures, batches.

One rule for the counts of an answer, whether it came whole, in chunks, or as a turn of a
session.
"""

import re
from collections.abc import Callable, Iterator
from datetime import datetime

import msgspec

from flatfare.core.usage import Usage
from flatfare.dialects.dialect import Dialect, Prompt, Route, StreamReader, read_lines
from flatfare.dialects.framing import JsonLines
from flatfare.dialects.gemini_batch import stream_results, whole_operation, whole_results
from flatfare.dialects.gemini_openai import GEMINI_ROUTES, OPENAI_TRAPS
from flatfare.dialects.gemini_shape import (
    AnswerReader,
    ArrayOrEvents,
    LiveReader,
    ModalityCount,
    UsageMetadata,
    is_billed_by_query,
    model_name,
    read_leaves,
    whole_answer,
)
from flatfare.dialects.leaves import Wire, count_of, usage_of
from flatfare.dialects.openai_shape import read_request as read_chat_request
from flatfare.dialects.openai_shape import texts_in
from flatfare.dialects.reading import NOTHING, Asked, Conditions, Exchange, Part, Reading, free, unread


class _Setup(msgspec.Struct):
    model: str | None = None


class _Tool(msgspec.Struct, rename="camel"):
    enterprise_web_search: msgspec.Raw = msgspec.Raw()


class _GenerationConfig(msgspec.Struct, rename="camel"):
    max_output_tokens: int | None = None


class _Request(msgspec.Struct, rename="camel"):
    setup: _Setup | None = None
    model: str | None = None
    stream: bool | None = None
    service_tier: str | None = None
    tools: list[_Tool] | None = None
    generation_config: _GenerationConfig | None = None


class _SnakeRequest(msgspec.Struct):
    service_tier: str | None = None


_decode_request = msgspec.json.Decoder(_Request).decode
_decode_snake_request = msgspec.json.Decoder(_SnakeRequest).decode
_SETUP = re.compile(rb'\s*\{\s*"setup"\s*:\s*\{.{0,2000}?"model"\s*:\s*"([^"]+)"', re.DOTALL)


def read_request(body: bytes, path: str) -> Asked:
    """What a request of Gemini's shape asked for; a session's first message is its set-up."""
    if "/openai/" in path:
        return read_chat_request(body, path)
    if found := _SETUP.match(body):
        return Asked(model=found[1].decode("utf-8", "replace"), is_stream=True)
    request = _decode_request(body) if body else _Request()
    tier = request.service_tier or (_decode_snake_request(body).service_tier if body else None)
    config = request.generation_config
    enterprise = any(bytes(tool.enterprise_web_search) for tool in request.tools or ())
    return Asked(
        model=request.model,
        is_stream="streamGenerateContent" in path or bool(request.stream),
        service_tier=tier,
        output_limit=config.max_output_tokens if config else None,
        details={"grounding": "enterprise"} if enterprise else NOTHING,
    )


def stream_answer(exchange: Exchange) -> StreamReader:
    """Reads the chunks of an answer."""
    return AnswerReader(exchange)


def stream_session(exchange: Exchange) -> StreamReader:
    """Reads the messages of a Live session."""
    return LiveReader(exchange)


def whole_session(body: bytes, exchange: Exchange) -> Reading:
    """Reads a Live session that was recorded, a message on each line."""
    return read_lines(LiveReader(exchange), body)


class _Statistics(msgspec.Struct):
    token_count: Wire = None


class _Embedding(msgspec.Struct):
    statistics: _Statistics | None = None


class _Prediction(msgspec.Struct, rename="camel"):
    embeddings: _Embedding | None = None
    bytes_base64_encoded: msgspec.Raw = msgspec.Raw()
    gcs_uri: msgspec.Raw = msgspec.Raw()
    text_embedding: msgspec.Raw = msgspec.Raw()
    image_embedding: msgspec.Raw = msgspec.Raw()
    video_embeddings: msgspec.Raw = msgspec.Raw()


class _PredictMetadata(msgspec.Struct, rename="camel"):
    billable_character_count: Wire = None


class _Counted(msgspec.Struct, rename="camel"):
    metadata: _PredictMetadata | None = None
    usage_metadata: UsageMetadata | None = None
    predictions: list[_Prediction] | None = None
    error: msgspec.Raw = msgspec.Raw()


_decode_counted = msgspec.json.Decoder(_Counted).decode


def whole_embeddings(body: bytes, exchange: Exchange) -> Reading:
    """Reads embeddings, whose prompt is all there is; many answers count nothing."""
    answer = _decode_counted(body)
    model = model_name(exchange.asked.model)
    if answer.usage_metadata is None or not answer.usage_metadata.is_counted:
        # Counted offline, from the request.
        return Reading(parts=(), model=model, reason="the embeddings come without counts", text_seen="")
    return _prompt_reading(usage_of(**read_leaves(answer.usage_metadata)), exchange, model)


def whole_predictions(body: bytes, exchange: Exchange) -> Reading:
    """Reads predictions: pictures by their number, embeddings by their tokens.

    Embeddings older than Gemini's are billed by the character (cloud.google.com/vertex-ai/pricing, 2026-11).
    """
    answer = _decode_counted(body)
    model = model_name(exchange.asked.model)
    predictions = answer.predictions or []
    tokens = sum(
        count_of(prediction.embeddings.statistics.token_count, "token_count")
        for prediction in predictions
        if prediction.embeddings is not None and prediction.embeddings.statistics is not None
    )
    pictures = sum(
        bool(bytes(prediction.bytes_base64_encoded) or bytes(prediction.gcs_uri))
        for prediction in predictions
    )
    characters = answer.metadata.billable_character_count if answer.metadata else None
    if characters and not pictures and not (model or "").startswith("gemini-"):
        usage = usage_of(input_character=count_of(characters, "billableCharacterCount"))
        return _prompt_reading(usage, exchange, model)
    if tokens or pictures:
        return _prompt_reading(usage_of(input=tokens, image=pictures), exchange, model)
    if bytes(answer.error):
        return free("the answer is an error: providers bill no failed request", model)
    return unread("the predictions show neither tokens nor pictures", model)


def _prompt_reading(usage: Usage, exchange: Exchange, model: str | None) -> Reading:
    if not usage:
        return unread("the answer counts no tokens", model)
    asked = exchange.asked
    conditions = Conditions(asked.service_tier, asked.region, asked.details)
    return Reading(parts=(Part(model, usage, conditions),), model=model)


class _ModalityTokens(msgspec.Struct):
    modality: str | None = None
    tokens: Wire = None


class _GroundingCount(msgspec.Struct):
    type: str | None = None
    count: Wire = None


class _InteractionUsage(msgspec.Struct):
    total_input_tokens: Wire = None
    total_cached_tokens: Wire = None
    total_output_tokens: Wire = None
    total_thought_tokens: Wire = None
    total_tool_use_tokens: Wire = None
    total_tokens: Wire = None
    input_tokens_by_modality: list[_ModalityTokens] | None = None
    cached_tokens_by_modality: list[_ModalityTokens] | None = None
    output_tokens_by_modality: list[_ModalityTokens] | None = None
    grounding_tool_count: list[_GroundingCount] | None = None


class _Interaction(msgspec.Struct):
    id: str | None = None
    model: str | None = None
    agent: str | None = None
    status: str | None = None
    service_tier: str | None = None
    usage: _InteractionUsage | None = None
    created: str | int | float | None = None


class _InteractionEvent(msgspec.Struct):
    interaction: _Interaction | None = None


_decode_interaction = msgspec.json.Decoder(_Interaction).decode
_decode_interaction_event = msgspec.json.Decoder(_InteractionEvent).decode


def whole_interaction(body: bytes, exchange: Exchange) -> Reading:
    """Reads an interaction; whoever fetches it later is shown the same, and it is billed once by its id."""
    return _read_interaction(_decode_interaction(body), exchange)


def fetched_interaction(body: bytes, exchange: Exchange) -> Reading:
    """Reads an interaction that was fetched by its id."""
    return _looked_at(_decode_interaction(body), exchange)


def _looked_at(interaction: _Interaction, exchange: Exchange) -> Reading:
    reading = _read_interaction(interaction, exchange)
    if reading.parts or reading.is_free or interaction.status not in _UNDER_WAY:
        return reading
    return free("a look at an interaction under way", reading.model)


_UNDER_WAY = ("queued", "in_progress", None)  # a stream that was cut may not say


def _read_interaction(interaction: _Interaction, exchange: Exchange) -> Reading:
    reading = _counted(interaction, exchange)
    created_us = _moment(interaction.created)
    return msgspec.structs.replace(reading, created_at_us=created_us, response_id=interaction.id)


def _moment(created: str | float | None) -> int | None:
    """Microseconds since 1970 of what an interaction is stamped with; None where it is no moment."""
    try:
        moment = datetime.fromisoformat(str(created))
    except ValueError:
        return None
    return None if moment.tzinfo is None else int(moment.timestamp() * 1_000_000)


def _counted(interaction: _Interaction, exchange: Exchange) -> Reading:
    usage = interaction.usage
    model = model_name(interaction.model or interaction.agent or exchange.asked.model)
    if usage is None or (usage.total_input_tokens is None and usage.total_output_tokens is None):
        if interaction.status in ("failed", "cancelled"):
            return free(f"the interaction {interaction.status} and counts nothing", model)
        return unread("the interaction has no usage yet: fetch it once it is done", model)
    counts = UsageMetadata(
        prompt_token_count=usage.total_input_tokens,
        cached_content_token_count=usage.total_cached_tokens,
        candidates_token_count=usage.total_output_tokens,
        thoughts_token_count=usage.total_thought_tokens,
        tool_use_prompt_token_count=usage.total_tool_use_tokens,
        total_token_count=usage.total_tokens,
        prompt_tokens_details=_modalities(usage.input_tokens_by_modality),
        cache_tokens_details=_modalities(usage.cached_tokens_by_modality),
        candidates_tokens_details=_modalities(usage.output_tokens_by_modality),
    )
    leaves = usage_of(**read_leaves(counts), **_interaction_fees(usage, model))
    asked = exchange.asked
    conditions = Conditions(interaction.service_tier or asked.service_tier, asked.region)
    if not leaves:
        return unread("the interaction counts no tokens", model)
    return Reading(parts=(Part(model, leaves, conditions),), model=model)


def _modalities(details: list[_ModalityTokens] | None) -> list[ModalityCount] | None:
    if details is None:
        return None
    return [ModalityCount((detail.modality or "").upper(), detail.tokens) for detail in details]


def _interaction_fees(usage: _InteractionUsage, model: str | None) -> dict[str, int]:
    fees: dict[str, int] = {}
    for counted in usage.grounding_tool_count or ():
        count = count_of(counted.count, f"count of {counted.type}")
        if counted.type == "google_search" and count:
            by_query = is_billed_by_query(model)
            fees["web_search" if by_query else "grounded_prompt"] = count if by_query else 1
        elif counted.type == "google_maps" and count:
            fees["maps_grounded_prompt"] = 1
    return fees


class InteractionReader:
    """Keeps the latest state of an interaction that is streamed."""

    __slots__ = ("_exchange", "_interaction", "_read")

    def __init__(
        self,
        exchange: Exchange,
        read: Callable[[_Interaction, Exchange], Reading] = _read_interaction,
    ) -> None:
        self._exchange = exchange
        self._interaction = _Interaction()
        self._read = read

    def event(self, name: str, data: bytes) -> None:
        if data == b"[DONE]":
            return
        told = _decode_interaction_event(data).interaction
        if told is not None:
            for field in _Interaction.__struct_fields__:
                value = getattr(told, field)
                if value is not None:
                    setattr(self._interaction, field, value)

    def finish(self) -> Reading:
        return self._read(self._interaction, self._exchange)


def stream_interaction(exchange: Exchange) -> StreamReader:
    """Reads the events of an interaction."""
    return InteractionReader(exchange)


def fetched_stream(exchange: Exchange) -> StreamReader:
    """Reads the events of an interaction that was fetched by its id."""
    return InteractionReader(exchange, _looked_at)


class _SentPart(msgspec.Struct):
    text: str | None = None


class _SentContent(msgspec.Struct):
    parts: list[_SentPart] | None = None


class _SentEmbedding(msgspec.Struct):
    content: _SentContent | None = None


class _Sent(msgspec.Struct, rename="camel"):
    contents: msgspec.Raw = msgspec.Raw()
    content: _SentContent | None = None
    requests: list[_SentEmbedding] | None = None
    system_instruction: msgspec.Raw = msgspec.Raw()
    tools: msgspec.Raw = msgspec.Raw()


_decode_sent = msgspec.json.Decoder(_Sent).decode


def prompt(body: bytes) -> Prompt:
    """What the request sends to be read."""
    sent = _decode_sent(body)
    texts = list(_embedded_texts(sent))
    raws = [bytes(raw) for raw in (sent.system_instruction, sent.contents) if bytes(raw)]
    for raw in raws:
        texts += _texts(msgspec.json.decode(raw))
    texts.append(bytes(sent.tools).decode("utf-8", "replace"))
    has_media = any(b'"inlineData"' in raw or b'"fileData"' in raw for raw in raws)
    return Prompt("".join(texts), 0, has_media)


def _embedded_texts(sent: _Sent) -> Iterator[str]:
    contents = [sent.content, *(request.content for request in sent.requests or ())]
    for content in contents:
        for part in (content.parts if content else None) or ():
            yield part.text or ""


def _texts(value: object) -> Iterator[str]:
    """Every text of contents, whose parts stand one level deeper than elsewhere."""
    if isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, dict) and "parts" in value:
        yield from _texts(value["parts"])
    elif isinstance(value, dict | str):
        yield from texts_in(value)


_MODEL = r"models/(?P<model>[^/:]+)"

CONTENT_ROUTES = (
    Route(
        "streamGenerateContent",
        rf"{_MODEL}:streamGenerateContent",
        whole=whole_answer,
        stream=stream_answer,
        framing=ArrayOrEvents,
        stream_marks={"candidates": None, "usageMetadata": None},
    ),
    Route(
        "generateContent",
        rf"{_MODEL}:generateContent",
        whole=whole_answer,
        stream=stream_answer,
        framing=ArrayOrEvents,
        marks={"candidates": None, "usageMetadata": None},
    ),
    Route("countTokens", rf"{_MODEL}:countTokens", free="counting tokens is free"),
    Route("computeTokens", rf"{_MODEL}:computeTokens", free="counting tokens is free"),
    Route("batchEmbedContents", rf"{_MODEL}:batchEmbedContents", whole=whole_embeddings),
    Route("embedContent", rf"{_MODEL}:embedContent", whole=whole_embeddings),
    Route("predict", rf"{_MODEL}:predict", whole=whole_predictions),
)
"""What Gemini and Vertex serve alike."""

_LIVE = r"ws/google\.ai\.generativelanguage\.\w+\.GenerativeService\.BidiGenerateContent(?:Constrained)?"

ROUTES = (
    *CONTENT_ROUTES,
    Route(
        "live",
        _LIVE,
        whole=whole_session,
        stream=stream_session,
        framing=JsonLines,
        methods=("GET", "WS"),
        marks={"setupComplete": None},
        stream_marks={"setupComplete": None},
    ),
    Route(
        "interactions",
        r"v1\w*/interactions",
        whole=whole_interaction,
        stream=stream_interaction,
        marks={"status": None, "usage": None, "steps": None},
        stream_marks={"event_type": "interaction.", "interaction": None},
    ),
    Route("interactions.cancel", r"v1\w*/interactions/[^/]+/cancel", whole=fetched_interaction),
    Route(
        "interactions.retrieve",
        r"v1\w*/interactions/[^/]+",
        whole=fetched_interaction,
        stream=fetched_stream,
        methods=("GET",),
    ),
    *GEMINI_ROUTES,
    Route(
        "batches.results",
        r"v1\w*/files/[^/]+:download",
        whole=whole_results,
        stream=stream_results,
        framing=JsonLines,
        adds_up=True,
        methods=("GET",),
        marks={"key": None, "response": None},
        stream_marks={"key": None, "response": None},
    ),
    Route("batches", r"v1\w*/batches/[^/]+", whole=whole_operation, methods=("GET",)),
    Route(
        "batchGenerateContent",
        rf"{_MODEL}:batchGenerateContent",
        free="a batch is billed by its results",
        starts="a batch",
    ),
    Route("models", r"v1\w*/models(?:/[^/:]+)?", methods=("GET",), free="listing models is free"),
)

TRAPS = f"""
- `promptTokenCount` includes `cachedContentTokenCount`; thoughts (`thoughtsTokenCount`) and what tools added
  (`toolUsePromptTokenCount`) stand beside the prompt and the candidates.
- Every chunk of a stream repeats running counts: the last ones hold, not the largest and not the sum; the
  prompt's count may change too. Without `alt=sse` the stream is one JSON array.
- Where `totalTokenCount` is more than its parts, the rest is thinking that was not shown.
- A modality is a name or a number, and details need not add up: what no detail names is text. Audio costs
  more than text, cached or not; pictures drawn have a rate of their own.
- Search is billed by the prompt up to Gemini 2.5, by the query from Gemini 3 on; empty and repeated queries
  are not billed. What search adds to the prompt is not billed either; what other tools add is.
- A Live session bills each turn for the whole context that it read: turns are summed. Thoughts are not in a
  turn's total.
- An interaction is kept, and shows its usage to whoever fetches it: it is billed once, by its id, at the call
  that began it. In the background it has none until it is fetched after it was done.
- Free allowances (grounded prompts by the day, queries by the month) and the storage of caches by the hour
  are billed by the account, not by the call: they are not in the cost of a call.
- Embeddings often come without counts: the request is counted offline, and the cost is estimated.
{OPENAI_TRAPS.strip()}
"""

DIALECT = Dialect(
    provider="gemini",
    also=("google", "google-gla", "google-ai-studio", "gemini-live"),
    hosts=(r"generativelanguage\.googleapis\.com",),
    routes=ROUTES,
    read_request=read_request,
    traps=TRAPS,
    prompt=prompt,
    accepts="/gemini",
)
