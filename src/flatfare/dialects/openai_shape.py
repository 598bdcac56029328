"""The shape of OpenAI's chat completions, which half of the providers copied, and how it is read.

The prompt's total includes what was cached, written to the cache, heard and seen; the
completion's total includes reasoning and what was spoken. The leaves are the parts and
the rest.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Generic, TypeVar, cast

import msgspec

from flatfare.core.usage import Count, Usage
from flatfare.dialects.dialect import Prompt, Route, StreamReader
from flatfare.dialects.leaves import Wire, count_of, rest_of, usage_from, usage_of
from flatfare.dialects.reading import (
    NO_CONDITIONS,
    NOTHING,
    NOTHING_ASKED,
    Asked,
    Conditions,
    Exchange,
    Part,
    Reading,
    Reported,
    free,
)

TEXT_MAX = 8 * 1024 * 1024  # bytes kept of a stream without usage: no answer is longer

TIERS: Mapping[str, str] = {
    # OpenAI's `default` is the standard tier, and Groq's `on_demand` too (their API references, 2026-11).
    "default": "standard",
    "on_demand": "standard",
    "standard": "standard",
    # Scale tier is capacity that was paid for ahead (openai.com/api-scale-tier, 2026-11).
    "scale": "provisioned",
}
"""Names of service tiers on the wire that the book knows by another name."""


Stamp = int | float | str | None
"""When an answer was made, as hosts write it."""


class PromptDetails(msgspec.Struct, gc=False):
    """Parts of the prompt."""

    cached_tokens: Wire = None
    cache_write_tokens: Wire = None
    audio_tokens: Wire = None
    image_tokens: Wire = None
    video_tokens: Wire = None


class CompletionDetails(msgspec.Struct, gc=False):
    """Parts of the completion; rejected predictions are in it and billed as output."""

    reasoning_tokens: Wire = None
    audio_tokens: Wire = None
    image_tokens: Wire = None


class ChatUsage(msgspec.Struct):
    """The usage object of a chat completion."""

    prompt_tokens: Wire = None
    completion_tokens: Wire = None
    total_tokens: Wire = None
    prompt_tokens_details: PromptDetails | None = None
    completion_tokens_details: CompletionDetails | None = None


class ChatBody(msgspec.Struct):
    """What the meter reads of a completion or of one chunk of it."""

    model: str | None = None
    created: Stamp = None
    service_tier: str | None = None
    usage: ChatUsage | None = None


class Delta(msgspec.Struct):
    """What a chunk adds to the answer, or a message holds; text is kept as it stands on the wire."""

    content: msgspec.Raw = msgspec.Raw()
    reasoning_content: msgspec.Raw = msgspec.Raw()
    reasoning: msgspec.Raw = msgspec.Raw()
    refusal: msgspec.Raw = msgspec.Raw()
    tool_calls: msgspec.Raw = msgspec.Raw()


NO_DELTA = Delta()


class Choice(msgspec.Struct):
    """One choice of a chunk, of a completion, or of an older text completion."""

    delta: Delta | None = None
    message: Delta | None = None
    text: msgspec.Raw = msgspec.Raw()
    finish_reason: str | None = None


class _Choices(msgspec.Struct):
    choices: list[Choice] | None = None
    error: msgspec.Raw = msgspec.Raw()


def chat_usage(body: ChatBody) -> Usage | None:
    """The leaves of OpenAI's own counting; None where the body has none."""
    usage = body.usage
    if usage is None or (usage.prompt_tokens is None and usage.completion_tokens is None):
        return None
    prompt = count_of(usage.prompt_tokens, "prompt_tokens")
    completion = count_of(usage.completion_tokens, "completion_tokens")
    return usage_from(
        prompt_leaves(prompt, usage.prompt_tokens_details),
        completion_leaves(completion, usage.completion_tokens_details),
    )


