"""Short ways to read a body as a dialect does, for tests."""

import json
from collections.abc import Mapping

from flatfare.core.usage import Usage
from flatfare.dialects.meter import Stream, read_whole
from flatfare.dialects.reading import NOTHING, Asked, Exchange, Reading
from flatfare.dialects.recognition import by_address, by_name


def read(
    provider: str,
    endpoint: str,
    body: object,
    *,
    status: int = 200,
    asked: Asked | None = None,
    headers: Mapping[str, str] = NOTHING,
) -> Reading:
    """The reading of a whole body, given as bytes or as a value to be written as JSON."""
    route = by_name(provider, endpoint).route
    exchange = Exchange(provider, endpoint, status, asked or Asked(), headers)
    return read_whole(route, body if isinstance(body, bytes) else json.dumps(body).encode(), exchange)


def read_stream(provider: str, endpoint: str, stream: bytes, *, asked: Asked | None = None) -> Reading:
    """The reading of a stream; the same whole and byte by byte."""
    route = by_name(provider, endpoint).route
    exchange = Exchange(provider, endpoint, asked=asked or Asked())
    once = Stream(route, exchange)
    once.feed(stream)
    bytewise = Stream(route, exchange)
    for position in range(len(stream)):
        bytewise.feed(stream[position : position + 1])
    reading = once.finish()
    assert bytewise.finish() == reading
    return reading


def sse(*events: object, done: bool = True) -> bytes:
    """Server-sent events of these values."""
    lines = "".join(f"data: {json.dumps(event)}\n\n" for event in events)
    return (lines + ("data: [DONE]\n\n" if done else "")).encode()


def usage_of(reading: Reading) -> Usage:
    """All parts together."""
    total = Usage()
    for part in reading.parts:
        total += part.usage
    return total


def asked_at(host: str, path: str, request: object = None, method: str = "POST") -> Exchange:
    """The exchange of a request to this address."""
    recognised = by_address(host, path, method)
    assert recognised is not None
    return recognised.exchange(json.dumps(request).encode() if request is not None else b"", path)
