"""Amazon Bedrock: Converse and InvokeModel, whole and as AWS event streams, and batches.

The model stands in the address alone, and often the counts in the headers alone. Every
vendor's body is read by its own rule.
"""

from collections.abc import Mapping

import msgspec

from flatfare.core.errors import Contradiction
from flatfare.dialects.anthropic_shape import Message, MessageStream, read_message
from flatfare.dialects.dialect import Dialect, Prompt, Route, StreamReader, read_lines
from flatfare.dialects.eventstream import EventStream
from flatfare.dialects.framing import JsonLines
from flatfare.dialects.leaves import Wire, count_of, rest_of, usage_of
from flatfare.dialects.openai_shape import ChatBody, TextSeen, chat_usage, texts_in
from flatfare.dialects.parts import merged
from flatfare.dialects.reading import NOTHING, Asked, Conditions, Exchange, Part, Reading, free, unread

DOCUMENTS_A_QUERY = 100
"""A reranked query is billed for each hundred documents (aws.amazon.com/bedrock/pricing, 2026-11)."""


class _CacheDetail(msgspec.Struct, rename="camel"):
    ttl: str | None = None
    input_tokens: Wire = None


class TokenUsage(msgspec.Struct, rename="camel"):
    """The counts of Converse, and of Amazon's own models."""

    input_tokens: Wire = None
    output_tokens: Wire = None
    total_tokens: Wire = None
    cache_read_input_tokens: Wire = None
    cache_write_input_tokens: Wire = None
    cache_read_input_token_count: Wire = None  # the older name of the same
    cache_write_input_token_count: Wire = None
    cache_details: list[_CacheDetail] | None = None


class _ServiceTier(msgspec.Struct):
    type: str | None = None


class _Performance(msgspec.Struct):
    latency: str | None = None


class _Router(msgspec.Struct, rename="camel"):
    invoked_model_id: str | None = None


class _Trace(msgspec.Struct, rename="camel"):
    prompt_router: _Router | None = None


class _ToolUse(msgspec.Struct):
    name: str | None = None
    type: str | None = None


class _Block(msgspec.Struct, rename="camel"):
    tool_use: _ToolUse | None = None


class _SaidMessage(msgspec.Struct):
    content: list[_Block] | None = None


class _Output(msgspec.Struct):
    message: _SaidMessage | None = None


class Converse(msgspec.Struct, rename="camel"):
    """An answer of Converse, or the last event of its stream."""

    usage: TokenUsage | None = None
    output: _Output | None = None
    service_tier: _ServiceTier | None = None
    performance_config: _Performance | None = None
    trace: _Trace | None = None


_decode_converse = msgspec.json.Decoder(Converse).decode


def converse_leaves(usage: TokenUsage) -> dict[str, int]:
    """The leaves of Converse, whose input leaves the cache out and whose total includes it."""
    prompt = count_of(usage.input_tokens, "inputTokens")
    answer = count_of(usage.output_tokens, "outputTokens")
    read = _either(usage.cache_read_input_tokens, usage.cache_read_input_token_count, "cacheReadInputTokens")
    written = _either(
        usage.cache_write_input_tokens, usage.cache_write_input_token_count, "cacheWriteInputTokens"
    )
    if usage.total_tokens is not None:
        total = count_of(usage.total_tokens, "totalTokens")
        if total not in (prompt + answer + read + written, prompt + answer):
            raise Contradiction(
                f"Found totalTokens {total}, which its parts do not add up to: input {prompt}, "
                f"output {answer}, cache read {read}, cache written {written}."
            )
    hour = 0
    for detail in usage.cache_details or ():
        if detail.ttl == "1h":
            hour += count_of(detail.input_tokens, "cacheDetails.inputTokens")
    return {
        "input": prompt,
        "cache_read": read,
        "cache_write_5m": rest_of(written, "cacheWriteInputTokens", {"cacheDetails of 1h": hour}),
        "cache_write_1h": hour,
        "output": answer,
    }


def _either(count: Wire, older_name: Wire, name: str) -> int:
    return count_of(older_name if count is None else count, name)


def _conditions(exchange: Exchange, tier: str | None, latency: str | None, model: str | None) -> Conditions:
    """Tier, place and latency of a call; capacity that was bought ahead is known by the model's ARN."""
    headers, asked = exchange.headers, exchange.asked
    tier = tier or headers.get("x-amzn-bedrock-service-tier") or asked.service_tier
    latency = (
        latency or headers.get("x-amzn-bedrock-performanceconfig-latency") or asked.details.get("latency")
    )
    if tier == "reserved" or any(kind in (model or "") for kind in _BOUGHT_AHEAD):
        tier = "provisioned"
    details = {name: value for name, value in asked.details.items() if name != "latency"}
    if latency == "optimized":
        details["latency"] = latency
    return Conditions("standard" if tier == "default" else tier, asked.region, details or NOTHING)


