"""Amazon Bedrock: Converse and InvokeModel, whole and as AWS event streams, and batches.

The model stands in the address alone, and often the counts in the headers alone. Every
vendor's body is read by its own rule.
"""

import msgspec

from flatfare.dialects.bedrock_batch import stream_batch, whole_batch
from flatfare.dialects.bedrock_converse import Performance, ServiceTier, stream_converse, whole_converse
from flatfare.dialects.bedrock_invoke import (
    stream_invocation,
    stream_messages,
    whole_invocation,
    whole_messages,
)
from flatfare.dialects.dialect import Dialect, Prompt, Route
from flatfare.dialects.eventstream import EventStream
from flatfare.dialects.framing import JsonLines
from flatfare.dialects.openai_shape import texts_in
from flatfare.dialects.reading import NOTHING, Asked


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
    performance_config: Performance | None = None
    inference_config: _InferenceConfig | None = None
    image_generation_config: _PictureConfig | None = None
    snake_max_tokens: int | None = msgspec.field(default=None, name="max_tokens")
    max_gen_len: int | None = msgspec.field(default=None, name="max_gen_len")


_decode_request = msgspec.json.Decoder(_Request).decode
_decode_tier = msgspec.json.Decoder(ServiceTier).decode


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