def prompt_leaves(
    total: int, details: PromptDetails | None, total_name: str = "prompt_tokens"
) -> dict[str, Count]:
    """The leaves of a prompt whose total includes every part.

    What was cached is text as far as there is text; only what goes beyond it can be
    cached sound or pictures, and no provider caches a video apart.
    """
    if details is None:
        return {"input": total}
    cached = count_of(details.cached_tokens, "cached_tokens")
    written = count_of(details.cache_write_tokens, "cache_write_tokens")
    audio = count_of(details.audio_tokens, "audio_tokens")
    image = count_of(details.image_tokens, "image_tokens")
    video = count_of(details.video_tokens, "video_tokens")
    if not (audio or image or video):
        rest = total - cached - written
        if rest < 0:
            rest_of(total, total_name, {"cached_tokens": cached, "cache_write_tokens": written})
        return {"input": rest, "cache_read": cached, "cache_write": written}
    media = {"audio_tokens": audio, "image_tokens": image, "video_tokens": video}
    text = rest_of(total, total_name, media)
    cached_media = max(0, cached + written - text)
    cached_audio = min(cached_media, audio, cached)
    cached_image = min(cached_media - cached_audio, image, cached - cached_audio)
    cached_text = cached - cached_audio - cached_image
    return {
        "input": rest_of(
            text, f"text of {total_name}", {"cached_tokens": cached_text, "cache_write_tokens": written}
        ),
        "cache_read": cached_text,
        "cache_write": written,
        "input_audio": audio - cached_audio,
        "cache_read_audio": cached_audio,
        "input_image": image - cached_image,
        "cache_read_image": cached_image,
        "input_video": video,
    }


def completion_leaves(
    total: int, details: CompletionDetails | None, total_name: str = "completion_tokens"
) -> dict[str, Count]:
    """The leaves of a completion whose total includes every part."""
    if details is None:
        return {"output": total}
    reasoning = count_of(details.reasoning_tokens, "reasoning_tokens")
    audio = count_of(details.audio_tokens, "audio_tokens")
    image = count_of(details.image_tokens, "image_tokens")
    rest = total - reasoning - audio - image
    if rest < 0:
        parts = {"reasoning_tokens": reasoning, "audio_tokens": audio, "image_tokens": image}
        rest_of(total, total_name, parts)
    return {
        "output": rest,
        "reasoning": reasoning,
        "output_audio": audio,
        "output_image": image,
    }


class RequestBody(msgspec.Struct):
    """What the meter reads of a request of OpenAI's shape."""

    model: str | None = None
    stream: msgspec.Raw = msgspec.Raw()
    service_tier: str | None = None
    max_tokens: msgspec.Raw = msgspec.Raw()
    max_completion_tokens: msgspec.Raw = msgspec.Raw()
    max_output_tokens: msgspec.Raw = msgspec.Raw()
    size: str | None = None
    quality: str | None = None
    web_search_options: msgspec.Raw = msgspec.Raw()


class SearchOptions(msgspec.Struct):
    """How much a search model reads of what it finds."""

    search_context_size: str | None = None


_decode_request = msgspec.json.Decoder(RequestBody).decode
_FORM_FIELD = re.compile(rb'name="(\w+)"\r?\n(?:[\w-]+: [^\r\n]*\r?\n)*\r?\n([^\r\n]{0,200})\r?\n')


class SpeechRequest(msgspec.Struct):
    """Text to be spoken."""

    input: str = ""


def _read_speech_request(body: bytes, request: RequestBody) -> Asked:
    characters = len(msgspec.json.decode(body, type=SpeechRequest).input)
    return Asked(
        request.model, bytes(request.stream) == b"true", details={"input_characters": str(characters)}
    )


def read_request(body: bytes, path: str) -> Asked:
    """What a request of OpenAI's shape asked for, sent as JSON or, with a file, as a form."""
    if not body:
        return NOTHING_ASKED
    if body.lstrip()[:1] != b"{":
        form = {name.decode(): value.decode("utf-8", "replace") for name, value in _FORM_FIELD.findall(body)}
        return Asked(model=form.get("model"), is_stream=form.get("stream") == "true")
    request = _decode_request(body)
    if path.endswith("/audio/speech"):
        return _read_speech_request(body, request)
    limits = (request.max_completion_tokens, request.max_output_tokens, request.max_tokens)
    # Where there are several, the largest: which of them a provider heeds is its own affair.
    limit = max(
        (int(text) for raw in limits if (text := bytes(raw)).isdigit() and len(text) < 16), default=None
    )
    details = {name: value for name, value in (("size", request.size), ("quality", request.quality)) if value}
    if request.web_search_options:
        options = msgspec.json.decode(request.web_search_options, type=SearchOptions | None)
        # Medium unless asked otherwise (API reference of chat completions, 2026-11).
        details["search_context_size"] = (options and options.search_context_size) or "medium"
    return Asked(
        model=request.model,
        is_stream=bytes(request.stream) == b"true",
        service_tier=request.service_tier,
        output_limit=limit,
        details=details or NOTHING,
    )


