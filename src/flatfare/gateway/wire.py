"""Messages of HTTP/1.1 as the gateway holds them: a request taken apart, a head put together.

Names and values stay the bytes that came, in their order. What belongs to one
connection only (RFC 9110, section 7.6.1) is never passed on.
"""

from collections.abc import Iterable, Sequence

Headers = list[tuple[bytes, bytes]]
"""Names as they were written, and values, in order."""

HOP_BY_HOP = frozenset(
    (
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    )
)

OWN_PREFIX = b"flatfare-"
"""Headers of this name are for the gateway: a client's do not travel on, a provider's do not come back."""

REASONS = {
    200: b"OK",
    400: b"Bad Request",
    401: b"Unauthorized",
    403: b"Forbidden",
    404: b"Not Found",
    405: b"Method Not Allowed",
    408: b"Request Timeout",
    413: b"Content Too Large",
    429: b"Too Many Requests",
    431: b"Request Header Fields Too Large",
    500: b"Internal Server Error",
    501: b"Not Implemented",
    502: b"Bad Gateway",
    503: b"Service Unavailable",
    504: b"Gateway Timeout",
    505: b"HTTP Version Not Supported",
}


class Request:
    """One request of a client, whole."""

    __slots__ = ("arrived_at", "body", "fields", "headers", "keep_alive", "method", "minor_version", "target")

    def __init__(self, method: str, target: bytes, minor_version: int) -> None:
        self.method = method
        self.target = target
        self.minor_version = minor_version
        self.headers: Headers = []
        self.fields: dict[bytes, bytes] = {}
        """Values by lower-case name; several of one name joined by a comma."""
        self.body = b""
        self.keep_alive = True
        self.arrived_at = 0.0  # monotonic, when its last byte was here

    def add(self, name: bytes, value: bytes) -> None:
        """Take in a header."""
        self.headers.append((name, value))
        lower = name.lower()
        held = self.fields.get(lower)
        self.fields[lower] = value if held is None else held + b", " + value

    def text(self, name: bytes) -> str | None:
        """A header's value as text, or None."""
        value = self.fields.get(name)
        return None if value is None else value.decode("latin-1")


def passed_on(headers: Headers, connection: bytes, dropped: frozenset[bytes]) -> Headers:
    """The headers without those of one connection, those named, and the gateway's own."""
    if connection:
        named = {name.strip().lower() for name in connection.split(b",")}
        if not named <= {b"close", b"keep-alive"}:
            dropped = dropped | named
    kept = []
    for name, value in headers:
        lower = name.lower()
        if lower in dropped or lower in HOP_BY_HOP or lower.startswith(OWN_PREFIX):
            continue
        kept.append((name, value))
    return kept


def head(first_line: bytes, headers: Sequence[tuple[bytes, bytes]]) -> bytes:
    """The bytes of a message's head."""
    lines = [first_line]
    lines += [name + b": " + value for name, value in headers]
    lines.append(b"\r\n")
    return b"\r\n".join(lines)


def status_line(status: int, reason: bytes | None = None) -> bytes:
    """The first line of an answer."""
    if reason is None:
        reason = REASONS.get(status, b"")
    return b"HTTP/1.1 %d %s" % (status, reason)


def whole_answer(
    status: int, content_type: bytes, body: bytes, headers: Iterable[tuple[bytes, bytes]]
) -> bytes:
    """An answer of the gateway itself, as bytes."""
    own = [(b"Content-Type", content_type), (b"Content-Length", b"%d" % len(body)), *headers]
    return head(status_line(status), own) + body


def as_asked(answer: bytes, request: Request) -> bytes:
    """A whole answer as this request is answered: HEAD gets the headers alone (RFC 9110, 9.3.2)."""
    if request.method != "HEAD":
        return answer
    return answer[: answer.index(b"\r\n\r\n") + 4]


def plain(text: str) -> bytes:
    """Text that can stand in a header: printable ASCII, bounded; anything else becomes a question mark."""
    return "".join(sign if " " <= sign <= "~" else "?" for sign in text[:400]).encode()
