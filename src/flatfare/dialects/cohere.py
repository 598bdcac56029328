"""Cohere: chat of both versions, generate, embeddings and rerankers.

What is billed stands in ``billed_units``; ``tokens`` count what was processed and cost
nothing. No answer names its model.
"""

import re

import msgspec

from flatfare.dialects.dialect import Dialect, Prompt, Route, StreamReader
from flatfare.dialects.framing import Event, JsonLines, ServerSentEvents
from flatfare.dialects.leaves import Wire, count_of, rest_of, usage_of
from flatfare.dialects.openai_shape import CHAT, TextSeen, chat_routes, embedding_routes, texts_in
from flatfare.dialects.reading import Asked, Conditions, Exchange, Part, Reading, free, unread


class BilledUnits(msgspec.Struct):
    """What Cohere bills an answer for."""

    input_tokens: Wire = None
    text_tokens: Wire = None
    output_tokens: Wire = None
    image_tokens: Wire = None
    images: Wire = None
    search_units: Wire = None
    classifications: Wire = None


class _Tokens(msgspec.Struct):
    billed_units: BilledUnits | None = None


class Answer(msgspec.Struct):
    """An answer of either version; events of a stream carry it within."""

    id: str | None = None
    usage: _Tokens | None = None  # version 2
    meta: _Tokens | None = None  # version 1, embeddings, rerankers


class _Delta(msgspec.Struct):
    usage: _Tokens | None = None
    finish_reason: str | None = None
    message: msgspec.Raw = msgspec.Raw()


class _Event(msgspec.Struct):
    type: str | None = None  # version 2
    event_type: str | None = None  # version 1
    id: str | None = None
    delta: _Delta | None = None
    response: Answer | None = None
    text: msgspec.Raw = msgspec.Raw()


_decode = msgspec.json.Decoder(Answer).decode
_decode_event = msgspec.json.Decoder(_Event).decode


def whole_answer(body: bytes, exchange: Exchange) -> Reading:
    """Reads an answer that came at once, or a stream that was kept whole."""
    try:
        return _read(_decode(body), exchange)
    except msgspec.DecodeError:
        framing, reader = LinesOrEvents(), ChatReader(exchange)
        events = (*framing.feed(body), *framing.finish())
        if len(events) < 2:
            raise
        for name, data in events:
            reader.event(name, data)
        return reader.finish()


def _read(answer: Answer, exchange: Exchange) -> Reading:
    model = exchange.asked.model
    told = answer.usage or answer.meta
    billed = told.billed_units if told else None
    if billed is None:
        return unread("the answer has no billed_units", model)
    usage = usage_of(**billed_leaves(billed))
    if all(count is None for count in msgspec.structs.astuple(billed)):
        return unread("the answer's billed_units say nothing", model)
    if not usage:
        if billed.classifications:
            return unread("classifications have no unit in the book: Cohere retired them", model)
        return free("the answer bills no units", model)
    conditions = Conditions(exchange.asked.service_tier, exchange.asked.region)
    return Reading(parts=(Part(model, usage, conditions),), model=model, response_id=answer.id)


def billed_leaves(billed: BilledUnits) -> dict[str, int]:
    """The leaves of what is billed; where text is counted apart, the input is text and pictures."""
    tokens = count_of(billed.input_tokens, "input_tokens")
    image_tokens = count_of(billed.image_tokens, "image_tokens")
    if billed.text_tokens is not None:
        text = count_of(billed.text_tokens, "text_tokens")
        if tokens > text:
            rest_of(tokens, "input_tokens", {"text_tokens": text, "image_tokens": image_tokens})
        tokens = text
    pictures = count_of(billed.images, "images")
    return {
        "input": tokens,
        "input_image": image_tokens,
        "input_image_count": 0 if image_tokens else pictures,  # pictures are billed by number or by token
        "output": count_of(billed.output_tokens, "output_tokens"),
        "search_unit": count_of(billed.search_units, "search_units"),
    }


class LinesOrEvents:
    """Server-sent events in version 2, a JSON object on each line in version 1: the first byte tells."""

    __slots__ = ("_framing", "_start")

    def __init__(self) -> None:
        self._framing: ServerSentEvents | JsonLines | None = None
        self._start = b""

    @property
    def dropped(self) -> int:
        return self._framing.dropped if self._framing is not None else 0

    def feed(self, chunk: bytes) -> list[Event]:
        if self._framing is None:
            self._start += chunk
            seen = self._start.lstrip()
            if not seen:
                return []
            self._framing = JsonLines() if seen[:1] == b"{" else ServerSentEvents()
            chunk, self._start = self._start, b""
        return self._framing.feed(chunk)

    def finish(self) -> list[Event]:
        return self._framing.finish() if self._framing is not None else []


