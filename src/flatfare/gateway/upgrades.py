"""Which requests ask to change to a websocket, and what of them bears on the session."""

from urllib.parse import parse_qsl

from flatfare.dialects.framing import JsonLines
from flatfare.gateway.routes import Place
from flatfare.gateway.wire import Headers, Request

KEY_MARK = b"openai-insecure-api-key."
"""Browsers cannot set headers of a websocket: OpenAI's clients name the key among the protocols
(platform.openai.com/docs/guides/realtime-websocket, 2026-11)."""


def is_websocket(request: Request) -> bool:
    """Whether the client asks for a websocket (RFC 6455, section 4.1). Other upgrades are not heeded."""
    fields = request.fields
    if request.method != "GET" or fields.get(b"upgrade", b"").strip().lower() != b"websocket":
        return False
    named = {name.strip().lower() for name in fields.get(b"connection", b"").split(b",")}
    return b"upgrade" in named and request.minor_version == 1


def why_no_session(place: Place, request: Request) -> str | None:
    """Why this websocket cannot be passed on; None where it can."""
    fields = request.fields
    if request.body or b"sec-websocket-key" not in fields or fields.get(b"sec-websocket-version") != b"13":
        return "Expected a websocket of version 13 with its key, and no body."
    route = place.route
    reads = route is None or (
        route.stream is not None and route.framing is JsonLines and "GET" in route.methods
    )
    return None if reads else f"{place.path[:200]} is not known as an endpoint of sessions over websockets."


def model_in(query: bytes) -> str | None:
    """The model that the address of a session names."""
    named = dict(parse_qsl(query.decode("latin-1")))
    return named.get("model") or named.get("deployment")


def joined_by(query: bytes) -> list[str]:
    """The call at the provider that a session would join, as one more listener."""
    return [value for name, value in parse_qsl(query.decode("latin-1")) if name == "call_id"]


def key_in(protocols: bytes) -> bytes | None:
    """The key among the protocols that a client offers."""
    for name in protocols.split(b","):
        if name.strip().startswith(KEY_MARK):
            return name.strip()[len(KEY_MARK) :]
    return None


def asking(headers: Headers, *, keeps_key: bool) -> Headers:
    """The headers that ask a provider for a websocket, without the client's key if it is the gateway's."""
    asked: Headers = []
    for name, value in headers:
        if name.lower() == b"sec-websocket-protocol" and not keeps_key:
            named = [one.strip() for one in value.split(b",") if not one.strip().startswith(KEY_MARK)]
            if named:
                asked.append((name, b", ".join(named)))
        else:
            asked.append((name, value))
    return [*asked, (b"Connection", b"Upgrade"), (b"Upgrade", b"websocket")]
