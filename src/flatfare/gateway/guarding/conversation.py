"""What a request says of the conversation it carries: how far a model has gone on by itself, and what
tells the same request again.

It is read only where a guard asks for it. A request that cannot be read says nothing.
"""

import hashlib
import re

import msgspec

_PERSON, _MODEL, _TOOL, _OTHER = "person", "model", "tool", "other"


class _Item(msgspec.Struct):
    role: str | None = None
    type: str | None = None
    content: msgspec.Raw = msgspec.Raw()
    parts: msgspec.Raw = msgspec.Raw()


class _Sent(msgspec.Struct):
    messages: msgspec.Raw = msgspec.Raw()  # OpenAI, Anthropic, Bedrock, Mistral, Cohere
    input: msgspec.Raw = msgspec.Raw()  # OpenAI's responses
    contents: msgspec.Raw = msgspec.Raw()  # Gemini


_decode_sent = msgspec.json.Decoder(_Sent).decode
_decode_items = msgspec.json.Decoder(list[_Item]).decode
_decode_raw = msgspec.json.Decoder(list[msgspec.Raw]).decode

_MODEL_ROLES = frozenset(("assistant", "model", "chatbot"))
_TOOL_ROLES = frozenset(("tool", "function"))
_RESULTS = (b'"tool_result"', b'"functionResponse"', b'"function_response"', b'"toolResult"')
"""What a user's message holds where it is a tool that speaks: Anthropic, Gemini, Bedrock. Inside somebody's
text the quotation marks would be escaped."""

_IDS = re.compile(rb'"(?:id|tool_call_id|tool_use_id|toolUseId|call_id|callId)"\s*:\s*"[^"]*"')


def steps_of(body: bytes) -> int:
    """How many turns the model has taken, as the request tells them, since somebody last spoke."""
    steps, is_model = 0, False
    for kind in reversed([_kind(item) for item in _items(body)]):
        if kind == _PERSON:
            break
        if kind == _MODEL and not is_model:
            steps += 1
        is_model = kind == _MODEL or (is_model and kind == _OTHER)
    return steps


def marks_of(target: bytes, body: bytes) -> list[str]:
    """What tells this request when it is made again: all of it, and the last step of a tool's use."""
    marks = [_mark(b"all", target.partition(b"?")[0], body)]
    listed, kinds = _listed(body), [_kind(item) for item in _items(body)]
    if kinds and kinds[-1] == _TOOL and len(listed) == len(kinds):
        first = len(kinds) - 1
        while first and kinds[first - 1] == _TOOL:
            first -= 1
        while first and kinds[first - 1] == _MODEL:
            first -= 1
        step = b"\n".join(_IDS.sub(b"", bytes(raw)) for raw in listed[first:])
        marks.append("step " + _mark(b"step", step))
    return marks


def _mark(*parts: bytes) -> str:
    return hashlib.blake2b(b"\0".join(parts), digest_size=12).hexdigest()


def _listed(body: bytes) -> list[msgspec.Raw]:
    try:
        sent = _decode_sent(body)
        raw = sent.messages or sent.input or sent.contents
        return _decode_raw(raw) if bytes(raw)[:1] == b"[" else []
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return []


def _items(body: bytes) -> list[_Item]:
    try:
        sent = _decode_sent(body)
        raw = sent.messages or sent.input or sent.contents
        return _decode_items(raw) if bytes(raw)[:1] == b"[" else []
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return []


def _kind(item: _Item) -> str:
    role, kind = (item.role or "").lower(), item.type or ""
    if role in _MODEL_ROLES or kind == "reasoning" or kind.endswith("_call"):
        return _MODEL
    if role in _TOOL_ROLES or kind.endswith("_output"):
        return _TOOL
    if role == "user" or not (role or kind):
        said = bytes(item.content) or bytes(item.parts)
        return _TOOL if any(mark in said for mark in _RESULTS) else _PERSON
    return _OTHER
