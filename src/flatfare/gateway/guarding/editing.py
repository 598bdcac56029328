"""Changing one value of a JSON request, and leaving every other byte as it was written."""

import re
from collections.abc import Iterator, Sequence

import msgspec

_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\],:]|[^\s{}\[\],:"]+', re.DOTALL)
_OPENING, _CLOSING = (b"{", b"["), (b"}", b"]")


def with_value(body: bytes, path: Sequence[str], value: bytes) -> bytes:
    """The object with another value at a path; where there is none, with one. ``body`` is valid JSON.

    >>> with_value(b'{ "model": "a", "n":1 }', ["model"], b'"b"')
    b'{ "model": "b", "n":1 }'
    >>> with_value(b'{"n":1}', ["reasoning", "effort"], b'"low"')
    b'{"reasoning":{"effort":"low"},"n":1}'
    """
    first, rest = path[0], path[1:]
    changed, at, is_there = [], 0, False
    for key, start, end in members(body):
        if key != first:
            continue
        is_there = True  # a key that stands twice is changed twice: readers differ in which they take
        held = body[start:end]
        new = with_value(held, rest, value) if rest and held[:1] == b"{" else _built(rest, value)
        changed += [body[at:start], new]
        at = end
    if is_there:
        return b"".join([*changed, body[at:]])
    opens = body.index(b"{") + 1
    comma = b"" if body[opens:].lstrip()[:1] == b"}" else b","
    return body[:opens] + msgspec.json.encode(first) + b":" + _built(rest, value) + comma + body[opens:]


def value_at(body: bytes, path: Sequence[str]) -> object:
    """The value at a path, decoded; None where there is none, or nothing that can be read."""
    found = msgspec.Raw(body)
    try:
        for name in path:
            within = msgspec.json.decode(found, type=dict[str, msgspec.Raw])
            if name not in within:
                return None
            found = within[name]
        decoded: object = msgspec.json.decode(found)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return decoded


def members(body: bytes) -> Iterator[tuple[str, int, int]]:
    """The members of the object that the bytes begin with: key, and from where to where its value stands."""
    tokens = _TOKEN.finditer(body)
    if next(tokens, None) is None:
        return
    for token in tokens:
        if token.group() in (b"}", b","):
            continue
        key: str = msgspec.json.decode(token.group(), type=str)
        next(tokens)  # the colon
        value = next(tokens)
        end = _end_of(value, tokens)
        yield key, value.start(), end


def _end_of(value: re.Match[bytes], tokens: Iterator[re.Match[bytes]]) -> int:
    depth = 1 if value.group() in _OPENING else 0
    end = value.end()
    while depth:
        token = next(tokens)
        if token.group() in _OPENING:
            depth += 1
        elif token.group() in _CLOSING:
            depth -= 1
        end = token.end()
    return end


def _built(path: Sequence[str], value: bytes) -> bytes:
    for name in reversed(path):
        value = b"{" + msgspec.json.encode(name) + b":" + value + b"}"
    return value
