"""Bedrock's InvokeModel: each vendor's own body, read by its own rule, whole and in chunks.

Often the counts stand in the headers alone.
"""

from collections.abc import Mapping

import msgspec

from flatfare.core.errors import Contradiction
from flatfare.dialects.anthropic_shape import Message, MessageStream, read_message
from flatfare.dialects.bedrock_converse import (
    Converse,
    StreamEvent,
    TokenUsage,
    conditions_of,
    converse_leaves,
    reading_of,
    served_by,
)
from flatfare.dialects.dialect import StreamReader
from flatfare.dialects.leaves import Wire, count_of
from flatfare.dialects.openai_shape import ChatBody, TextSeen, chat_usage
from flatfare.dialects.reading import Exchange, Reading, unread

DOCUMENTS_A_QUERY = 100
"""A reranked query is billed for each hundred documents (aws.amazon.com/bedrock/pricing, 2026-11)."""


class _Metrics(msgspec.Struct, rename="camel"):
    input_token_count: Wire = None
    output_token_count: Wire = None
    cache_read_input_token_count: Wire = None
    cache_write_input_token_count: Wire = None


class _TitanResult(msgspec.Struct, rename="camel"):
    token_count: Wire = None


class _Vendor(msgspec.Struct):
    """Where the bodies of all vendors keep their counts."""

    type: str | None = None
    model: str | None = None
    usage: msgspec.Raw = msgspec.Raw()
    metadata: Converse | None = None  # Nova, in streams
    prompt_token_count: Wire = None  # Llama
    generation_token_count: Wire = None
    input_text_token_count: Wire = msgspec.field(default=None, name="inputTextTokenCount")  # Titan
    total_output_text_token_count: Wire = msgspec.field(default=None, name="totalOutputTextTokenCount")
    results: list[_TitanResult] | None = None  # Titan: texts; rerankers: documents
    images: list[msgspec.Raw] | None = None  # Titan, Nova Canvas, Stability
    artifacts: list[msgspec.Raw] | None = None  # Stability's older models
    metrics: _Metrics | None = msgspec.field(default=None, name="amazon-bedrock-invocationMetrics")


class _VendorUsage(TokenUsage):
    """The counts of Amazon's models, and of those that count as OpenAI does."""

    prompt_tokens: Wire = msgspec.field(default=None, name="prompt_tokens")
    completion_tokens: Wire = msgspec.field(default=None, name="completion_tokens")


_decode_vendor = msgspec.json.Decoder(_Vendor).decode
_decode_vendor_usage = msgspec.json.Decoder(_VendorUsage).decode
_decode_chat = msgspec.json.Decoder(ChatBody).decode
_decode_message = msgspec.json.Decoder(Message).decode


def whole_invocation(body: bytes, exchange: Exchange) -> Reading:
    """Reads a vendor's own body; the headers count where the body does not."""
    vendor = _decode_vendor(body)
    if vendor.type == "message" and bytes(vendor.usage) not in (b"", b"null"):
        return _of_message(_decode_message(body), exchange)
    fees = _fees(vendor, exchange.asked.model)
    counts = _body_counts(vendor, body)
    if counts is None:
        counts = _header_counts(exchange.headers)
    if counts is None and not fees:
        return unread(_NO_COUNTS, exchange.asked.model)
    return reading_of({**(counts or {}), **fees}, exchange, told=vendor.model)


_NO_COUNTS = (
    "neither the body nor the headers count tokens: keep the answer's x-amzn-bedrock-*-token-count headers"
)


def _of_message(message: Message, exchange: Exchange) -> Reading:
    """Claude's own body."""
    return on_bedrock(read_message(message, exchange), exchange)


def on_bedrock(reading: Reading, exchange: Exchange) -> Reading:
    """A reading of Claude's own shape at the rates of the model that was addressed, and of its place."""
    asked = exchange.asked.model
    conditions = conditions_of(exchange, None, None, asked)
    served = served_by(asked, reading.model)
    parts = tuple(
        msgspec.structs.replace(
            part, model=served if part.model == reading.model else part.model, conditions=conditions
        )
        for part in reading.parts
    )
    return msgspec.structs.replace(reading, parts=parts, model=served)


def _body_counts(vendor: _Vendor, body: bytes) -> dict[str, int] | None:
    """The counts in a body, each by its vendor's rule; None where it has none."""
    if bytes(vendor.usage) not in (b"", b"null"):
        usage = _decode_vendor_usage(vendor.usage)
        if usage.prompt_tokens is not None or usage.completion_tokens is not None:
            chat = chat_usage(_decode_chat(body))
            return {unit: int(count) for unit, count in chat.items()} if chat is not None else None
        if usage.input_tokens is not None or usage.output_tokens is not None:
            return converse_leaves(usage)
    if vendor.prompt_token_count is not None or vendor.generation_token_count is not None:
        return {
            "input": count_of(vendor.prompt_token_count, "prompt_token_count"),
            "output": count_of(vendor.generation_token_count, "generation_token_count"),
        }
    if vendor.input_text_token_count is not None:
        answers = sum(count_of(result.token_count, "tokenCount") for result in vendor.results or ())
        total = count_of(vendor.total_output_text_token_count, "totalOutputTextTokenCount")
        return {
            "input": count_of(vendor.input_text_token_count, "inputTextTokenCount"),
            "output": answers or total,
        }
    if vendor.metrics is not None:
        return _metered(vendor.metrics)
    return None


