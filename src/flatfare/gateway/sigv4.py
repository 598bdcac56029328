"""AWS Signature Version 4, as far as Bedrock needs it: a request signed with the operator's credentials.

The algorithm is AWS's "Create a signed AWS API request" (docs.aws.amazon.com/IAM,
2026-11). Services other than S3 sign the path escaped once more than it is sent.
"""

import hashlib
import hmac
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import parse_qsl, quote

from flatfare.core.moments import datetime_of


@dataclass(frozen=True, slots=True)
class Signer:
    """Whose credentials sign, for which region and service."""

    access_key: str
    secret_key: str
    session_token: str | None
    region: str
    service: str = "bedrock"

    def headers(
        self,
        method: str,
        path: str,
        query: str,
        host: bytes,
        content_type: bytes | None,
        body: bytes,
        at_us: int,
    ) -> list[tuple[bytes, bytes]]:
        """The headers that a request needs besides its own; ``path`` as it is sent."""
        stamp = datetime_of(at_us).strftime("%Y%m%dT%H%M%SZ")
        signed = {"host": host.decode(), "x-amz-date": stamp}
        if content_type is not None:
            signed["content-type"] = " ".join(content_type.decode("latin-1").split())
        if self.session_token:
            signed["x-amz-security-token"] = self.session_token
        names = ";".join(sorted(signed))
        canonical = "\n".join(
            (
                method,
                quote(path, safe="/-_.~"),
                _canonical_query(query),
                *(f"{name}:{signed[name]}" for name in sorted(signed)),
                "",
                names,
                hashlib.sha256(body).hexdigest(),
            )
        )
        scope = f"{stamp[:8]}/{self.region}/{self.service}/aws4_request"
        to_sign = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        key = _signing_key(self.secret_key, stamp[:8], self.region, self.service)
        signature = hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
        credential = f"AWS4-HMAC-SHA256 Credential={self.access_key}/{scope}"
        authorisation = f"{credential}, SignedHeaders={names}, Signature={signature}"
        added = [(b"X-Amz-Date", stamp.encode()), (b"Authorization", authorisation.encode())]
        if self.session_token:
            added.append((b"X-Amz-Security-Token", self.session_token.encode()))
        return added


def _canonical_query(query: str) -> str:
    pairs = sorted((quote(n, safe="-_.~"), quote(v, safe="-_.~")) for n, v in parse_qsl(query, True))
    return "&".join(f"{name}={value}" for name, value in pairs)


@lru_cache(maxsize=16)
def _signing_key(secret_key: str, day: str, region: str, service: str) -> bytes:
    key = f"AWS4{secret_key}".encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key