_BOUGHT_AHEAD = (":provisioned-model/", ":imported-model/", ":custom-model-deployment/")
"""Models whose use is billed by the hour of their capacity and not by the token."""


def _served(asked: str | None, told: str | None) -> str | None:
    """The model that served: as addressed, but where the address hides it and the answer tells."""
    is_hidden = asked is None or ":application-inference-profile/" in asked or "prompt-router/" in asked
    return told or asked if is_hidden else asked


def _reading(
    counts: dict[str, int],
    exchange: Exchange,
    told: str | None = None,
    tier: str | None = None,
    latency: str | None = None,
) -> Reading:
    model = _served(exchange.asked.model, told)
    conditions = _conditions(exchange, tier, latency, exchange.asked.model)
    usage = usage_of(**counts)
    if not usage:
        return unread("the answer counts no tokens", model)
    return Reading(parts=(Part(model, usage, conditions),), model=model)


def _read_converse(answer: Converse, exchange: Exchange, grounded: int = 0) -> Reading:
    usage = answer.usage
    if usage is None or (usage.input_tokens is None and usage.output_tokens is None):
        return unread("the answer has no usage", exchange.asked.model)
    router = answer.trace.prompt_router if answer.trace else None
    for block in (answer.output.message.content if answer.output and answer.output.message else None) or ():
        grounded += _is_grounding(block)
    return _reading(
        {**converse_leaves(usage), "web_search": grounded},
        exchange,
        told=router.invoked_model_id if router else None,
        tier=answer.service_tier.type if answer.service_tier else None,
        latency=answer.performance_config.latency if answer.performance_config else None,
    )


def _is_grounding(block: _Block) -> bool:
    """Whether Nova searched the web here (Nova user guide, Web Grounding, 2026-11)."""
    return block.tool_use is not None and block.tool_use.name == "nova_grounding"


def whole_converse(body: bytes, exchange: Exchange) -> Reading:
    """Reads an answer of Converse."""
    return _read_converse(_decode_converse(body), exchange)


class _ReasoningDelta(msgspec.Struct):
    text: msgspec.Raw = msgspec.Raw()


class _ToolDelta(msgspec.Struct):
    input: msgspec.Raw = msgspec.Raw()


class _Delta(msgspec.Struct, rename="camel"):
    text: msgspec.Raw = msgspec.Raw()
    reasoning_content: _ReasoningDelta | None = None
    tool_use: _ToolDelta | None = None


class _StreamEvent(msgspec.Struct):
    delta: _Delta | None = None
    start: _Block | None = None


_decode_stream_event = msgspec.json.Decoder(_StreamEvent).decode


class ConverseReader:
    """Reads the events of ConverseStream: counts come with the last one."""

    __slots__ = ("_answer", "_exchange", "_grounded", "_problem", "_text")

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._answer: Converse | None = None
        self._grounded = 0
        self._problem: str | None = None
        self._text = TextSeen()

    def event(self, name: str, data: bytes) -> None:
        if name == "metadata":
            self._answer = _decode_converse(data)
        elif name == "contentBlockStart":
            start = _decode_stream_event(data).start
            self._grounded += start is not None and _is_grounding(start)
        elif name == "contentBlockDelta":
            self._delta(_decode_stream_event(data).delta or _Delta())
        elif name.lower().endswith(("exception", "error")):
            self._problem = f"the stream ended in {name}"

    def _delta(self, delta: _Delta) -> None:
        self._text.keep(bytes(delta.text))
        if delta.reasoning_content is not None:
            self._text.keep(bytes(delta.reasoning_content.text))
        if delta.tool_use is not None:
            self._text.keep(bytes(delta.tool_use.input))

    def finish(self) -> Reading:
        if self._answer is not None:
            return _read_converse(self._answer, self._exchange, self._grounded)
        return Reading(
            parts=(),
            model=self._exchange.asked.model,
            reason=self._problem or "the stream was cut before its usage came",
            is_complete=False,
            text_seen=self._text.joined(),
        )


def stream_converse(exchange: Exchange) -> StreamReader:
    """Reads the events of ConverseStream."""
    return ConverseReader(exchange)


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
    return _reading({**(counts or {}), **fees}, exchange, told=vendor.model)


