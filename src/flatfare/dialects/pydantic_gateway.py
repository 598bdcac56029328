"""Pydantic's AI gateway: each provider's own shape, with an estimate of the charge in its usage.

The rates are the upstream's; the gateway's estimate is its own sum and stands beside.
"""

import msgspec

from flatfare.dialects import anthropic, openai
from flatfare.dialects.dialect import Dialect, Route, Whole
from flatfare.dialects.openai_shape import prompt_of, read_request
from flatfare.dialects.reading import Exchange, Part, Reading, Reported


class Estimate(msgspec.Struct):
    """What the gateway adds."""

    cost_estimate: msgspec.Raw = msgspec.Raw()


class GatewayUsage(msgspec.Struct):
    """Usage with the gateway's object in it."""

    pydantic_ai_gateway: Estimate | None = None


class GatewayBody(msgspec.Struct):
    """An answer with the gateway's object in it."""

    usage: GatewayUsage | None = None


_decode = msgspec.json.Decoder(GatewayBody).decode


def _through(whole: Whole, provider: str) -> Whole:
    def read(body: bytes, exchange: Exchange) -> Reading:
        reading = whole(body, msgspec.structs.replace(exchange, provider=provider))
        parts = tuple(
            Part(part.model, part.usage, part.conditions, part.provider or provider, part.estimated)
            for part in reading.parts
        )
        return msgspec.structs.replace(reading, parts=parts, reported=_estimate(body))

    return read


def _estimate(body: bytes) -> Reported | None:
    usage = _decode(body).usage
    if usage is None or usage.pydantic_ai_gateway is None:
        return None
    text = bytes(usage.pydantic_ai_gateway.cost_estimate).decode()
    return (
        Reported(text, "USD", "usage.pydantic_ai_gateway.cost_estimate") if text not in ("", "null") else None
    )


def _routes(dialect: Dialect, prefix: str) -> tuple[Route, ...]:
    return tuple(
        msgspec.structs.replace(
            route,
            endpoint=f"{dialect.provider}.{route.endpoint}",
            path=f"{prefix}/(?:v1/)?{route.path.removeprefix('v1/')}",
            whole=_through(route.whole, dialect.provider),
            marks={**route.marks, "usage.pydantic_ai_gateway": None} if route.marks else {},
            stream_marks={},
        )
        for dialect in (dialect,)
        for route in dialect.routes
    )


TRAPS = """
- Each upstream's answer comes in its own shape, priced at the upstream's own rates.
- `usage.pydantic_ai_gateway.cost_estimate` is the gateway's own sum, in floating point: it can differ
  from the exact one in the last digits.
"""

DIALECT = Dialect(
    provider="pydantic-gateway",
    hosts=(r"gateway(?:-[a-z]+)?\.pydantic\.dev", r"localhost:8787"),
    routes=(*_routes(anthropic.DIALECT, "anthropic"), *_routes(openai.DIALECT, "(?:openai|chat|responses)")),
    read_request=read_request,
    traps=TRAPS,
    prompt=prompt_of,
)