@lru_cache(maxsize=256)
def _conditions(tier: str | None, region: str | None) -> Conditions:
    return Conditions(tier, region) if tier or region else NO_CONDITIONS


def conditions_of(served_tier: str | None, asked: Asked) -> Conditions:
    """The conditions of a call: the tier that served it, which beats the one asked for."""
    tier = served_tier or asked.service_tier
    if tier == "auto":  # the request left the choice to the provider, and the answer does not say
        tier = None
    tier = TIERS.get(tier, tier) if tier else None
    if asked.details:
        return Conditions(tier, asked.region, asked.details)
    return _conditions(tier, asked.region)


def moment_of(created: Stamp) -> int | None:
    """Microseconds of the seconds since 1970 that an answer is stamped with; None where it is no such."""
    if isinstance(created, str):  # Writer's, for one
        created = int(created) if created.isdecimal() and len(created) == 10 else None
    return int(created * 1_000_000) if created and 10**9 <= created < 10**10 else None


B = TypeVar("B", bound=ChatBody)


class ChatShape(Generic[B]):
    """Readers of one provider's chat completions: what it calls its counts, and where they stand."""

    def __init__(
        self,
        body: type[B],
        usage: Callable[[B], Usage | None],
        reported: Callable[[B], Reported | None] | None = None,
        details: Callable[[B], Mapping[str, str]] | None = None,
    ) -> None:
        self.usage = usage
        self.reported = reported
        self.details = details
        self.decode = msgspec.json.Decoder(body).decode
        chunk = msgspec.defstruct("Chunk", [("choices", list[Choice] | None, None)], bases=(body,))
        self.decode_chunk: Callable[[bytes], B] = msgspec.json.Decoder(cast("type[B]", chunk)).decode

    def whole(self, body: bytes, exchange: Exchange) -> Reading:
        """Reads a completion."""
        answer = self.decode(body)
        usage = self.usage(answer)
        if usage is None:
            return self._without_usage(body, answer, exchange)
        return self.reading(usage, answer.model, answer.service_tier, answer, exchange)

    def stream(self, exchange: Exchange) -> StreamReader:
        """Reads the chunks of a completion."""
        return ChatStream(self, exchange)

    def reading(
        self, usage: Usage, model: str | None, tier: str | None, answer: B, exchange: Exchange
    ) -> Reading:
        asked = exchange.asked
        model = model or asked.model
        conditions = conditions_of(tier, asked)
        if self.details is not None and (details := self.details(answer)):
            conditions = Conditions(
                conditions.service_tier, conditions.region, {**conditions.details, **details}
            )
        return Reading(
            parts=(Part(model, usage, conditions),),
            model=model,
            reported=self.reported(answer) if self.reported is not None else None,
            created_at_us=moment_of(answer.created),
        )

    def _without_usage(self, body: bytes, answer: B, exchange: Exchange) -> Reading:
        rest = _decode_choices(body)
        if not rest.choices and rest.error and bytes(rest.error) != b"null":
            return free("the answer is an error: providers bill no failed request", exchange.asked.model)
        text = TextSeen()
        text.add(rest.choices)
        return Reading(
            parts=(),
            model=answer.model or exchange.asked.model,
            reason="the answer has no usage",
            created_at_us=moment_of(answer.created),
            text_seen=text.joined() if rest.choices else None,
        )


_decode_choices = msgspec.json.Decoder(_Choices).decode


_SEPARATOR = b"\x1e"


