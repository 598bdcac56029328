"""Responses as they lie in files: raw bodies and streams, recording envelopes, folders of them.

An envelope names its host and path, so that it needs no hint; a raw body is taken as it
is.
"""

import base64
import binascii
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import msgspec

from flatfare.core.errors import BadInput
from flatfare.service.costing.metering import Response

FILE_BYTES_MAX = 1 << 30


class Envelope(msgspec.Struct):
    """A recorded exchange: what was asked where, and what came back."""

    request_host: str | None = None
    request_url_path: str | None = None
    request_method: str | None = None
    request_body: msgspec.Raw = msgspec.Raw()
    response_status: int | str | None = None
    response_headers: Mapping[str, object] | None = None
    response_body_text: msgspec.Raw = msgspec.Raw()
    response_body_encoding: str | None = None
    usage_headers: Mapping[str, object] | None = None


_decode = msgspec.json.Decoder(Envelope).decode


def responses_in(path: Path, hints: Response) -> Iterator[tuple[str, Response]]:
    """The responses in a file, or in every file of a folder and below, in the order of their names."""
    if path.is_dir():
        for file in sorted(path.rglob("*")):
            if file.is_file() and not file.name.startswith(".") and _is_response(file):
                yield str(file), _response_in(file, hints)
        return
    yield str(path), response_of(_content(path), hints)


def _response_in(file: Path, hints: Response) -> Response:
    """A file of a folder: one that cannot be read is a response that says so, and the others go on."""
    try:
        return response_of(_content(file), hints)
    except BadInput as problem:
        return replace(hints, problem=str(problem))


def _is_response(file: Path) -> bool:
    """In a folder: not its licence, index or readme."""
    return file.suffix.lower() not in (".csv", ".md", ".yaml", ".yml", ".toml", ".py")


def _content(path: Path) -> bytes:
    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            raise BadInput(
                f"Found {path} with more than {FILE_BYTES_MAX >> 20} MiB: no response has that size."
            )
        return path.read_bytes()
    except OSError as problem:
        raise BadInput(f"Found no readable file at {path}: {problem.strerror or problem}.") from None


def response_of(content: bytes, hints: Response) -> Response:
    """A response from what a file holds: an envelope is opened, anything else is the body itself."""
    if content.lstrip()[:1] == b"{" and b'"response_body_text"' in content:
        try:
            return _from_envelope(_decode(content), hints)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            pass
    return replace(hints, body=content)


def _from_envelope(envelope: Envelope, hints: Response) -> Response:
    encoding = envelope.response_body_encoding or "text"
    body = _bytes_of(envelope.response_body_text)
    if encoding == "base64":
        body = _from_base64(body)
    headers = {**_texts(envelope.response_headers), **_texts(envelope.usage_headers), **hints.headers}
    status = str(envelope.response_status or "")
    is_lines = encoding in ("jsonl", "websocket-jsonl")
    return replace(
        hints,
        body=body,
        host=envelope.request_host or "",
        path=envelope.request_url_path or "",
        method=envelope.request_method or hints.method,
        request_body=_bytes_of(envelope.request_body) or hints.request_body,
        status=int(status) if status.isdecimal() else hints.status,
        headers=headers,
        is_stream=True if is_lines else hints.is_stream,
    )


def _bytes_of(raw: msgspec.Raw) -> bytes:
    """Text as its bytes; an object that stands in its place as it is written."""
    if not raw or bytes(raw) == b"null":
        return b""
    if bytes(raw)[:1] == b'"':
        text: str = msgspec.json.decode(raw, type=str)
        return text.encode("utf-8", "surrogatepass")
    return bytes(raw)


def _from_base64(body: bytes) -> bytes:
    try:
        return base64.b64decode(body, validate=False)
    except binascii.Error:
        return body


def _texts(headers: Mapping[str, object] | None) -> dict[str, str]:
    """Headers with names in lower case; of several values the first."""
    texts = {}
    for name, value in (headers or {}).items():
        first = value[0] if isinstance(value, list) and value else value
        texts[name.lower()] = str(first)
    return texts
