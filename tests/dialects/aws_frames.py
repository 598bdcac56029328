"""Builds AWS event streams for tests, as the service frames them."""

import base64
import json
import struct
from zlib import crc32


def frame(name: str, payload: bytes, kind: str = "event") -> bytes:
    """One message with the headers that Bedrock sends."""
    headers = b""
    for key, value in (
        (f":{kind}-type", name),
        (":content-type", "application/json"),
        (":message-type", kind),
    ):
        headers += bytes([len(key)]) + key.encode() + b"\x07" + struct.pack(">H", len(value)) + value.encode()
    length = 12 + len(headers) + len(payload) + 4
    prelude = struct.pack(">II", length, len(headers))
    message = prelude + struct.pack(">I", crc32(prelude)) + headers + payload
    return message + struct.pack(">I", crc32(message))


def event(name: str, body: object) -> bytes:
    """An event whose payload is JSON."""
    return frame(name, json.dumps(body).encode())


def chunk(body: object) -> bytes:
    """A chunk of InvokeModelWithResponseStream: the vendor's JSON within the payload, in base64."""
    return event("chunk", {"bytes": base64.b64encode(json.dumps(body).encode()).decode(), "p": "abcdef"})
