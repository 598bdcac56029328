"""Archives whose members are packed with Zstandard are read without any library more."""

import struct
import zlib
from pathlib import Path

import pytest
import zstandard

from flatfare.core.errors import BadInput
from flatfare.service.importing.packed import Archive


def archive(path: Path, content: bytes, *, packed: bytes | None = None, crc: int | None = None) -> Path:
    """An archive of one member ``a.json``, packed with Zstandard, as zipfile itself cannot write one."""
    body = zstandard.compress(content) if packed is None else packed
    name = b"a.json"
    common = struct.pack(
        "<HHHHHIIIHH", 63, 0, 93, 0, 0, zlib.crc32(content) if crc is None else crc, len(body), len(content),
        len(name), 0,
    )  # fmt: skip
    local = b"PK\x03\x04" + common + name
    entry = b"PK\x01\x02" + struct.pack("<H", 63) + common + struct.pack("<HHHII", 0, 0, 0, 0, 0) + name
    end = b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(entry), len(local) + len(body), 0)
    path.write_bytes(local + body + entry + end)
    return path


@pytest.mark.parametrize(
    "content",
    [b"{}", '{\n  "a": "ü€😀\\u0001",\n  "b": NaN\n}'.encode(), b'{"x": "' + b"q" * 5_000_000 + b'"}'],
)
def test_a_member_is_read_byte_for_byte(tmp_path: Path, content: bytes) -> None:
    with Archive(archive(tmp_path / "x.zip", content), "x.zip") as opened:
        assert opened.read("a.json") == content
        assert opened.read("a.json") == content


@pytest.mark.parametrize("how", [{"packed": b"no zstandard"}, {"crc": 1}])
def test_a_damaged_member_is_named(tmp_path: Path, how: dict[str, object]) -> None:
    path = archive(tmp_path / "x.zip", b'{"a": 1}', **how)  # type: ignore[arg-type]
    with Archive(path, "x.zip") as opened, pytest.raises(BadInput, match=r"a\.json in x\.zip is damaged"):
        opened.read("a.json")


def test_an_archive_that_is_cut_off_is_named(tmp_path: Path) -> None:
    whole = archive(tmp_path / "x.zip", b"{}")
    whole.write_bytes(whole.read_bytes()[:-10])
    with pytest.raises(BadInput, match="it may be cut off"):
        Archive(whole, "x.zip")
