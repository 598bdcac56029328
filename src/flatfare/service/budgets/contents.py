"""What a request holds that has a model read more than its bytes: pictures, sound, what stands elsewhere.

Looked for in the bytes, since requests of forty providers have no one structure, and as a reader of
JSON sees them: a name that is written with escapes is the same name. What is not sure counts.
"""

import math
import re

import msgspec

from flatfare.service.budgets.pictures import Shown, elsewhere, keep_their_size, shown

FRAME_TOKENS = 64
"""Tokens that a provider may put around a request beyond what its JSON takes."""

TOOL_FRAME_TOKENS = 1024
"""The provider's own instructions where a request offers tools (at most 804 for Claude, docs 2026-11)."""

_ESCAPED = re.compile(rb"\\\\|\\u00([2-7][0-9a-fA-F])")
_STRUCTURE = b'"\\'

_PICTURES = re.compile(
    rb'"(?:image_url|image_base64|image|inputImage|inline_data|inlineData)"\s*:|"type"\s*:\s*"image"'
)
_ELSEWHERE = re.compile(
    rb'"(?:previous_response_id|conversation|prompt_id|file_id|file_url|file_data|input_file|file|fileData|'
    rb"fileUri|file_uri|cachedContent|cached_content|document|input_audio|video_url|audio_url|video|container|"
    rb'inputVideo|inputAudio|guardContent|images|mcp_servers)"\s*:'
    rb'|"type"\s*:\s*"(?:document|file|input_audio|input_file|video|audio)"'
)
_WORTH_TAKING_OUT = 4096
_FORMER_ITEM = re.compile(rb'"item_reference"|\{\s*"id"\s*:\s*"[^"]*"\s*\}')
"""A former item of OpenAI's responses, whose kind may be left out (API reference of responses, 2026-11)."""

_INLINE = re.compile(rb'"(?:inline_data|inlineData)"\s*:')
_STORED_PROMPT = re.compile(rb'"prompt"\s*:\s*\{')
_CHOICES = re.compile(rb'"(?:n|candidateCount|candidate_count|best_of|num_generations)"\s*:\s*"?([-+.\deE]+)')
_SAMPLES = re.compile(rb'"sampleCount"\s*:\s*"?([-+.\deE]+)')
_SAMPLES_UNSAID = 4
"""Pictures that Imagen draws at most where nothing is said (cloud.google.com, Imagen API, 2026-11)."""

_CHOICES_MAX = 10_000
_KEPT_AN_HOUR = re.compile(rb'"ttl"\s*:\s*"1h"')
_CACHES = re.compile(rb'"(?:cache_control|cachePoint)"')


def as_read(body: bytes) -> bytes:
    r"""A request with its names as a reader of JSON sees them: plain letters are written plainly.

    >>> as_read(rb'{"\u006e": 5, "x": "\\u006e \u0022"}')
    b'{"n": 5, "x": "\\\\u006e \\u0022"}'
    """
    return _ESCAPED.sub(_plainly, body) if b"\\u00" in body else body


def _plainly(found: re.Match[bytes]) -> bytes:
    sign = bytes.fromhex(found[1].decode()) if found[1] else b"\\"
    return found[0] if sign in _STRUCTURE else sign


def seen_in(endpoint: str, model: str, body: bytes) -> Shown:
    """The pictures and recordings of a request, looked for only where it may have any."""
    return shown(endpoint, model, body) if b"mage" in body or b"inline" in body else Shown()


def bare(body: bytes, seen: Shown) -> bytes:
    """A request without its pictures and recordings: what is left is looked through many times faster.

    They have neither quotes nor escapes, so that no name and no number goes with them.
    """
    for written in set(seen.written):
        if len(written) > _WORTH_TAKING_OUT and not any(sign in written for sign in '"\\,:{}[]'):
            body = body.replace(written.encode(), b"")
    return body


def reads(endpoint: str, model: str, body: bytes, seen: Shown, size: int) -> int | None:
    """Tokens that a request of so many bytes, bare as it is, has a model read at most.

    None where they do not say.
    """
    held = pictures(body)
    tokens = seen.tokens if held or b'"input_image"' in body else 0
    if tokens is None or _elsewhere(body) > seen.files:
        return None
    if endpoint == "responses" and _FORMER_ITEM.search(body):
        return None
    count = size - sum(map(len, seen.written)) + FRAME_TOKENS + tokens
    if held > seen.marks:
        count += (held - seen.marks) * elsewhere(model)
    if b'"tools"' in body or b'"toolConfig"' in body or b'"functions"' in body:
        count += TOOL_FRAME_TOKENS
    return count


def why_all(model: str, body: bytes) -> str:
    """Why a request is held as all that its model can read, and what costs less, for a person."""
    if keep_their_size(model) and not stands_elsewhere(body):
        return (
            f"{model} reads a picture in its own size, whatever that is: in the request itself instead of by "
            "its URL, or with a detail of high, it costs less."
        )
    return "It refers to what is not in it, which may be as much as the model can read."


def stands_elsewhere(body: bytes) -> bool:
    """Something of it is not in its bytes, or is sound or film, whose tokens its bytes do not bound."""
    return _elsewhere(body) > 0


def _elsewhere(body: bytes) -> int:
    """How many names it has of what stands elsewhere or plays."""
    return len(_ELSEWHERE.findall(body)) + (_playing(body) if _INLINE.search(body) else 0)


def pictures(body: bytes) -> int:
    """How many pictures it may hold."""
    return len(_PICTURES.findall(body))


def is_a_stored_prompt(endpoint: str, body: bytes) -> bool:
    """It names a prompt that is kept at the provider, with instructions, tools and a model of its own."""
    return endpoint == "responses" and bool(_STORED_PROMPT.search(body))


def choices(body: bytes) -> int:
    """How many answers it asks for at most."""
    return max([1, *(_whole(number) for number in _CHOICES.findall(body))])


def samples(body: bytes) -> int:
    """How many pictures it asks for at most, of a model that calls them samples."""
    return max([_SAMPLES_UNSAID, *(_whole(number) for number in _SAMPLES.findall(body))])


def _whole(number: bytes) -> int:
    """A count as any reader of JSON takes it: 2e1 is twenty, and some take "20" for a number too."""
    try:
        found = float(number)
    except ValueError:
        return _CHOICES_MAX
    return math.ceil(min(max(found, 0), _CHOICES_MAX)) if found == found else _CHOICES_MAX


def is_kept_an_hour(body: bytes) -> bool:
    """It has the provider keep something in its cache for an hour."""
    return bool(_KEPT_AN_HOUR.search(body))


def is_kept(body: bytes) -> bool:
    """It has the provider keep something in its cache."""
    return bool(_CACHES.search(body))


def _playing(body: bytes) -> int:
    """How much stands in it that is no picture: seconds of sound, or pages, can be many in few bytes."""
    try:
        found: list[object] = [msgspec.json.decode(body)]
    except msgspec.MsgspecError:
        return 1
    count = 0
    while found:
        one = found.pop()
        if isinstance(one, list):
            found += one
        elif isinstance(one, dict):
            for name, value in one.items():
                count += name in ("inlineData", "inline_data") and not _is_picture(value)
                found.append(value)
    return count


def _is_picture(inline: object) -> bool:
    if not isinstance(inline, dict):
        return False
    kinds = [value for name, value in inline.items() if name in ("mimeType", "mime_type")]
    return bool(kinds) and all(isinstance(kind, str) and kind.lower().startswith("image/") for kind in kinds)
