"""Sizes of pictures: read from the first bytes of each kind of file, and not known where they cannot be."""

import base64
import struct
import time
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flatfare.service.budgets.picture_sizes import Size, size_in_base64, size_of


def png(width: int, height: int) -> bytes:
    head = struct.pack(">II", width, height) + b"\x08\x02\x00\x00\x00"
    crc = struct.pack(">I", zlib.crc32(b"IHDR" + head))
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + head + crc


def jpeg(width: int, height: int, *, remark: bytes = b"", kind: int = 0xC2) -> bytes:
    remarks = b"".join(
        b"\xff\xe2" + struct.pack(">H", len(part) + 2) + part
        for part in (remark[start : start + 60_000] for start in range(0, len(remark), 60_000))
    )
    frame = bytes((0xFF, kind)) + struct.pack(">HBHHB", 17, 8, height, width, 3) + b"\x01\x22\x00" * 3
    return b"\xff\xd8" + remarks + frame + b"\xff\xda\x00\x0c" + b"\x00" * 20


def gif(
    width: int, height: int, first: tuple[int, int, int, int] | None = None, *, table: bool = True
) -> bytes:
    flags = 0x91 if table else 0
    screen = b"GIF89a" + struct.pack("<HHBBB", width, height, flags, 0, 0) + b"\x00" * (12 if table else 0)
    remark = b"\x21\xff\x0bNETSCAPE2.0\x03\x01\x00\x00\x00" + b"\x21\xf9\x04\x00\x00\x00\x00\x00"
    return screen + remark + b"\x2c" + struct.pack("<HHHHB", *(first or (0, 0, width, height)), 0) + b"\x02"


def webp(*chunks: tuple[bytes, bytes]) -> bytes:
    written = [
        kind + struct.pack("<I", len(data)) + data + b"\x00" * (len(data) % 2) for kind, data in chunks
    ]
    return b"RIFF\x00\x00\x00\x00WEBP" + b"".join(written)


def lossy(width: int, height: int) -> tuple[bytes, bytes]:
    return b"VP8 ", b"\x00\x00\x00\x9d\x01\x2a" + struct.pack("<HH", width, height) + b"\x00" * 9


def canvas(width: int, height: int) -> tuple[bytes, bytes]:
    return b"VP8X", bytes(4) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")


@pytest.mark.parametrize(
    "file",
    [
        png(640, 480),
        jpeg(640, 480),
        jpeg(640, 480, remark=b"x" * 150_000, kind=0xC0),
        gif(640, 480),
        gif(640, 480, table=False),
        gif(600, 400, (40, 80, 600, 400)),
        webp(lossy(640, 480)),
        webp((b"VP8L", b"\x2f" + struct.pack("<I", 639 | 479 << 14) + bytes(9))),
        webp(canvas(640, 480), (b"ICCP", b"x" * 9999), lossy(640, 480)),
        webp(canvas(1, 1), (b"ALPH", b"x" * 33), lossy(640, 480)),
        webp(canvas(640, 480), (b"ANMF", b"x" * 33)),
    ],
)
def test_each_kind_of_file_says_its_size(file: bytes) -> None:
    assert size_of(file) == Size(640, 480)
    text = base64.b64encode(file).decode()
    assert size_in_base64(text) == size_in_base64(text.rstrip("=")) == Size(640, 480)
    assert size_in_base64(base64.urlsafe_b64encode(file).decode()) == Size(640, 480)


def test_of_several_frames_of_a_jpeg_the_largest_counts() -> None:
    small, large = jpeg(8, 8), jpeg(4000, 3000)
    both = small[:2] + small[2:-24] + large[2:]
    assert size_of(both) == Size(4000, 3000)


@pytest.mark.parametrize(
    "file",
    [b"", b"\x89PNG\r\n\x1a\n", png(0, 5), b"BM" + b"\x00" * 60, jpeg(5, 0), b"%PDF-1.7", gif(3, 3)[:12]],
)
def test_what_cannot_be_read_has_no_size(file: bytes) -> None:
    assert size_of(file) is None
    assert size_in_base64(base64.b64encode(file).decode()) is None


def test_what_is_no_base64_has_no_size() -> None:
    assert size_in_base64("data:image/png;base64,AAAA") is None
    assert size_in_base64("iVBO Rw0K\nGgo=") is None


HEADS = [png(9, 9), jpeg(9, 9), gif(9, 9), b"RIFF\x00\x00\x00\x00WEBPVP8X", b"\xff\xd8\xff"]


@given(st.sampled_from(HEADS), st.binary(max_size=200), st.integers(0, 60))
def test_no_bytes_make_it_fail(head: bytes, rest: bytes, kept: int) -> None:
    found = size_of(head[:kept] + rest)
    assert found is None or min(found) > 0


@pytest.mark.parametrize(
    "hostile",
    [
        b"\xff\xd8" + b"\xff" * 3_000_000,
        b"\xff\xd8" + b"\xff\xe0\x00\x02" * 700_000,
        b"\xff\xd8" + b"\xff\xd0" * 1_400_000,
        gif(9, 9)[:25] + b"\x21\xfe\x00" * 900_000,
        gif(9, 9)[:25] + b"\x01a" * 1_400_000,
        webp(*[canvas(9, 9)] * 100_000),
    ],
)
def test_no_bytes_make_it_slow(hostile: bytes) -> None:
    text = base64.b64encode(hostile).decode()
    began = time.process_time()
    assert size_in_base64(text) is None
    assert time.process_time() - began < 0.2