_NO_COUNTS = (
    "neither the body nor the headers count tokens: keep the answer's x-amzn-bedrock-*-token-count headers"
)


def _of_message(message: Message, exchange: Exchange) -> Reading:
    """Claude's own body."""
    return on_bedrock(read_message(message, exchange), exchange)


def on_bedrock(reading: Reading, exchange: Exchange) -> Reading:
    """A reading of Claude's own shape at the rates of the model that was addressed, and of its place."""
    asked = exchange.asked.model
    conditions = _conditions(exchange, None, None, asked)
    served = _served(asked, reading.model)
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
    content_block_delta: _StreamEvent | None = None


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
            return _reading(self._counts, self._exchange, told=self._model)
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
            return _reading(self._counts, self._exchange, told=reading.model)
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


class _Record(msgspec.Struct, rename="camel"):
    model_output: msgspec.Raw = msgspec.Raw()


class _Kind(msgspec.Struct):
    metrics: msgspec.Raw = msgspec.Raw()
    output: msgspec.Raw = msgspec.Raw()


_decode_record = msgspec.json.Decoder(_Record).decode
_decode_kind = msgspec.json.Decoder(_Kind).decode


class BatchReader:
    """Gathers the records of a batch's output, each the body of an InvokeModel or a Converse answer."""

    __slots__ = ("_exchange", "_model", "_parts", "_problem")

    def __init__(self, exchange: Exchange) -> None:
        asked = msgspec.structs.replace(exchange.asked, service_tier="batch")
        self._exchange = msgspec.structs.replace(exchange, asked=asked, headers=NOTHING)
        self._parts: list[Part] = []
        self._model: str | None = exchange.asked.model
        self._problem: str | None = None

    def event(self, name: str, data: bytes) -> None:
        body = bytes(_decode_record(data).model_output)
        if body in (b"", b"null"):  # an error stands in its place
            return
        is_converse = bytes(_decode_kind(body).metrics) not in (b"", b"null")
        reading = (whole_converse if is_converse else whole_invocation)(body, self._exchange)
        self._model = self._model or reading.model
        self._parts += reading.parts
        if not reading.parts and not reading.is_free:
            self._problem = reading.reason

    def finish(self) -> Reading:
        if self._problem is not None:
            return unread(f"a record of the batch cannot be read: {self._problem}", self._model)
        if not self._parts:
            return free("no record of the batch is billed: those that failed cost nothing", self._model)
        parts = (
            msgspec.structs.replace(
                part,
                conditions=msgspec.structs.replace(part.conditions, service_tier="batch"),
            )
            for part in self._parts
        )
        return Reading(parts=merged(parts), model=self._model)


def whole_batch(body: bytes, exchange: Exchange) -> Reading:
    """Reads a batch's output that came at once."""
    return read_lines(BatchReader(exchange), body)


def stream_batch(exchange: Exchange) -> StreamReader:
    """Reads a batch's output as it comes."""
    return BatchReader(exchange)


class _InferenceConfig(msgspec.Struct, rename="camel"):
    max_tokens: int | None = None


class _PictureConfig(msgspec.Struct):
    width: int | None = None
    height: int | None = None
    quality: str | None = None


class _Request(msgspec.Struct, rename="camel"):
    model: str | None = None
    stream: bool | None = None
    service_tier: msgspec.Raw = msgspec.Raw()
    performance_config: _Performance | None = None
    inference_config: _InferenceConfig | None = None
    image_generation_config: _PictureConfig | None = None
    snake_max_tokens: int | None = msgspec.field(default=None, name="max_tokens")
    max_gen_len: int | None = msgspec.field(default=None, name="max_gen_len")


_decode_request = msgspec.json.Decoder(_Request).decode
_decode_tier = msgspec.json.Decoder(_ServiceTier).decode


def read_request(body: bytes, path: str) -> Asked:
    """What a request asked for: tier and latency, and of pictures their size."""
    is_stream = "-stream" in path
    if not body:
        return Asked(is_stream=is_stream)
    request = _decode_request(body)
    raw_tier = bytes(request.service_tier)
    tier = _decode_tier(raw_tier).type if raw_tier[:1] == b"{" else None
    config = request.inference_config
    limit = (config.max_tokens if config else None) or request.snake_max_tokens or request.max_gen_len
    details = {}
    if request.performance_config is not None and request.performance_config.latency:
        details["latency"] = request.performance_config.latency
    if (picture := request.image_generation_config) is not None:
        if picture.width and picture.height:
            details["size"] = f"{picture.width}x{picture.height}"
        details["quality"] = picture.quality or "standard"
    return Asked(
        model=request.model,
        is_stream=is_stream or bool(request.stream),
        service_tier=tier,
        output_limit=limit,
        details=details or NOTHING,
    )


