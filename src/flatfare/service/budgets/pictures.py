"""The pictures and recordings of a request, where a provider looks for them, and the tokens of each at most.

Only what stands where the provider's format has a picture is taken for one: the same bytes anywhere
else, in a text or in a tool's description, are read as text and count as such.
"""

import binascii
import math
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction

import msgspec

from flatfare.service.budgets.picture_sizes import URL_SAFE, size_in_base64
from flatfare.service.budgets.picture_tokens import DEAREST, GEMINI_3, GeminiTiles, Rule, rule_of
from flatfare.service.budgets.sound_lengths import seconds_at_most

_Part = Mapping[str, object]


GEMINI_TOKENS_A_SECOND = 32
"""Of a recording (ai.google.dev/gemini-api/docs/audio, 2026-11); Gemini 3 was seen to count 25."""

_HEARING = (GeminiTiles(), GEMINI_3)
"""The rules of models that count a recording so."""

_RECORDED = ("UklGR", "SUQz", "//", "__")  # RIFF, ID3 and a frame of MP3, in base64 of either alphabet


class Shown(msgspec.Struct, frozen=True):
    """What pictures of a request come to."""

    tokens: int | None = 0  # of those found, at most; None where nothing bounds one
    marks: int = 0  # names of theirs, by which pictures are looked for in bytes
    written: tuple[str, ...] = ()  # what of theirs stands in the request, and is no text
    files: int = 0  # signs in the request of what stands elsewhere or plays, and is nothing but these


class _Picture(msgspec.Struct, frozen=True):
    """One picture or recording: its base64, if it stands in the request."""

    data: str | None = None
    detail: str | None = None
    marks: int = 1
    files: int = 0
    seconds: Fraction | None = None  # of a recording


def shown(endpoint: str, model: str, body: bytes) -> Shown:
    """The pictures that stand where the format of an endpoint has them.

    Of a model whose rule is not known, and in a format that is not known, none is found.
    """
    rule, walk = rule_of(model), _WALKS.get(endpoint)
    if b'"numTokens"' in body or b'"num_tokens"' in body:
        return Shown(None)  # Google lets a request say how many tokens a picture is to be
    none = Shown(0 if rule is None or rule.most(None) is not None else None)
    if rule is None or walk is None:
        return none
    try:
        request = msgspec.json.decode(body)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return none
    return _summed(rule, walk(request))


def _summed(rule: Rule, pictures: Iterator[_Picture]) -> Shown:
    tokens: int | None = 0
    marks = files = 0
    written: list[str] = []
    for picture in pictures:
        size = None
        if picture.seconds is not None:
            own = math.ceil(picture.seconds * GEMINI_TOKENS_A_SECOND) if rule in _HEARING else None
        else:
            size = None if picture.data is None else size_in_base64(picture.data)
            own = rule.most(picture.detail) if size is None else rule.of(size, picture.detail)
        tokens = None if tokens is None or own is None else tokens + own
        marks += picture.marks
        files += picture.files
        if picture.data is not None and (size is not None or picture.seconds is not None):
            written.append(picture.data)
    return Shown(tokens, marks, tuple(written), files)


def keep_their_size(model: str) -> bool:
    """A model reads pictures in their own size, so that nothing bounds one that is not seen."""
    rule = rule_of(model)
    return rule is not None and rule.most(None) is None


def elsewhere(model: str) -> int:
    """Tokens of what may be a picture, and stands where the format has none."""
    rule = rule_of(model)
    most = None if rule is None else rule.most(None)
    return DEAREST if most is None else most


def _parts(value: object) -> Iterator[_Part]:
    """The objects of a list; none of anything else."""
    if isinstance(value, list):
        for one in value:
            if isinstance(one, dict):
                yield one


def _within(value: object, name: str) -> object:
    return value.get(name) if isinstance(value, dict) else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _inline(url: object) -> str | None:
    """The base64 of a data URL; None of any other."""
    if not isinstance(url, str) or url[:5].lower() != "data:":
        return None
    head, comma, data = url.partition(",")
    return data if comma and len(head) < 100 and head.lower().endswith(";base64") else None


def _chat(request: object) -> Iterator[_Picture]:
    for message in _parts(_within(request, "messages")):
        for part in _parts(message.get("content")):
            if part.get("type") == "image_url" and "image_url" in part:
                picture = part["image_url"]
                url = _within(picture, "url") if isinstance(picture, dict) else picture
                yield _Picture(_inline(url), _text(_within(picture, "detail")))


def _responses(request: object) -> Iterator[_Picture]:
    for item in _parts(_within(request, "input")):
        kind, output = item.get("type", "message"), item.get("output")
        said = _parts(item.get("content")) if kind == "message" else ()
        answered = (*_parts([output]), *_parts(output)) if str(kind).endswith("_output") else ()
        for part in (*said, *answered):
            if part.get("type") in ("input_image", "computer_screenshot"):
                marks, files = int("image_url" in part), int("file_id" in part)
                yield _Picture(_inline(part.get("image_url")), _text(part.get("detail")), marks, files)


def _messages(request: object) -> Iterator[_Picture]:
    for message in _parts(_within(request, "messages")):
        for part in _parts(message.get("content")):
            own = _parts(part.get("content")) if part.get("type") == "tool_result" else ()
            for one in (part, *own):
                if one.get("type") == "image":
                    yield _of_source(one.get("source"))


def _of_source(source: object) -> _Picture:
    kind = _within(source, "type")
    if kind == "file" and isinstance(source, dict):  # named by its kind and by its id
        return _Picture(files=1 + ("file_id" in source))
    return _Picture(_text(_within(source, "data")) if kind == "base64" else None)


def _generate(request: object) -> Iterator[_Picture]:
    contents = _within(request, "contents")
    for content in (*_parts(contents), *_parts([contents])):
        parts = content.get("parts")
        for part in (*_parts(parts), *_parts([parts])):
            answer = part.get("functionResponse") or part.get("function_response")
            for one in (part, *_parts(_within(answer, "parts"))):
                held = one.get("inlineData") or one.get("inline_data")
                kind = (_text(_within(held, "mimeType") or _within(held, "mime_type")) or "").lower()
                data = _text(_within(held, "data"))
                if kind.startswith("image/"):
                    yield _Picture(data)
                elif kind.startswith("audio/") and (seconds := _seconds(data)) is not None:
                    yield _Picture(data, files=1, seconds=seconds)


def _seconds(data: str | None) -> Fraction | None:
    """How long a recording in base64 plays at most."""
    if data is None or not data.startswith(_RECORDED):
        return None
    try:
        return seconds_at_most(
            binascii.a2b_base64(data.translate(URL_SAFE) + "=" * (-len(data) % 4), strict_mode=True)
        )
    except ValueError:
        return None


def _converse(request: object) -> Iterator[_Picture]:
    for message in _parts(_within(request, "messages")):
        for part in _parts(message.get("content")):
            for one in (part, *_parts(_within(part.get("toolResult"), "content"))):
                if "image" in one:
                    yield _Picture(_text(_within(_within(one["image"], "source"), "bytes")))


_WALKS: Mapping[str, Callable[[object], Iterator[_Picture]]] = {
    "chat.completions": _chat,
    "responses": _responses,
    "messages": _messages,
    "invoke": _messages,
    "invoke-with-response-stream": _messages,
    "generateContent": _generate,
    "streamGenerateContent": _generate,
    "converse": _converse,
    "converse-stream": _converse,
}
