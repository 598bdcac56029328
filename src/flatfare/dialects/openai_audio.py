"""OpenAI's audio: transcription billed by tokens or by seconds heard, speech by characters or tokens."""

from decimal import Decimal

import msgspec

from flatfare.core.errors import Contradiction
from flatfare.core.usage import COUNT_MAX, Usage
from flatfare.dialects.dialect import Route, StreamReader
from flatfare.dialects.leaves import Wire, count_of, rest_of, usage_of
from flatfare.dialects.openai_shape import conditions_of
from flatfare.dialects.reading import Exchange, Part, Reading, unread


class AudioDetails(msgspec.Struct):
    """Parts of what was heard."""

    text_tokens: Wire = None
    audio_tokens: Wire = None


class AudioUsage(msgspec.Struct):
    """The usage object of a transcription or of speech: tokens, or a duration."""

    type: str | None = None
    seconds: Decimal | None = None
    input_tokens: Wire = None
    output_tokens: Wire = None
    input_token_details: AudioDetails | None = None


class AudioBody(msgspec.Struct):
    """What the meter reads of a transcription, or of the event that ends a stream."""

    type: str | None = None
    text: msgspec.Raw = msgspec.Raw()
    duration: Decimal | None = None
    usage: AudioUsage | None = None


_decode = msgspec.json.Decoder(AudioBody, strict=False).decode


def seconds_of(value: Decimal) -> Decimal:
    """Seconds as they were given, refused where they cannot be."""
    if not value.is_finite() or value < 0 or value > COUNT_MAX:
        raise Contradiction(f"Found {value} seconds of audio: a duration is a positive number.")
    return value


def heard(usage: AudioUsage | None) -> Usage | None:
    """The leaves of a transcription; None where there is no usage."""
    if usage is None:
        return None
    if usage.seconds is not None:
        return usage_of(input_audio_second=seconds_of(usage.seconds))
    if usage.input_tokens is None and usage.output_tokens is None:
        return None
    total = count_of(usage.input_tokens, "input_tokens")
    details = usage.input_token_details
    text = count_of(details.text_tokens, "text_tokens") if details else 0
    return usage_of(
        input=text,
        input_audio=rest_of(total, "input_tokens", {"text_tokens": text}),
        output=count_of(usage.output_tokens, "output_tokens"),
    )


def transcribed(body: bytes, exchange: Exchange) -> Reading:
    """Reads a transcription or a translation."""
    model = exchange.asked.model
    if body.lstrip()[:1] != b"{":
        return unread("a transcription as plain text has no usage: ask for response_format=json", model)
    answer = _decode(body)
    usage = heard(answer.usage)
    if usage is None and answer.duration is not None:
        # Whisper bills its seconds rounded to the nearest (openai.com/api/pricing, 2026-11).
        usage = usage_of(input_audio_second=int(seconds_of(answer.duration) + Decimal("0.5")))
    if usage is None:
        return unread("the transcription has no usage: ask for response_format=verbose_json", model)
    return Reading(parts=(Part(model, usage, conditions_of(None, exchange.asked)),), model=model)


def spoken(body: bytes, exchange: Exchange) -> Reading:
    """Reads speech: the answer is sound, so that the request alone tells what was billed."""
    model = exchange.asked.model or ""
    characters = exchange.asked.details.get("input_characters")
    if characters and not model.startswith("gpt-"):
        part = Part(model, usage_of(input_character=int(characters)), conditions_of(None, exchange.asked))
        return Reading(parts=(part,), model=model)
    return unread("speech is sound without usage: ask for stream_format=sse, whose last event has it", model)


class _AudioStream:
    """Usage in the event that ends the stream."""

    __slots__ = ("_exchange", "_is_speech", "_usage")

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._is_speech = exchange.endpoint == "audio.speech"
        self._usage: Usage | None = None

    def event(self, name: str, data: bytes) -> None:
        if data == b"[DONE]" or b'"usage"' not in data:
            return
        usage = _decode(data).usage
        if usage is None:
            return
        if self._is_speech:
            text = count_of(usage.input_tokens, "input_tokens")
            self._usage = usage_of(input=text, output_audio=count_of(usage.output_tokens, "output_tokens"))
        else:
            self._usage = heard(usage)

    def finish(self) -> Reading:
        model = self._exchange.asked.model
        if self._usage is None:
            return unread("the stream ended without usage", model)
        part = Part(model, self._usage, conditions_of(None, self._exchange.asked))
        return Reading(parts=(part,), model=model)


def _stream(exchange: Exchange) -> StreamReader:
    return _AudioStream(exchange)


def audio_routes(prefix: str = "v1/") -> tuple[Route, ...]:
    """Transcription, translation and speech."""
    return (
        Route(
            endpoint="audio.transcriptions",
            path=f"{prefix}audio/transcriptions",
            whole=transcribed,
            stream=_stream,
            marks={"text": None, "usage.type": None},
            stream_marks={"type": "transcript.text."},
        ),
        Route(endpoint="audio.translations", path=f"{prefix}audio/translations", whole=transcribed),
        Route(
            endpoint="audio.speech",
            path=f"{prefix}audio/speech",
            whole=spoken,
            stream=_stream,
            stream_marks={"type": "speech.audio."},
            is_binary=True,
        ),
    )
