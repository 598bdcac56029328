"""Compressed bodies opened piece by piece, and never into more than a bounded multiple of their size.

What would swell beyond the bound, or is cut or damaged, is refused with a sentence.
"""

import importlib
import zlib
from typing import Protocol

from flatfare.core.errors import BadInput

SWELL_MAX = 128
"""Bytes out for each byte in: JSON shrinks 5 to 50 times, a bomb a thousand times and more."""
SWELL_FREE = 1 << 20
"""Bytes out that are allowed whatever came in."""


class _Codec(Protocol):
    def open(self, chunk: bytes, limit: int) -> bytes:
        """At most about ``limit`` bytes more."""


class _Zlib:
    """gzip, zlib and raw deflate, told apart by two bytes; several gzip members may follow one another."""

    def __init__(self) -> None:
        self._head = b""
        self._stream: zlib._Decompress | None = None

    def open(self, chunk: bytes, limit: int) -> bytes:
        if self._stream is None:
            self._head += chunk
            if len(self._head) < 2:
                return b""
            # Some servers send deflate without the header that it should have.
            self._stream = zlib.decompressobj(wbits=47 if _has_header(self._head) else -15)
            chunk = self._head
        pieces = []
        size = 0
        chunk = self._stream.unconsumed_tail + chunk
        while chunk and size <= limit:
            pieces.append(self._stream.decompress(chunk, limit + 1 - size))
            size += len(pieces[-1])
            if not self._stream.eof:
                break
            chunk = self._stream.unused_data
            self._stream = zlib.decompressobj(wbits=47)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _has_header(start: bytes) -> bool:
    is_zlib = start[0] & 0x0F == 8 and (start[0] << 8 | start[1]) % 31 == 0
    return is_zlib or start[:2] == b"\x1f\x8b"


class _Brotli:
    """br, through the package ``brotli`` or ``brotlicffi`` where it is installed."""

    def __init__(self) -> None:
        try:
            brotli = importlib.import_module("brotli")
        except ImportError:
            raise BadInput(
                "The body is compressed with br, which needs a package: pip install brotli."
            ) from None
        self._stream = brotli.Decompressor()
        self._error: type[Exception] = brotli.error

    def open(self, chunk: bytes, limit: int) -> bytes:
        out = bytearray()
        try:
            out += self._stream.process(chunk, output_buffer_limit=min(limit + 1, 1 << 20))
            while len(out) <= limit and not self._stream.can_accept_more_data():
                out += self._stream.process(b"", output_buffer_limit=1 << 20)
        except self._error as problem:
            raise BadInput(f"The body is no br: {problem}.") from None
        return bytes(out)


class _Zstd:
    """zstd, through the package ``zstandard`` where it is installed."""

    def __init__(self) -> None:
        try:
            zstandard = importlib.import_module("zstandard")
        except ImportError:
            raise BadInput(
                "The body is compressed with zstd, which needs a package: pip install zstandard."
            ) from None
        self._stream = zstandard.ZstdDecompressor(max_window_size=1 << 27).decompressobj()
        self._error: type[Exception] = zstandard.ZstdError

    def open(self, chunk: bytes, limit: int) -> bytes:
        out = bytearray()
        try:
            # A small piece at a time: this package has no limit of its own on what comes out.
            for start in range(0, len(chunk), 256):
                out += self._stream.decompress(chunk[start : start + 256])
                if len(out) > limit:
                    break
        except self._error as problem:
            raise BadInput(f"The body is no zstd: {problem}.") from None
        return bytes(out)


_CODECS: dict[str, type[_Codec]] = {
    "gzip": _Zlib,
    "x-gzip": _Zlib,
    "deflate": _Zlib,
    "zlib": _Zlib,
    "br": _Brotli,
    "zstd": _Zstd,
}


class Opener:
    """Opens what a body was compressed with, outermost encoding first; ``BadInput`` where it cannot."""

    __slots__ = ("_came", "_codecs", "_gave")

    def __init__(self, encodings: str) -> None:
        names = [name.strip().lower() for name in encodings.split(",")]
        self._codecs: list[_Codec] = []
        for name in reversed(names[:4]):
            if name in ("", "identity"):
                continue
            if name not in _CODECS:
                raise BadInput(f"The body is encoded as {name[:40]!r}: expected {', '.join(_CODECS)}.")
            self._codecs.append(_CODECS[name]())
        self._came = self._gave = 0

    def open(self, chunk: bytes) -> bytes:
        """What more is open now."""
        self._came += len(chunk)
        limit = self._came * SWELL_MAX + SWELL_FREE - self._gave
        try:
            for codec in self._codecs:
                chunk = codec.open(chunk, limit)
                if len(chunk) > limit:
                    raise BadInput(
                        f"The body swells to more than {SWELL_MAX} times its size: no provider's answer does."
                    )
        except zlib.error as problem:
            raise BadInput(f"The compressed body is damaged: {problem}.") from None
        self._gave += len(chunk)
        return chunk


_MAGIC = ((b"\x1f\x8b", "gzip"), (b"\x28\xb5\x2f\xfd", "zstd"))


def encoding_by_look(body: bytes) -> str | None:
    """The encoding that a body's first bytes show; br shows none."""
    for magic, name in _MAGIC:
        if body.startswith(magic):
            return name
    is_zlib = len(body) > 2 and body[0] == 0x78 and (body[0] << 8 | body[1]) % 31 == 0
    return "deflate" if is_zlib else None


def opened(body: bytes, encodings: str = "") -> bytes:
    """The body as it was before it was compressed, by its headers or else by its look."""
    if body[:1] in (b"{", b"["):
        return body  # recordings keep the header of what they opened themselves
    encodings = encodings or encoding_by_look(body) or ""
    return Opener(encodings).open(body) if encodings else body
