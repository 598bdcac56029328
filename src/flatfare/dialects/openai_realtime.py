"""OpenAI's realtime sessions: each answer has its usage, and a session is their sum.

What the user said is transcribed by a model of its own, with usage and a price of its
own.
"""

from decimal import Decimal

import msgspec

from flatfare.core.usage import Usage
from flatfare.dialects.dialect import Route, StreamReader, read_lines
from flatfare.dialects.framing import JsonLines
from flatfare.dialects.leaves import Wire, count_of, rest_of, usage_of
from flatfare.dialects.openai_audio import AudioUsage, heard
from flatfare.dialects.openai_shape import conditions_of
from flatfare.dialects.reading import Exchange, Part, Reading


class Modalities(msgspec.Struct):
    """Tokens by what they carry."""

    text_tokens: Wire = None
    audio_tokens: Wire = None
    image_tokens: Wire = None


class InputDetails(Modalities):
    """Parts of what a turn read."""

    cached_tokens: Wire = None
    cached_tokens_details: Modalities | None = None


class OutputDetails(Modalities):
    """Parts of what a turn said."""

    reasoning_tokens: Wire = None


class TurnUsage(msgspec.Struct):
    """The usage object of one answer in a session."""

    input_tokens: Wire = None
    output_tokens: Wire = None
    input_token_details: InputDetails | None = None
    output_token_details: OutputDetails | None = None


class Turn(msgspec.Struct):
    """One answer in a session."""

    usage: TurnUsage | None = None
    status: str | None = None


class TranscriptionModel(msgspec.Struct):
    """Who transcribes."""

    model: str | None = None


class AudioInput(msgspec.Struct):
    """Where sessions since 2025-08 name the transcriber."""

    transcription: TranscriptionModel | None = None


class SessionAudio(msgspec.Struct):
    """Sound of a session."""

    input: AudioInput | None = None


class Session(msgspec.Struct):
    """A session as its server describes it."""

    model: str | None = None
    audio: SessionAudio | None = None
    input_audio_transcription: TranscriptionModel | None = None


class SessionEvent(msgspec.Struct):
    """What the meter reads of an event of a session."""

    type: str | None = None
    session: Session | None = None
    response: Turn | None = None
    usage: AudioUsage | None = None
    item_id: str | None = None
    audio_start_ms: Wire = None
    audio_end_ms: Wire = None


_decode = msgspec.json.Decoder(SessionEvent, strict=False).decode
_BEARERS = (
    b'"response.done"',
    b'"session.',
    b'"conversation.item.input_audio_transcription.c',
    b'"input_audio_buffer.s',
)


def turn_usage(usage: TurnUsage | None) -> Usage | None:
    """The leaves of one answer: text, sound and pictures, each read in full or from the cache."""
    if usage is None or (usage.input_tokens is None and usage.output_tokens is None):
        return None
    read, said = usage.input_token_details or InputDetails(), usage.output_token_details or OutputDetails()
    cached = _cached(read)
    total = count_of(usage.input_tokens, "input_tokens")
    audio = count_of(read.audio_tokens, "audio_tokens")
    image = count_of(read.image_tokens, "image_tokens")
    output = count_of(usage.output_tokens, "output_tokens")
    spoken = count_of(said.audio_tokens, "audio_tokens")
    reasoning = count_of(said.reasoning_tokens, "reasoning_tokens")
    text = rest_of(total, "input_tokens", {"audio_tokens": audio, "image_tokens": image})
    return usage_of(
        input=rest_of(text, "text_tokens", {"cached text_tokens": cached[0]}),
        cache_read=cached[0],
        input_audio=rest_of(audio, "audio_tokens", {"cached audio_tokens": cached[1]}),
        cache_read_audio=cached[1],
        input_image=rest_of(image, "image_tokens", {"cached image_tokens": cached[2]}),
        cache_read_image=cached[2],
        output=rest_of(output, "output_tokens", {"audio_tokens": spoken, "reasoning_tokens": reasoning}),
        reasoning=reasoning,
        output_audio=spoken,
    )


