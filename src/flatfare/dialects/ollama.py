"""Ollama: its own API, and the one of OpenAI's shape.

A server of one's own bills no tokens; they are counted all the same, since fixed costs
are shared out by them.
"""

import msgspec

from flatfare.dialects.dialect import Dialect, Prompt, Route, StreamReader
from flatfare.dialects.framing import JsonLines
from flatfare.dialects.leaves import Wire, count_of, usage_of
from flatfare.dialects.openai_shape import (
    ChatBody,
    ChatShape,
    TextSeen,
    chat_routes,
    chat_usage,
    completion_routes,
    embedding_routes,
    free_routes,
    texts_in,
)
from flatfare.dialects.openai_shape import read_request as read_chat_request
from flatfare.dialects.reading import Asked, Exchange, Part, Reading, free


class _Said(msgspec.Struct):
    content: msgspec.Raw = msgspec.Raw()
    thinking: msgspec.Raw = msgspec.Raw()
    tool_calls: msgspec.Raw = msgspec.Raw()


class Answer(msgspec.Struct):
    """An answer, or one line of it; counts stand in the last."""

    model: str | None = None
    done: bool | None = None
    prompt_eval_count: Wire = None
    eval_count: Wire = None
    message: _Said | None = None
    response: msgspec.Raw = msgspec.Raw()
    thinking: msgspec.Raw = msgspec.Raw()
    error: msgspec.Raw = msgspec.Raw()


_decode = msgspec.json.Decoder(Answer).decode


def whole_answer(body: bytes, exchange: Exchange) -> Reading:
    """Reads an answer that came at once."""
    return _read(_decode(body), exchange)


def _read(answer: Answer, exchange: Exchange) -> Reading:
    model = answer.model or exchange.asked.model
    usage = usage_of(
        input=count_of(answer.prompt_eval_count, "prompt_eval_count"),
        output=count_of(answer.eval_count, "eval_count"),
    )
    if not usage:
        if bytes(answer.error):
            return free("the answer is an error: providers bill no failed request", model)
        return free("the answer counts no tokens, and a server of one's own bills none", model)
    remark = None
    if answer.prompt_eval_count is None and answer.eval_count is not None:
        remark = "the prompt was cached, and Ollama leaves its count out"
    return Reading(parts=(Part(model, usage),), model=model, reason=remark)


class LineReader:
    """Reads the lines of an answer: the last one, which says it is done, has the counts."""

    __slots__ = ("_done", "_exchange", "_model", "_text")

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._done: Answer | None = None
        self._model: str | None = None
        self._text = TextSeen()

    def event(self, name: str, data: bytes) -> None:
        line = _decode(data)
        self._model = line.model or self._model
        if line.done or bytes(line.error):
            self._done = line
        said = line.message or _Said()
        for raw in (line.response, line.thinking, said.content, said.thinking, said.tool_calls):
            self._text.keep(bytes(raw))

    def finish(self) -> Reading:
        if self._done is not None:
            return _read(self._done, self._exchange)
        return Reading(
            parts=(),
            model=self._model or self._exchange.asked.model,
            reason="the stream was cut before its last line, which has the counts",
            is_complete=False,
            text_seen=self._text.joined(),
        )


def stream_answer(exchange: Exchange) -> StreamReader:
    """Reads the lines of an answer."""
    return LineReader(exchange)


class _Options(msgspec.Struct):
    num_predict: int | None = None


class _Request(msgspec.Struct):
    model: str | None = None
    stream: bool | None = None
    options: _Options | None = None


_decode_request = msgspec.json.Decoder(_Request).decode


def read_request(body: bytes, path: str) -> Asked:
    """What a request asked for; Ollama's own API streams unless told not to."""
    if "/v1/" in path:
        return read_chat_request(body, path)
    request = _decode_request(body) if body else _Request()
    is_stream = request.stream is not False and not path.rstrip("/").endswith(("embed", "embeddings"))
    limit = request.options.num_predict if request.options else None
    return Asked(request.model, is_stream, output_limit=limit if limit and limit > 0 else None)


class _Sent(msgspec.Struct):
    prompt: str | None = None
    system: str | None = None
    messages: msgspec.Raw = msgspec.Raw()


_decode_sent = msgspec.json.Decoder(_Sent).decode


def prompt(body: bytes) -> Prompt:
    """What the request sends to be read."""
    sent = _decode_sent(body)
    texts = [sent.system or "", sent.prompt or ""]
    messages = msgspec.json.decode(sent.messages) if bytes(sent.messages) else []
    texts += texts_in(messages)
    return Prompt("".join(texts), len(messages) if isinstance(messages, list) else 0, b'"images"' in body)


CHAT = ChatShape(ChatBody, chat_usage)

ROUTES = (
    Route(
        "api.chat",
        r"api/chat",
        whole=whole_answer,
        stream=stream_answer,
        framing=JsonLines,
        marks={"done": None, "message": None, "eval_count": None},
        stream_marks={"done": None, "message": None, "created_at": None},
    ),
    Route(
        "api.generate",
        r"api/generate",
        whole=whole_answer,
        stream=stream_answer,
        framing=JsonLines,
        marks={"done": None, "response": None, "eval_count": None},
        stream_marks={"done": None, "response": None, "created_at": None},
    ),
    Route("api.embed", r"api/(?:embed|embeddings)", whole=whole_answer),
    Route("api.tags", r"api/(?:tags|ps|version)", methods=("GET",), free="it lists models and runs none"),
    *chat_routes(CHAT),
    *completion_routes(CHAT),
    *embedding_routes(),
    *free_routes(),
)

TRAPS = """
- Counts stand in the last line, which says `done: true`: `prompt_eval_count` and `eval_count`. What the model
  thought is in `eval_count`.
- `prompt_eval_count` is left out where the prompt was cached.
- A server of one's own bills no tokens: what it costs is a commitment (`flatfare commitments add`). Ollama's
  cloud is billed by subscription, likewise.
- `/api/embeddings`, the older endpoint, counts nothing.
"""

DIALECT = Dialect(
    provider="ollama",
    hosts=(r"(?:localhost|127\.0\.0\.1|0\.0\.0\.0|host\.docker\.internal):11434", r"ollama\.com"),
    routes=ROUTES,
    read_request=read_request,
    traps=TRAPS,
    prompt=prompt,
)
