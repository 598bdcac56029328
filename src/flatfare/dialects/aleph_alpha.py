"""Aleph Alpha: completions and embeddings of the Luminous models."""

import msgspec

from flatfare.dialects.dialect import Dialect, Route, StreamReader
from flatfare.dialects.leaves import Wire, count_of, usage_of
from flatfare.dialects.openai_shape import ChatBody, ChatShape, chat_routes, chat_usage
from flatfare.dialects.reading import Asked, Exchange, Part, Reading, unread


class Answer(msgspec.Struct):
    """An answer, or one event of it."""

    model_version: str | None = None
    num_tokens_prompt_total: Wire = None
    num_tokens_generated: Wire = None


_decode = msgspec.json.Decoder(Answer).decode


class AnswerReader:
    """Keeps the counts of an answer, which its last event has."""

    __slots__ = ("_answer", "_exchange")

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._answer = Answer()

    def event(self, name: str, data: bytes) -> None:
        self.add(_decode(data))

    def add(self, answer: Answer) -> None:
        """Take an event, or the body that is all of it."""
        if answer.num_tokens_prompt_total is not None or answer.num_tokens_generated is not None:
            self._answer = answer

    def finish(self) -> Reading:
        model = self._exchange.asked.model
        usage = usage_of(
            input=count_of(self._answer.num_tokens_prompt_total, "num_tokens_prompt_total"),
            output=count_of(self._answer.num_tokens_generated, "num_tokens_generated"),
        )
        if not usage:
            return unread("the answer counts no tokens", model)
        return Reading(parts=(Part(model, usage),), model=model)


def whole_answer(body: bytes, exchange: Exchange) -> Reading:
    """Reads an answer that came at once."""
    reader = AnswerReader(exchange)
    reader.add(_decode(body))
    return reader.finish()


def stream_answer(exchange: Exchange) -> StreamReader:
    """Reads the events of an answer."""
    return AnswerReader(exchange)


class _Request(msgspec.Struct):
    model: str | None = None
    stream: bool | None = None
    maximum_tokens: int | None = None


_decode_request = msgspec.json.Decoder(_Request).decode


def read_request(body: bytes, path: str) -> Asked:
    """What a request asked for: the answer names a version of the model and not the model."""
    request = _decode_request(body) if body else _Request()
    return Asked(request.model, bool(request.stream), output_limit=request.maximum_tokens)


ROUTES = (
    Route(
        "complete",
        r"complete",
        whole=whole_answer,
        stream=stream_answer,
        marks={"completions": None, "num_tokens_generated": None},
    ),
    Route("embed", r"(?:semantic_|batch_semantic_)?embed", whole=whole_answer),
    Route("evaluate", r"(?:evaluate|explain|summarize)", whole=whole_answer),
    *chat_routes(ChatShape(ChatBody, chat_usage), r"chat/completions"),
)

TRAPS = """
- `num_tokens_prompt_total` counts the prompt of every completion that was asked for.
- The answer names the version of a model and not the model, which stands in the request alone.
"""

DIALECT = Dialect(
    provider="aleph_alpha",
    hosts=(r"api\.aleph-alpha\.com", r"[a-z0-9.-]+\.aleph-alpha\.com"),
    routes=ROUTES,
    read_request=read_request,
    traps=TRAPS,
)