def _metered(metrics: _Metrics) -> dict[str, int]:
    """Bedrock's own counts, in the last event of a stream."""
    return {
        "input": count_of(metrics.input_token_count, "inputTokenCount"),
        "cache_read": count_of(metrics.cache_read_input_token_count, "cacheReadInputTokenCount"),
        "cache_write_5m": count_of(metrics.cache_write_input_token_count, "cacheWriteInputTokenCount"),
        "output": count_of(metrics.output_token_count, "outputTokenCount"),
    }


def _header_counts(headers: Mapping[str, str]) -> dict[str, int] | None:
    counts = {unit: headers.get(f"x-amzn-bedrock-{name}-token-count") for name, unit in _HEADERS.items()}
    if counts["input"] is None and counts["output"] is None:
        return None
    return {unit: _header_count(value) for unit, value in counts.items()}


_HEADERS = {
    "input": "input",
    "output": "output",
    "cache-read-input": "cache_read",
    "cache-write-input": "cache_write_5m",
}


def _header_count(value: str | None) -> int:
    text = (value or "0").strip()
    if not text.isdecimal() or len(text) > 16:
        raise Contradiction(f"Found {text[:40]!r} in a token-count header: a count is a whole number.")
    return count_of(int(text), "token count of a header")


def _fees(vendor: _Vendor, model: str | None) -> dict[str, int]:
    """What is billed by the picture or by the query: pictures drawn, documents reranked."""
    pictures = len(vendor.images or ()) + len(vendor.artifacts or ())
    if pictures and "embed" not in (model or ""):
        return {"image": pictures}
    if vendor.results and "rerank" in (model or ""):
        return {"search_unit": -(-len(vendor.results) // DOCUMENTS_A_QUERY)}
    return {}


class _Chunk(msgspec.Struct):
    data: bytes | None = msgspec.field(default=None, name="bytes")


class _Spoken(msgspec.Struct, rename="camel"):
    """Where the chunks of the vendors keep their text."""

    generation: msgspec.Raw = msgspec.Raw()
    output_text: msgspec.Raw = msgspec.Raw()
    completion: msgspec.Raw = msgspec.Raw()
    text: msgspec.Raw = msgspec.Raw()
    outputs: msgspec.Raw = msgspec.Raw()
    choices: msgspec.Raw = msgspec.Raw()
    content_block_delta: StreamEvent | None = None


_decode_chunk = msgspec.json.Decoder(_Chunk).decode
_decode_spoken = msgspec.json.Decoder(_Spoken).decode


class InvocationReader:
    """Reads the chunks of a vendor's own stream: Claude's as its events, others by the last that counts."""

    __slots__ = ("_claude", "_counts", "_exchange", "_model", "_problem", "_text")

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._claude: MessageStream | None = None
        self._counts: dict[str, int] | None = None
        self._model: str | None = None
        self._problem: str | None = None
        self._text = TextSeen()

    def event(self, name: str, data: bytes) -> None:
        if name != "chunk":
            if name.lower().endswith(("exception", "error")):
                self._problem = f"the stream ended in {name}"
            return
        piece = _decode_chunk(data).data
        if not piece:
            return
        vendor = _decode_vendor(piece)
        self._model = vendor.model or self._model
        if vendor.type == "message_start":
            self._claude = MessageStream(self._exchange)
        if self._claude is not None:
            self._claude.event("", piece)
        counts = self._counted(vendor, piece)
        if counts is not None:
            self._counts = counts
        if self._claude is None:
            self._keep(_decode_spoken(piece))

    def _keep(self, said: _Spoken) -> None:
        for raw in (
            said.generation,
            said.output_text,
            said.completion,
            said.text,
            said.outputs,
            said.choices,
        ):
            self._text.keep(bytes(raw))
        if said.content_block_delta is not None and said.content_block_delta.delta is not None:
            self._text.keep(bytes(said.content_block_delta.delta.text))

    def _counted(self, vendor: _Vendor, piece: bytes) -> dict[str, int] | None:
        """What this chunk counts; Bedrock's own count of the whole stream goes before a vendor's."""
        if vendor.metrics is not None:
            return _metered(vendor.metrics)
        if self._claude is not None:
            return None
        if vendor.metadata is not None and vendor.metadata.usage is not None:
            return converse_leaves(vendor.metadata.usage)
        return _body_counts(vendor, piece)

    def finish(self) -> Reading:
        if self._claude is not None:
            return self._of_claude(self._claude.finish())
        if self._counts is not None:
            return reading_of(self._counts, self._exchange, told=self._model)
        return Reading(
            parts=(),
            model=self._exchange.asked.model,
            reason=self._problem or "the stream was cut before its counts came",
            is_complete=False,
            text_seen=self._text.joined(),
        )

    def _of_claude(self, reading: Reading) -> Reading:
        is_short = not reading.is_free and not (reading.parts and reading.is_complete)
        if is_short and self._counts is not None:
            return reading_of(self._counts, self._exchange, told=reading.model)
        return on_bedrock(reading, self._exchange)


def stream_invocation(exchange: Exchange) -> StreamReader:
    """Reads the chunks of InvokeModelWithResponseStream."""
    return InvocationReader(exchange)


class MessagesReader:
    """Reads a stream of Claude's own API on Bedrock."""

    __slots__ = ("_exchange", "_stream")

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._stream = MessageStream(exchange)

    def event(self, name: str, data: bytes) -> None:
        self._stream.event(name, data)

    def finish(self) -> Reading:
        return on_bedrock(self._stream.finish(), self._exchange)


def whole_messages(body: bytes, exchange: Exchange) -> Reading:
    """Reads an answer of Claude's own API on Bedrock."""
    return _of_message(_decode_message(body), exchange)


def stream_messages(exchange: Exchange) -> StreamReader:
    """Reads a stream of Claude's own API on Bedrock."""
    return MessagesReader(exchange)
