"""Signed webhooks: who sent a message, and that it is neither altered nor old.

The Standard Webhooks scheme (specification 1.0, read 2026-11-21): the id, the time and the
body, joined by dots, under HMAC-SHA256. Outgoing messages are signed so, incoming ones checked so.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable, Mapping

from flatfare.core.errors import BadInput, NotAuthorised

ID, TIMESTAMP, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"
PREFIX = "whsec_"
TOLERANCE_S = 300
"""A message whose time is further away is refused: it may have been kept and sent again."""

SECRET_BYTES_MIN = 16
_VERSION = "v1"


def signed(message_id: str, at_s: int, body: bytes, secrets: Iterable[str]) -> dict[str, str]:
    """The headers of a message; several secrets where one is being replaced by another.

    >>> signed("msg_1", 1674087231, b"{}", ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"])["webhook-signature"]
    'v1,QCc1C0FgUpxfSJy5BvEGVPJ/27RP8AwadWr57Nd93Gc='
    """
    if "." in message_id or not message_id:
        raise BadInput(f"Found the id {message_id!r} of a message: an id is not empty and has no dot.")
    signatures = [_signature(message_id, at_s, body, secret) for secret in secrets]
    return {ID: message_id, TIMESTAMP: str(at_s), SIGNATURE: " ".join(signatures)}


def check(headers: Mapping[str, str], body: bytes, secrets: Iterable[str], *, now_s: int) -> str:
    """The id of a message that one of the secrets signed; by it a message that comes twice is known.

    ``headers`` by lower-case name. Raises ``NotAuthorised`` saying what is wrong, and nothing
    of the secret.
    """
    message_id, timestamp = headers.get(ID, ""), headers.get(TIMESTAMP, "")
    if not message_id or not timestamp.isascii() or not timestamp.isdigit():
        raise NotAuthorised(
            f"The message is not signed: expected the headers {ID}, {TIMESTAMP}, {SIGNATURE}."
        )
    at_s = int(timestamp[:20])
    if abs(now_s - at_s) > TOLERANCE_S:
        raise NotAuthorised(
            f"The message is signed for a time {abs(now_s - at_s)} s away: at most {TOLERANCE_S} s are "
            "taken. Is a clock wrong, or was it sent before?"
        )
    given = [text.encode() for text in headers.get(SIGNATURE, "").split() if text.startswith(f"{_VERSION},")]
    is_ours = False
    for secret in secrets:
        wanted = _signature(message_id, at_s, body, secret).encode()
        for signature in given:
            is_ours |= hmac.compare_digest(wanted, signature)
    if not is_ours:
        raise NotAuthorised("The signature of the message is not that of a secret known here.")
    return message_id


def _signature(message_id: str, at_s: int, body: bytes, secret: str) -> str:
    content = f"{message_id}.{at_s}.".encode() + body
    digest = hmac.new(_key(secret), content, hashlib.sha256).digest()
    return f"{_VERSION},{base64.b64encode(digest).decode()}"


def _key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) < SECRET_BYTES_MIN:
        raise BadInput(
            f"Found a secret for webhooks that is none: expected {PREFIX} and at least {SECRET_BYTES_MIN} "
            "bytes in base64."
        )
    return key