class TextSeen:
    """Text of an answer, kept as it came until it is known whether its usage comes; bounded."""

    __slots__ = ("_pieces",)

    def __init__(self) -> None:
        self._pieces = bytearray()  # JSON values with a separator that no JSON has between them

    def add(self, choices: list[Choice] | None) -> None:
        for choice in choices or ():
            told = choice.delta or choice.message or NO_DELTA
            for raw in (told.content, told.reasoning_content or told.reasoning, told.refusal, choice.text):
                self.keep(bytes(raw))
            self.keep(bytes(told.tool_calls))

    def keep(self, raw: bytes) -> None:
        if raw and raw not in (b"null", b'""') and len(self._pieces) + len(raw) < TEXT_MAX:
            self._pieces += raw
            self._pieces += _SEPARATOR

    def joined(self) -> str:
        pieces = self._pieces.split(_SEPARATOR)
        return "".join(text for piece in pieces if piece for text in texts_in(msgspec.json.decode(piece)))


_SPOKEN = ("text", "content", "thinking", "arguments", "name", "function", "tool_calls", "input")


def texts_in(value: object) -> Iterator[str]:
    """Every text that the model wrote or read within a message's value: parts, thoughts, tool calls."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from texts_in(item)
    elif isinstance(value, dict):
        for key in _SPOKEN:
            if key in value:
                yield from texts_in(value[key])


class ChatStream(Generic[B]):
    """Keeps the latest usage of a stream: hosts send it once at the end, or cumulatively on every chunk."""

    __slots__ = (
        "_answer",
        "_created",
        "_exchange",
        "_is_done",
        "_model",
        "_shape",
        "_text",
        "_tier",
        "_usage",
    )

    def __init__(self, shape: ChatShape[B], exchange: Exchange) -> None:
        self._shape = shape
        self._exchange = exchange
        self._model: str | None = None
        self._tier: str | None = None
        self._created: Stamp = None
        self._usage: Usage | None = None
        self._answer: B | None = None  # the chunk that the usage stood in
        self._text = TextSeen()
        self._is_done = False

    def event(self, name: str, data: bytes) -> None:
        if data == b"[DONE]":
            self._is_done = True
            return
        chunk = self._shape.decode_chunk(data)
        self._model = chunk.model or self._model
        self._tier = chunk.service_tier or self._tier
        self._created = chunk.created or self._created
        choices: list[Choice] | None = chunk.choices  # type: ignore[attr-defined]
        self._text.add(choices)
        usage = self._shape.usage(chunk)
        if usage is not None:
            self._usage, self._answer = usage, chunk
        # A choice with a reason to finish ends the answer; usage without choices comes after it.
        ends = any(choice.finish_reason for choice in choices) if choices else usage is not None
        self._is_done = self._is_done or ends

    def finish(self) -> Reading:
        if self._usage is not None and self._answer is not None:
            reading = self._shape.reading(self._usage, self._model, self._tier, self._answer, self._exchange)
            reading = msgspec.structs.replace(reading, created_at_us=moment_of(self._created))
            if self._is_done:
                return reading
            reason = "the stream was cut: its usage is that of the last chunk that came"
            return msgspec.structs.replace(reading, is_complete=False, reason=reason)
        ended = "ended" if self._is_done else "was cut"
        return Reading(
            parts=(),
            model=self._model or self._exchange.asked.model,
            reason=f"the stream {ended} without usage: ask for it with stream_options.include_usage",
            is_complete=False,
            created_at_us=moment_of(self._created),
            text_seen=self._text.joined(),
        )


CHAT = ChatShape(ChatBody, chat_usage)
"""OpenAI's own counting, which most hosts copy faithfully."""


def chat_routes(
    shape: ChatShape[B],
    path: str = "v1/chat/completions",
    marks: Mapping[str, str | None] = NOTHING,
    stream_marks: Mapping[str, str | None] = NOTHING,
) -> tuple[Route, ...]:
    """The route of chat completions; the marks are those that others of this shape lack."""
    return (
        Route(
            endpoint="chat.completions",
            path=path,
            whole=shape.whole,
            stream=shape.stream,
            marks={"object": "chat.completion", "choices": None, **marks},
            stream_marks={"object": "chat.completion.chunk", "choices": None, **(stream_marks or marks)},
        ),
    )