def prompt(body: bytes) -> Prompt:
    """What the request sends to be read."""
    sent = msgspec.json.decode(body)
    if not isinstance(sent, dict):
        return Prompt("")
    keys = ("system", "messages", "prompt", "inputText", "message", "texts")
    texts = [text for key in keys for text in texts_in(sent.get(key))]
    messages = sent.get("messages")
    has_media = b'"image"' in body or b'"document"' in body or b'"video"' in body
    return Prompt("".join(texts), len(messages) if isinstance(messages, list) else 0, has_media)


_MODEL = r"model/(?P<model>.+)"

ROUTES = (
    Route(
        "converse",
        rf"{_MODEL}/converse",
        whole=whole_converse,
        marks={"output": None, "usage": None, "stopReason": None},
    ),
    Route(
        "converse-stream",
        rf"{_MODEL}/converse-stream",
        whole=whole_converse,
        stream=stream_converse,
        framing=EventStream,
    ),
    Route("invoke", rf"{_MODEL}/invoke", whole=whole_invocation, marks={"inputTextTokenCount": None}),
    Route(  # the same, known by another look
        "invoke",
        rf"{_MODEL}/invoke",
        whole=whole_invocation,
        marks={"generation": None, "prompt_token_count": None},
    ),
    Route(
        "invoke-with-response-stream",
        rf"{_MODEL}/invoke-with-response-stream",
        whole=whole_invocation,
        stream=stream_invocation,
        framing=EventStream,
    ),
    Route("count-tokens", rf"{_MODEL}/count-tokens", free="counting tokens is free"),
    Route("messages.count_tokens", r"anthropic/v1/messages/count_tokens", free="counting tokens is free"),
    Route("messages", r"anthropic/v1/messages", whole=whole_messages, stream=stream_messages),
    Route(
        "batch.results",
        r"model-invocation-job/[^/]+/results",  # a name of ours: the results lie in a bucket
        whole=whole_batch,
        stream=stream_batch,
        framing=JsonLines,
        adds_up=True,
        methods=("GET",),
        marks={"recordId": None, "modelOutput": None},
        stream_marks={"recordId": None, "modelOutput": None},
    ),
)

TRAPS = """
- The model stands in the address alone, perhaps as an ARN; the prefix of an inference profile (`us.`, `eu.`,
  `global.` …) and the region choose the rates. An application inference profile hides the model: give it a
  price by its ARN.
- Converse leaves the cache out of `inputTokens`, and includes it in `totalTokens`. Writes to the cache live
  for 5 minutes, but for what `cacheDetails` gives an hour.
- Counts of InvokeModel stand in the vendor's body, or in `x-amzn-bedrock-*-token-count` headers alone
  (Cohere, Mistral, Nova's embeddings): keep the headers. Streams end with
  `amazon-bedrock-invocationMetrics`, which include the cache's counts.
- `serviceTier` may be flex, priority or reserved; latency-optimised inference has rates of its own.
  Provisioned throughput, imported and custom models are billed by the hour of their capacity and not by the
  token.
- Pictures are billed by the picture, a reranked query by each hundred documents.
- A prompt router names the model that it chose in `trace.promptRouter`.
- Guardrails are billed by AWS beside the model, by their text units: they are not in the cost of the call.
- Records of a batch are billed at the batch tier; the file does not name the model: name it.
"""

DIALECT = Dialect(
    provider="bedrock",
    also=("aws", "aws-bedrock", "amazon-bedrock"),
    hosts=(
        r"bedrock-runtime(?:-fips)?\.(?P<region>[a-z0-9-]+)\.(?:amazonaws\.com(?:\.cn)?|api\.aws)",
        r"bedrock-mantle\.(?P<region>[a-z0-9-]+)\.api\.aws",  # its Messages alone; the rest is OpenAI-shaped
        r"[a-z0-9-]+\.bedrock-runtime(?:-fips)?\.(?P<region>[a-z0-9-]+)\.vpce\.amazonaws\.com",
    ),
    routes=ROUTES,
    read_request=read_request,
    traps=TRAPS,
    prompt=prompt,
    accepts="/bedrock",
)
