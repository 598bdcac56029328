"""Pydantic's AI gateway: each provider's own shape, at the upstream's own rates.

Nothing is read here that the upstream's dialect does not read.
"""

from collections.abc import Callable

import msgspec

from flatfare.dialects import anthropic, openai
from flatfare.dialects.dialect import Dialect, Route, StreamReader, Whole
from flatfare.dialects.openai_shape import prompt_of, read_request
from flatfare.dialects.reading import Exchange, Reading


def _through(whole: Whole, provider: str) -> Whole:
    def read(body: bytes, exchange: Exchange) -> Reading:
        return _at_upstream(whole(body, exchange), provider)

    return read


def _at_upstream(reading: Reading, provider: str) -> Reading:
    parts = tuple(msgspec.structs.replace(part, provider=part.provider or provider) for part in reading.parts)
    return msgspec.structs.replace(reading, parts=parts)


class ThroughReader:
    """Reads a stream as its upstream's."""

    __slots__ = ("_provider", "_reader")

    def __init__(self, reader: StreamReader, provider: str) -> None:
        self._reader = reader
        self._provider = provider

    def event(self, name: str, data: bytes) -> None:
        self._reader.event(name, data)

    def finish(self) -> Reading:
        return _at_upstream(self._reader.finish(), self._provider)


Opening = Callable[[Exchange], StreamReader]


def _stream_through(stream: Opening | None, provider: str) -> Opening | None:
    if stream is None:
        return None

    def read(exchange: Exchange) -> StreamReader:
        return ThroughReader(stream(exchange), provider)

    return read


def _routes(dialect: Dialect, prefix: str) -> tuple[Route, ...]:
    return tuple(
        msgspec.structs.replace(
            route,
            endpoint=f"{dialect.provider}.{route.endpoint}",
            path=f"{prefix}/(?:v1/)?{route.path.removeprefix('v1/')}",
            whole=_through(route.whole, dialect.provider),
            stream=_stream_through(route.stream, dialect.provider),
            marks={**route.marks, "usage.pydantic_ai_gateway": None} if route.marks else {},
            stream_marks={},
        )
        for route in dialect.routes
    )


TRAPS = """
- Each upstream's answer comes in its own shape, priced at the upstream's own rates.
- `usage.pydantic_ai_gateway.cost_estimate` is the gateway's own estimate in floating point, not a charge:
  it is not taken over.
"""

DIALECT = Dialect(
    provider="pydantic-gateway",
    also=("pydantic-ai-gateway",),
    hosts=(r"gateway(?:-[a-z]+)?\.pydantic\.dev", r"localhost:8787"),
    routes=(*_routes(anthropic.DIALECT, "anthropic"), *_routes(openai.DIALECT, "(?:openai|chat|responses)")),
    read_request=read_request,
    traps=TRAPS,
    prompt=prompt_of,
)
