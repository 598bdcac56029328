"""Credentials: the Flatfare key that a client sends, and the provider's that takes its place.

Where the operator gave none for a provider, and no key is needed at the gateway, the
client's own credential goes through as it came. A Flatfare key never does: a host of one's
own that asks for no credential gets none. Nothing here is logged or echoed.
"""

import re
from dataclasses import dataclass
from urllib.parse import unquote_plus

from flatfare.gateway.routes import Upstream
from flatfare.gateway.sigv4 import Signer
from flatfare.gateway.upgrades import key_in
from flatfare.gateway.wire import Headers, Request

CREDENTIAL_HEADERS = frozenset((b"authorization", b"x-api-key", b"x-goog-api-key", b"api-key"))
_AWS_HEADERS = frozenset((b"x-amz-date", b"x-amz-security-token", b"x-amz-content-sha256"))
_ALWAYS_DROPPED = frozenset((b"host", b"content-length", b"expect", b"baggage"))
_REPLACED = _ALWAYS_DROPPED | CREDENTIAL_HEADERS | _AWS_HEADERS
_AWS = re.compile(r"AWS4-HMAC-SHA256\s+Credential=([^/,\s]+)")
_HEADER_OF = {"anthropic": b"x-api-key", "gemini": b"x-goog-api-key", "azure": b"api-key"}


def client_secret(request: Request) -> str | None:
    """The credential that a client sent, wherever its SDK puts it."""
    fields = request.fields
    for name in (b"x-api-key", b"x-goog-api-key", b"api-key"):
        if name in fields:
            return fields[name].decode("latin-1").strip()
    if (given := fields.get(b"authorization")) is not None:
        text = given.decode("latin-1").strip()
        if found := _AWS.match(text):
            return found[1]
        scheme, _, secret = text.partition(" ")
        return secret.strip() if scheme.lower() == "bearer" else None
    if (protocols := fields.get(b"sec-websocket-protocol")) is not None and (named := key_in(protocols)):
        return named.decode("latin-1")
    for part in request.target.partition(b"?")[2].split(b"&"):
        if part.startswith(b"key="):
            return unquote_plus(part[4:].decode("latin-1"))
    return None


def without_key(query: bytes) -> bytes:
    """A query without the credential that Google's clients may put there."""
    if b"key=" not in query:
        return query
    return b"&".join(part for part in query.split(b"&") if not part.startswith(b"key="))


@dataclass(frozen=True, slots=True)
class Dress:
    """What a provider's requests carry in place of the client's credential."""

    dropped: frozenset[bytes]
    added: tuple[tuple[bytes, bytes], ...]
    signer: Signer | None = None
    is_client_s: bool = False  # the client's own credential goes through

    def headers_for(
        self, request: Request, path: bytes, query: bytes, host: bytes, body: bytes, at_us: int
    ) -> Headers:
        """The headers that are added to a request."""
        if self.signer is None:
            return list(self.added)
        return self.signer.headers(
            request.method,
            path.decode("latin-1"),
            query.decode("latin-1"),
            host,
            request.fields.get(b"content-type"),
            body,
            at_us,
        )


BARE = Dress(_REPLACED, ())
"""No credential at all: for a host that asks for none, where the client's was a Flatfare key."""


def dress_of(upstream: Upstream) -> Dress:
    """How a provider's requests are authorised."""
    provider = upstream.provider
    if provider.access_key and provider.secret_key:
        region = upstream.named.get("region", "us-east-1")
        signer = Signer(provider.access_key, provider.secret_key, provider.session_token, region)
        return Dress(_REPLACED, (), signer)
    if not provider.api_key:
        return Dress(_ALWAYS_DROPPED, (), is_client_s=True)
    name = _HEADER_OF.get(upstream.dialect.provider)
    key = provider.api_key.encode("latin-1")
    if name is None:
        return Dress(_REPLACED, ((b"Authorization", b"Bearer " + key),))
    return Dress(_REPLACED, ((name, key),))
