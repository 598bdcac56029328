"""llama.cpp's server: its own completion endpoint beside OpenAI's shape.

Tokens evaluated are the whole prompt, also where part of it stood in the cache.
"""

import msgspec

from flatfare.core.usage import Usage
from flatfare.dialects.dialect import Dialect, Route, StreamReader
from flatfare.dialects.leaves import Wire, count_of, rest_of, usage_of
from flatfare.dialects.openai_shape import (
    CHAT,
    chat_routes,
    completion_routes,
    embedding_routes,
    free_routes,
    prompt_of,
    read_request,
)
from flatfare.dialects.reading import Exchange, Part, Reading, unread

TRAPS = """
- A server of one's own has no price by the token: give it a rate, or its cost as a commitment.
- `/completion` states `tokens_evaluated` (the whole prompt) and `tokens_predicted`; `timings.cache_n` is
  what of the prompt stood in the cache. `tokens_cached` is the size of the context afterwards, not a
  saving.
- In a stream only the chunk with `stop: true` has them.
"""


class Timings(msgspec.Struct):
    """Times and counts of one request."""

    cache_n: Wire = None
    prompt_n: Wire = None
    predicted_n: Wire = None


class NativeBody(msgspec.Struct):
    """A completion, or a chunk of it."""

    model: str | None = None
    stop: bool | None = None
    tokens_evaluated: Wire = None
    tokens_predicted: Wire = None
    timings: Timings | None = None


_decode = msgspec.json.Decoder(NativeBody).decode


def _usage(answer: NativeBody) -> Usage | None:
    """The leaves, from the server's own counts (tools/server/README.md, 2026-11)."""
    if answer.tokens_evaluated is None and answer.tokens_predicted is None:
        return None
    prompt = count_of(answer.tokens_evaluated, "tokens_evaluated")
    cached = count_of(answer.timings.cache_n, "cache_n") if answer.timings else 0
    return usage_of(
        input=rest_of(prompt, "tokens_evaluated", {"cache_n": cached}),
        cache_read=cached,
        output=count_of(answer.tokens_predicted, "tokens_predicted"),
    )


def _reading(answer: NativeBody, exchange: Exchange) -> Reading:
    model = answer.model or exchange.asked.model or "default"  # older servers have one, and do not name it
    usage = _usage(answer)
    if usage is None:
        return unread("the answer does not state tokens_evaluated", model)
    return Reading(parts=(Part(model, usage),), model=model)


def _whole(body: bytes, exchange: Exchange) -> Reading:
    return _reading(_decode(body), exchange)


class NativeStream:
    """Counts stand in the chunk that stops."""

    __slots__ = ("_exchange", "_last")

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._last: NativeBody | None = None

    def event(self, name: str, data: bytes) -> None:
        if data != b"[DONE]":
            chunk = _decode(data)
            if chunk.stop:
                self._last = chunk

    def finish(self) -> Reading:
        if self._last is None:
            reason = "the stream was cut before its last chunk, which has the counts"
            return Reading(parts=(), model=self._exchange.asked.model, reason=reason, is_complete=False)
        return _reading(self._last, self._exchange)


def _stream(exchange: Exchange) -> StreamReader:
    return NativeStream(exchange)


_MARKS = {"content": None, "stop": None}

DIALECT = Dialect(
    provider="llamacpp",
    also=("llama.cpp", "llama-cpp"),
    hosts=(r"(?:localhost|127\.0\.0\.1|0\.0\.0\.0):8080",),
    routes=(
        *chat_routes(CHAT, "(?:v1/)?chat/completions"),
        *completion_routes(CHAT, "v1/completions"),
        *embedding_routes("(?:v1/)?embeddings?"),
        Route(
            endpoint="completion",
            path="(?:completions?|infill)",
            whole=_whole,
            stream=_stream,
            marks={**_MARKS, "tokens_evaluated": None},
            stream_marks=_MARKS,
        ),
        *free_routes(),
    ),
    read_request=read_request,
    traps=TRAPS,
    prompt=prompt_of,
)