def _cached(read: InputDetails) -> tuple[int, int, int]:
    """Cached text, sound and pictures; without a split it is text as far as there is text."""
    total = count_of(read.cached_tokens, "cached_tokens")
    split = read.cached_tokens_details
    if split is None:
        text = min(total, count_of(read.text_tokens, "text_tokens"))
        return text, total - text, 0
    audio = count_of(split.audio_tokens, "cached audio_tokens")
    image = count_of(split.image_tokens, "cached image_tokens")
    return rest_of(total, "cached_tokens", {"audio_tokens": audio, "image_tokens": image}), audio, image


class SessionReader:
    """Sums the answers of a session, and what its transcriber heard."""

    __slots__ = (
        "_exchange",
        "_heard",
        "_model",
        "_speech_ms",
        "_start_ms",
        "_total",
        "_transcriber",
        "_turns",
        "_unsaid",
    )

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._model = exchange.asked.model
        self._transcriber: str | None = None
        self._total = Usage()
        self._turns = 0
        self._heard = Usage()
        self._start_ms: dict[str, int] = {}
        self._speech_ms: dict[str, int] = {}
        self._unsaid = 0  # milliseconds transcribed whose usage was not stated

    def event(self, name: str, data: bytes) -> None:
        if not any(bearer in data for bearer in _BEARERS):
            return
        event = _decode(data)
        kind = event.type or ""
        if kind in ("session.created", "session.updated") and event.session is not None:
            self._session(event.session)
        elif kind == "response.done" and event.response is not None:
            usage = turn_usage(event.response.usage)
            if usage is not None:
                self._total += usage
                self._turns += 1
        elif kind == "input_audio_buffer.speech_started" and event.item_id:
            self._start_ms = {event.item_id: count_of(event.audio_start_ms, "audio_start_ms")}
        elif kind == "input_audio_buffer.speech_stopped" and event.item_id in self._start_ms:
            length = count_of(event.audio_end_ms, "audio_end_ms") - self._start_ms[event.item_id]
            self._speech_ms = {event.item_id: max(0, length)}
        elif kind == "conversation.item.input_audio_transcription.completed":
            self._transcribed(event)

    def _session(self, session: Session) -> None:
        self._model = session.model or self._model
        transcription = session.input_audio_transcription
        if session.audio is not None and session.audio.input is not None:
            transcription = session.audio.input.transcription or transcription
        if transcription is not None:
            self._transcriber = transcription.model or self._transcriber

    def _transcribed(self, event: SessionEvent) -> None:
        usage = heard(event.usage)
        if usage is not None:
            self._heard += usage
        else:
            self._unsaid += self._speech_ms.get(event.item_id or "", 0)

    def finish(self) -> Reading:
        asked = self._exchange.asked
        model = self._model
        if not self._turns and not self._heard:
            return Reading(
                parts=(),
                model=model,
                is_complete=False,
                reason="the session ended before an answer with usage",
            )
        conditions = conditions_of(None, asked)
        parts: tuple[Part, ...] = (Part(model, self._total, conditions),) if self._turns else ()
        if self._heard:
            parts += (Part(self._transcriber, self._heard, conditions),)
        if self._unsaid and self._transcriber:
            seconds = usage_of(input_audio_second=Decimal(self._unsaid) / 1000)
            how = "the session does not state what it transcribed: taken from where speech began and ended"
            parts += (Part(self._transcriber, seconds, conditions, estimated=how),)
        return Reading(parts=parts, model=model)


def _stream(exchange: Exchange) -> StreamReader:
    return SessionReader(exchange)


def _whole(body: bytes, exchange: Exchange) -> Reading:
    """A recorded session: one event on each line."""
    return read_lines(SessionReader(exchange), body)


def realtime_routes(prefix: str = "v1/") -> tuple[Route, ...]:
    """Sessions over a websocket, and the free calls that prepare them."""
    return (
        Route(
            endpoint="realtime",
            path=f"{prefix}realtime",
            whole=_whole,
            stream=_stream,
            framing=JsonLines,
            methods=("GET", "POST"),
            stream_marks={"type": "session.", "session.model": None},
        ),
        Route(
            endpoint="realtime.client_secrets",
            path=f"{prefix}realtime/(?:client_secrets|sessions|transcription_sessions)",
            free="a session is billed by what is said in it, not for being prepared",
            starts="a session that its holder has with the provider itself",
        ),
    )
