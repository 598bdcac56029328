"""IBM watsonx.ai: text generation and chat.

Text generation counts per result; over a stream the prompt is counted in the first event,
and what was written is cumulative.
"""

import msgspec

from flatfare.dialects.dialect import Dialect, Route, StreamReader
from flatfare.dialects.leaves import Wire, count_of, usage_of
from flatfare.dialects.openai_shape import ChatBody as OpenAIBody
from flatfare.dialects.openai_shape import (
    Choice,
    TextSeen,
    chat_usage,
    prompt_of,
)
from flatfare.dialects.reading import Asked, Conditions, Exchange, Part, Reading, unread


class _Result(msgspec.Struct):
    generated_token_count: Wire = None
    input_token_count: Wire = None
    generated_text: msgspec.Raw = msgspec.Raw()


class Answer(OpenAIBody):
    """An answer of text generation, of chat, or of embeddings; or one event of it."""

    model_id: str | None = None
    results: list[_Result] | None = None
    input_token_count: Wire = None  # embeddings, rerankers
    choices: list[Choice] | None = None


_decode = msgspec.json.Decoder(Answer).decode


class AnswerReader:
    """Adds up an answer over its events: the prompt is told once, what was written grows."""

    __slots__ = ("_answer", "_exchange", "_is_counted", "_read", "_text", "_written")

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._answer = Answer()
        self._is_counted = False
        self._read = 0
        self._written = 0
        self._text = TextSeen()

    def event(self, name: str, data: bytes) -> None:
        if data != b"[DONE]":
            self.add(_decode(data))

    def add(self, answer: Answer) -> None:
        """Take an event, or the body that is all of it."""
        self._answer.model_id = answer.model_id or answer.model or self._answer.model_id
        self._answer.usage = answer.usage or self._answer.usage
        self._text.add(answer.choices)
        results = answer.results or ()
        read = sum(count_of(result.input_token_count, "input_token_count") for result in results)
        written = sum(count_of(result.generated_token_count, "generated_token_count") for result in results)
        self._read = max(self._read, read + count_of(answer.input_token_count, "input_token_count"))
        self._written = max(self._written, written)
        self._is_counted = self._is_counted or answer.input_token_count is not None
        for result in results:
            self._text.keep(bytes(result.generated_text))
            self._is_counted = self._is_counted or result.generated_token_count is not None

    def finish(self) -> Reading:
        model = self._answer.model_id or self._exchange.asked.model
        usage = chat_usage(self._answer)
        if usage is None and self._is_counted:
            usage = usage_of(input=self._read, output=self._written)
        if usage:
            conditions = Conditions(None, self._exchange.asked.region)
            return Reading(parts=(Part(model, usage, conditions),), model=model)
        text = self._text.joined()
        if not text:
            return unread("the answer counts no tokens", model)
        return Reading(parts=(), model=model, reason="the answer counts no tokens", text_seen=text)


def whole_answer(body: bytes, exchange: Exchange) -> Reading:
    """Reads an answer that came at once."""
    reader = AnswerReader(exchange)
    reader.add(_decode(body))
    return reader.finish()


def stream_answer(exchange: Exchange) -> StreamReader:
    """Reads the events of an answer."""
    return AnswerReader(exchange)


class _Parameters(msgspec.Struct):
    max_new_tokens: int | None = None


class _Request(msgspec.Struct):
    model_id: str | None = None
    max_tokens: int | None = None
    parameters: _Parameters | None = None


_decode_request = msgspec.json.Decoder(_Request).decode


def read_request(body: bytes, path: str) -> Asked:
    """What a request asked for."""
    request = _decode_request(body) if body else _Request()
    limit = request.max_tokens or (request.parameters.max_new_tokens if request.parameters else None)
    return Asked(request.model_id, "_stream" in path, output_limit=limit)


_VERSION = r"ml/v1[^/]*"
_MARKS = {"model_id": None, "results": None, "created_at": None}

ROUTES = (
    Route(
        "generation",
        rf"{_VERSION}/(?:deployments/[^/]+/)?(?:text/)?generation",
        whole=whole_answer,
        marks=_MARKS,
    ),
    Route(
        "text_stream",
        rf"{_VERSION}/(?:deployments/[^/]+/)?(?:text/generation_stream|generation/text_stream)",
        whole=whole_answer,
        stream=stream_answer,
        stream_marks=_MARKS,
    ),
    Route(
        "chat",
        rf"{_VERSION}/(?:deployments/[^/]+/)?text/chat(?:_stream)?",
        whole=whole_answer,
        stream=stream_answer,
    ),
    Route("embeddings", rf"{_VERSION}/text/embeddings", whole=whole_answer),
    Route("rerank", rf"{_VERSION}/text/rerank", whole=whole_answer),
    Route("tokenization", rf"{_VERSION}/text/tokenization", free="tokenizing is free"),
)

TRAPS = """
- Over a stream the first event counts the prompt and the others count none; `generated_token_count` is
  cumulative: the largest counts hold, not the sums.
- Results of one answer are summed: each has its prompt's count.
- Chat counts as OpenAI does, and names its model `model_id` or `model`.
"""

DIALECT = Dialect(
    provider="watsonx",
    hosts=(r"(?P<region>[a-z0-9-]+)\.ml\.cloud\.ibm\.com",),
    routes=ROUTES,
    read_request=read_request,
    traps=TRAPS,
    prompt=prompt_of,
)
