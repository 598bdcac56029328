"""The members of a zip archive, also those that are packed with Zstandard, as evaluation logs are.

The lake's engine unpacks those, so that no library more is needed. A member that says it is larger
than allowed is not unpacked.
"""

import struct
import zipfile
import zlib
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Self

from flatfare.core.errors import BadInput
from flatfare.store.engine import open_engine, quoted

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MEMBER_BYTES_MAX = 512 << 20
_ZSTANDARD = 93  # PKWARE's APPNOTE 6.3.10, section 4.4.5
_LOCAL_HEADER = struct.Struct("<26xHH")  # the lengths of name and extra field, section 4.3.7


class TooLarge(Exception):
    """A member is larger than allowed."""


class Archive:
    """A zip archive, open for reading."""

    def __init__(self, path: Path, name: str) -> None:
        self._path = path
        self.name = name
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, OSError, ValueError) as problem:
            raise BadInput(f"{name} is no whole archive, it may be cut off: {problem}.") from problem
        self._unpacker = Unpacker()
        self.members = {info.filename: info for info in self._zip.infolist()}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._unpacker.close()
        self._zip.close()

    def read(self, member: str) -> bytes:
        """The bytes of a member.

        Raises ``TooLarge``, or ``BadInput`` where it is damaged.
        """
        info = self.members[member]
        if info.file_size > MEMBER_BYTES_MAX:
            raise TooLarge(f"{info.file_size >> 20} MB")
        try:
            is_zstandard = info.compress_type == _ZSTANDARD
            content = self._unpacked(info) if is_zstandard else self._zip.read(info)
        except (zipfile.BadZipFile, zlib.error, OSError, EOFError, NotImplementedError) as problem:
            raise BadInput(f"{member} in {self.name} is damaged: {problem}.") from problem
        return content

    def _unpacked(self, info: zipfile.ZipInfo) -> bytes:
        with self._path.open("rb") as stream:
            stream.seek(info.header_offset)
            name, extra = _LOCAL_HEADER.unpack(stream.read(_LOCAL_HEADER.size))
            stream.seek(info.header_offset + _LOCAL_HEADER.size + name + extra)
            packed = stream.read(info.compress_size)
        content = self._unpacker.unpacked(packed, info.file_size)
        if len(content) == info.file_size and zlib.crc32(content) != info.CRC:
            raise BadInput(f"{info.filename} in {self.name} is damaged: its checksum does not hold.")
        return content


class Unpacker:
    """Unpacks text that was packed with Zstandard; empty lines are lost."""

    def __init__(self) -> None:
        self._engine: DuckDBPyConnection | None = None
        self._place = TemporaryDirectory()

    def close(self) -> None:
        """Close the engine, if there was need of one."""
        if self._engine is not None:
            self._engine.close()
        self._place.cleanup()

    def unpacked(self, packed: bytes, size: int) -> bytes:
        """The text; ``size`` is its length. Raises ``OSError`` where it cannot be unpacked."""
        import duckdb

        try:
            return self._by_engine(packed, size)
        except duckdb.Error as problem:
            raise OSError(str(problem).splitlines()[0]) from problem

    def _by_engine(self, packed: bytes, size: int) -> bytes:
        if self._engine is None:
            self._engine = open_engine(threads=1)
            self._engine.execute("SET preserve_insertion_order = true")
        file = Path(self._place.name) / "part.zst"
        file.write_bytes(packed)
        # One column of whole lines: a control character stands raw in no JSON, so none parts them.
        rows = self._engine.execute(
            f"SELECT line FROM read_csv({quoted(str(file))}, compression = 'zstd', header = false, "
            "auto_detect = false, delim = chr(1), quote = '', escape = '', nullstr = chr(2), "
            f"columns = {{'line': 'VARCHAR'}}, max_line_size = {size + 2}, "
            f"buffer_size = {max(size + 2, 1 << 20) * 2}, parallel = false, strict_mode = false)"
        ).fetchall()
        return "\n".join(str(line) for (line,) in rows).encode()
