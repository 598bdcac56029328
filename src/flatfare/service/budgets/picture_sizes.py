"""How large a picture is, read from the first bytes of its file.

Bytes come from whoever asks: what cannot be read in few steps is not known, and never an error.
"""

import binascii
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

_STEPS_MAX = 512
_LOOKS = (1 << 12, 1 << 17, 1 << 21)
"""Characters of base64 that are looked at: remarks may stand before the size, of megabytes."""

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG_FRAMES = frozenset((*range(0xC0, 0xC4), *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0)))
_JPEG_SCAN = 0xDA
_JPEG_BARE = frozenset((0x01, *range(0xD0, 0xD8)))
URL_SAFE: Mapping[int, str] = MappingProxyType({ord("-"): "+", ord("_"): "/"})


class Size(NamedTuple):
    """Width and height in pixels."""

    width: int
    height: int


def size_in_base64(text: str) -> Size | None:
    """The size of a picture that is written in base64, of either alphabet; None where it cannot be told.

    >>> size_in_base64("R0lGODlhCAAEAAAAACwAAAAACAAEAAAC")
    Size(width=8, height=4)
    """
    for look in _LOOKS:
        start = text[:look].translate(URL_SAFE)
        try:
            whole = start if look < len(text) else start + "=" * (-len(start) % 4)
            head = binascii.a2b_base64(whole, strict_mode=True)
        except ValueError:
            return None
        found = size_of(head)
        if found is not None or look >= len(text) or not head.startswith((b"\xff\xd8", b"RIFF")):
            return found
    return None


def size_of(head: bytes) -> Size | None:
    """The size of a PNG, JPEG, WebP or GIF by its first bytes; None where it cannot be told."""
    if head.startswith(_PNG):
        found = _png(head)
    elif head.startswith(b"\xff\xd8\xff"):
        found = _jpeg(head)
    elif head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        found = _webp(head)
    elif head.startswith((b"GIF87a", b"GIF89a")):
        found = _gif(head)
    else:
        found = None
    return found if found is not None and found.width > 0 and found.height > 0 else None


def _png(head: bytes) -> Size | None:
    if len(head) < 24 or head[12:16] != b"IHDR":
        return None
    return Size(int.from_bytes(head[16:20]), int.from_bytes(head[20:24]))


def _jpeg(head: bytes) -> Size | None:
    """The largest of its frames before the first scan."""
    at, found = 2, Size(0, 0)
    for _ in range(_STEPS_MAX):
        if at + 9 > len(head) or head[at] != 0xFF:
            return None
        kind = head[at + 1]
        if kind == 0xFF:  # bytes may fill the space between
            at += 1
            continue
        if kind == _JPEG_SCAN:
            return found
        if kind in _JPEG_BARE:
            at += 2
            continue
        if kind in _JPEG_FRAMES:
            height, width = int.from_bytes(head[at + 5 : at + 7]), int.from_bytes(head[at + 7 : at + 9])
            if not height:  # told after the scan
                return None
            found = Size(max(found.width, width), max(found.height, height))
        at += 2 + max(2, int.from_bytes(head[at + 2 : at + 4]))
    return None


def _webp(head: bytes) -> Size | None:
    """Its canvas and its picture, whichever is more; of one that moves its canvas, which holds all of it."""
    at, found = 12, Size(0, 0)
    for _ in range(_STEPS_MAX):
        kind, data = head[at : at + 4], head[at + 8 : at + 18]
        if len(data) < 10:
            return None
        if kind == b"VP8X":
            width, height = int.from_bytes(data[4:7], "little"), int.from_bytes(data[7:10], "little")
            found = Size(max(found.width, width + 1), max(found.height, height + 1))
        elif kind in (b"VP8 ", b"VP8L"):
            own = _webp_frame(kind, data)
            return own and Size(max(found.width, own.width), max(found.height, own.height))
        elif kind == b"ANMF":
            return found
        length = int.from_bytes(head[at + 4 : at + 8], "little")
        at += 8 + length + length % 2
    return None


def _webp_frame(kind: bytes, data: bytes) -> Size | None:
    if kind == b"VP8L" and data[0] == 0x2F:
        bits = int.from_bytes(data[1:5], "little")
        return Size((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
    if kind == b"VP8 " and data[3:6] == b"\x9d\x01\x2a":
        width, height = int.from_bytes(data[6:8], "little"), int.from_bytes(data[8:10], "little")
        return Size(width & 0x3FFF, height & 0x3FFF)
    return None


def _gif(head: bytes) -> Size | None:
    """Its screen, or what its first picture covers where that is more: providers look at no other."""
    if len(head) < 13:
        return None
    width, height = int.from_bytes(head[6:8], "little"), int.from_bytes(head[8:10], "little")
    at = 13 + (3 << (head[10] & 7) + 1 if head[10] & 0x80 else 0)
    for _ in range(_STEPS_MAX):
        if at + 9 > len(head):
            return None
        if head[at] == 0x2C:
            left, top, wide, high = (
                int.from_bytes(head[at + place : at + place + 2], "little") for place in (1, 3, 5, 7)
            )
            return Size(max(width, left + wide), max(height, top + high))
        if head[at] == 0x21:  # a remark: its kind, then blocks
            at += 2
        elif head[at] == 0x3B:
            return None
        at += 1 + head[at]
    return None
