"""The changes that the gateway may make to a call, each named, each to be turned off.

``stream_usage``: a stream of OpenAI's shape tells its usage only if it is asked to. Where
the client did not ask, the gateway does, and takes out of the answer what came for that
reason: one chunk, and a ``usage`` that is null in the others.
"""

import re

import msgspec

from flatfare.dialects.framing import EVENT_BYTES_MAX

STREAM_USAGE = "stream_usage"

ASKED_OF = frozenset(("openai", "azure", "deepseek", "vllm", "alibaba"))
"""Dialects that know ``stream_options`` (their API references, 2026-11); others send usage unasked, or
refuse what they do not know."""

_ENDPOINTS = ("chat.completions", "completions")
_ASK = b'"stream_options":{"include_usage":true}'


class _Options(msgspec.Struct):
    include_usage: bool | None = None


class _Streaming(msgspec.Struct):
    stream: bool | None = None
    stream_options: msgspec.Raw = msgspec.Raw()


_decode_streaming = msgspec.json.Decoder(_Streaming).decode


def with_usage_asked(dialect: str, endpoint: str, body: bytes) -> bytes | None:
    """The request's body with usage asked for; None where it is to stay as it is."""
    if dialect not in ASKED_OF or endpoint not in _ENDPOINTS:
        return None
    start = body.find(b"{")
    if start < 0 or body[:start].strip():
        return None
    try:
        request = _decode_streaming(body)
        options = request.stream_options
        if not request.stream:
            return None
        if not options:
            return body[: start + 1] + _ASK + b"," + body[start + 1 :]
        if bytes(options) != b"null" and msgspec.json.decode(options, type=_Options).include_usage:
            return None
        whole = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
        named = msgspec.json.decode(options) or {}
        if not isinstance(named, dict):
            return None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None  # the provider will say what is wrong with it
    named["include_usage"] = True
    return msgspec.json.encode({**whole, "stream_options": named})


class _Chunk(msgspec.Struct):
    choices: list[msgspec.Raw] | None = None
    usage: msgspec.Raw = msgspec.Raw()


_decode_chunk = msgspec.json.Decoder(_Chunk).decode
_EVENT_END = re.compile(rb"\r\n\r\n|\n\n|\r\r")
_NULL = re.compile(rb',\s*"usage"\s*:\s*null(?=\s*[,}])|"usage"\s*:\s*null\s*,')


class UsageHidden:
    """Takes out of a stream what is there only because usage was asked for; holds back one event at most."""

    __slots__ = ("_held", "_is_open", "_searched")

    def __init__(self) -> None:
        self._held = bytearray()
        self._searched = 0
        self._is_open = False  # an event was too long to be looked at: everything passes

    def feed(self, piece: bytes) -> bytes:
        """What the client sees of this piece, and of what was held back."""
        if self._is_open:
            return piece
        self._held += piece
        out = []
        start = 0
        while found := _EVENT_END.search(self._held, max(start, self._searched)):
            out.append(_seen(bytes(self._held[start : found.end()])))
            start = self._searched = found.end()
        del self._held[:start]
        self._searched = max(0, len(self._held) - 3)
        if len(self._held) > EVENT_BYTES_MAX:
            self._is_open = True
            out.append(self.finish())
        return b"".join(out)

    @property
    def holds(self) -> bool:
        """Whether a part of an event waits for its rest."""
        return bool(self._held.strip())

    def finish(self) -> bytes:
        """What stands at the end without its terminator."""
        rest, self._held = bytes(self._held), bytearray()
        return _seen(rest) if rest else b""


def _seen(event: bytes) -> bytes:
    at = event.find(b"data:")
    if at < 0 or b'"usage"' not in event:
        return event
    try:
        chunk = _decode_chunk(event[at + 5 :].strip())
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return event
    if not chunk.usage:
        return event
    if bytes(chunk.usage) == b"null":
        return _NULL.sub(b"", event, count=1)
    return b"" if chunk.choices == [] else event