def completion_routes(shape: ChatShape[B], path: str = "v1/completions") -> tuple[Route, ...]:
    """The route of the older text completions, which count alike."""
    return (
        Route(
            endpoint="completions",
            path=path,
            whole=shape.whole,
            stream=shape.stream,
            marks={"object": "text_completion", "choices": None},
            stream_marks={"object": "text_completion", "choices": None},
        ),
    )


class EmbeddingUsage(ChatUsage):
    """The usage object of embeddings and rerankers, which some hosts give a total alone."""


class EmbeddingBody(msgspec.Struct):
    """What the meter reads of embeddings."""

    model: str | None = None
    usage: EmbeddingUsage | None = None


_decode_embeddings = msgspec.json.Decoder(EmbeddingBody).decode


def embedded(body: bytes, exchange: Exchange) -> Reading:
    """Reads embeddings or a reranking billed by tokens: everything is input."""
    answer = _decode_embeddings(body)
    model = answer.model or exchange.asked.model
    usage = answer.usage
    counts = (usage.prompt_tokens, usage.total_tokens) if usage else ()
    total = next((count for count in counts if count), 0 if any(c is not None for c in counts) else None)
    if usage is None or total is None:
        return Reading(parts=(), model=model, reason="the answer has no usage")
    leaves = prompt_leaves(count_of(total, "prompt_tokens"), usage.prompt_tokens_details)
    part = Part(model, usage_of(**leaves), conditions_of(None, exchange.asked))
    return Reading(parts=(part,), model=model)


def embedding_routes(path: str = "v1/embeddings") -> tuple[Route, ...]:
    """The route of embeddings."""
    marks = {"object": "list", "data": None, "usage": None}
    return (Route(endpoint="embeddings", path=path, whole=embedded, marks=marks),)


def free_routes(prefix: str = "v1/") -> tuple[Route, ...]:
    """What costs nothing: the list of models, moderations."""
    return (
        Route(
            endpoint="models",
            path=f"{prefix}models(?:/.+)?",
            methods=("GET",),
            free="listing models is free",
        ),
        Route(endpoint="moderations", path=f"{prefix}moderations", free="moderations are free"),
    )


class _PromptBody(msgspec.Struct):
    messages: msgspec.Raw = msgspec.Raw()
    input: msgspec.Raw = msgspec.Raw()
    prompt: msgspec.Raw = msgspec.Raw()
    instructions: msgspec.Raw = msgspec.Raw()
    tools: msgspec.Raw = msgspec.Raw()
    functions: msgspec.Raw = msgspec.Raw()


_decode_prompt = msgspec.json.Decoder(_PromptBody).decode
_MEDIA = (b'"image_url"', b'"input_image"', b'"input_audio"', b'"file"', b'"input_file"', b'"video_url"')


def prompt_of(body: bytes) -> Prompt:
    """What a request of OpenAI's shape sends to be read."""
    request = _decode_prompt(body)
    raws = (request.messages, request.input, request.prompt, request.instructions)
    values = [msgspec.json.decode(raw) for raw in raws if raw]
    texts = [found for value in values for found in texts_in(value)]
    offered = msgspec.json.decode(request.tools or request.functions or b"null")
    offered = offered if isinstance(offered, list) else []
    fields = _describe(offered, texts)
    messages = sum(_messages_in(raw) for raw in (request.messages, request.input, request.instructions))
    has_media = any(mark in body for mark in _MEDIA)
    return Prompt("\n".join(texts), messages, has_media, len(offered), fields)


def _messages_in(raw: msgspec.Raw) -> int:
    value = msgspec.json.decode(raw) if raw else None
    return len(value) if isinstance(value, list) else bool(value)


def _describe(value: object, texts: list[str]) -> int:
    """Adds names and descriptions of tools and their arguments to the texts; how many arguments there are."""
    if isinstance(value, list):
        return sum(_describe(item, texts) for item in value)
    if not isinstance(value, dict):
        return 0
    fields = 0
    for key, inner in value.items():
        if key == "properties" and isinstance(inner, dict):
            texts.extend(map(str, inner))
            fields += len(inner) + sum(_describe(item, texts) for item in inner.values())
        elif key in ("name", "description", "title") and isinstance(inner, str):
            texts.append(inner)
        else:
            fields += _describe(inner, texts)
    return fields