class ChatReader:
    """Reads the events of a chat: what is billed comes with the last one."""

    __slots__ = ("_answer", "_exchange", "_id", "_text")

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._answer: Answer | None = None
        self._id: str | None = None
        self._text = TextSeen()

    def event(self, name: str, data: bytes) -> None:
        if data == b"[DONE]":
            return
        event = _decode_event(data)
        self._id = event.id or self._id
        self._text.keep(bytes(event.text))
        if event.delta is not None:
            self._text.keep(bytes(event.delta.message))
            if event.delta.usage is not None:
                self._answer = Answer(self._id, event.delta.usage)
        if event.response is not None and event.response.meta is not None:
            self._answer = event.response

    def finish(self) -> Reading:
        if self._answer is not None:
            return _read(self._answer, self._exchange)
        return Reading(
            parts=(),
            model=self._exchange.asked.model,
            reason="the stream was cut before its billed units came",
            is_complete=False,
            text_seen=self._text.joined(),
        )


def stream_answer(exchange: Exchange) -> StreamReader:
    """Reads the events of a chat."""
    return ChatReader(exchange)


class _Request(msgspec.Struct):
    model: str | None = None
    stream: bool | None = None
    max_tokens: int | None = None


_decode_request = msgspec.json.Decoder(_Request).decode
_MODEL = re.compile(rb'"model"\s*:\s*"([^"\\]{1,200})"')


def read_request(body: bytes, path: str) -> Asked:
    """What a request asked for; of one that was stored cut short, the model still."""
    try:
        request = _decode_request(body)
    except msgspec.MsgspecError:
        found = _MODEL.search(body)
        return Asked(model=found[1].decode("utf-8", "replace") if found else None)
    return Asked(request.model, bool(request.stream), output_limit=request.max_tokens)


class _Sent(msgspec.Struct):
    message: str | None = None
    prompt: str | None = None
    preamble: str | None = None
    messages: msgspec.Raw = msgspec.Raw()
    chat_history: msgspec.Raw = msgspec.Raw()
    documents: msgspec.Raw = msgspec.Raw()
    texts: list[str] = []


_decode_sent = msgspec.json.Decoder(_Sent).decode


def prompt(body: bytes) -> Prompt:
    """What the request sends to be read."""
    sent = _decode_sent(body)
    texts = [sent.message or "", sent.prompt or "", sent.preamble or "", *sent.texts]
    for raw in (sent.messages, sent.chat_history, sent.documents):
        if bytes(raw):
            texts += texts_in(msgspec.json.decode(raw))
    return Prompt("".join(texts), has_media=b'"image_url"' in body)


_CHAT_MARKS = {"finish_reason": None, "usage.billed_units": None, "message": None}

ROUTES = (
    Route(
        "chat",
        r"v[12]/chat",
        whole=whole_answer,
        stream=stream_answer,
        framing=LinesOrEvents,
        marks=_CHAT_MARKS,
        stream_marks={"type": "message-start", "delta": None},
    ),
    Route(
        "generate",
        r"v1/generate",
        whole=whole_answer,
        stream=stream_answer,
        framing=LinesOrEvents,
        marks={"generations": None, "meta.billed_units": None},
    ),
    Route("embed", r"v[12]/embed", whole=whole_answer, marks={"embeddings": None, "meta.billed_units": None}),
    Route("rerank", r"v[12]/rerank", whole=whole_answer, marks={"results": None, "meta.billed_units": None}),
    Route(
        "chat.v1",
        r"v1/chat",
        whole=whole_answer,
        stream=stream_answer,
        framing=LinesOrEvents,
        marks={"generation_id": None, "meta.billed_units": None},
        stream_marks={"event_type": "stream-start", "is_finished": None},
    ),
    Route("tokenize", r"v[12]/(?:de)?tokenize", free="tokenizing is free"),
    Route("models", r"v[12]/models(?:/.+)?", methods=("GET",), free="listing models is free"),
)

TRAPS = """
- `billed_units` are billed; `tokens` and `cached_tokens` count what was processed, prompt templates and
  all, and cost nothing.
- No answer names its model: it stands in the request alone.
- Version 2 streams server-sent events that end with `message-end`; version 1 a JSON object on each line that
  ends with `stream-end`.
- A reranker bills search units: a query with up to 100 documents. Pictures to be embedded are billed by token
  or, by older models, by number.
"""

DIALECT = Dialect(
    provider="cohere",
    hosts=(r"api\.cohere\.(?:com|ai)", r"[a-z0-9-]+\.cohere\.(?:com|ai)"),
    # The compatible endpoint counts as OpenAI does (docs.cohere.com/docs/compatibility-api, 2026-11).
    routes=(
        *ROUTES,
        *chat_routes(CHAT, "compatibility/v1/chat/completions", {"usage.billed_units": None}),
        *embedding_routes("compatibility/v1/embeddings"),
    ),
    read_request=read_request,
    traps=TRAPS,
    prompt=prompt,
)
