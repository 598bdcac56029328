"""Stored texts: a file for each call whose key asks for it, beside the book and apart from it.

No other file holds a word of them: neither book nor journal. A file's name says when it
expires, whose it is (as a hash) and of which call, so that erasing needs no index and
leaves nothing behind.
"""

import os
import zlib
from collections.abc import Iterator
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Protocol

import msgspec

from flatfare.core.errors import BadInput, StoreFailure
from flatfare.store.place import beside

HOUR_S = 3600
NOBODY = "0" * 32
_NEW = ".new"


class Text(msgspec.Struct, frozen=True):
    """What was said in one call."""

    call_id: str
    at_us: int
    key_id: str
    provider: str
    endpoint: str
    subject: str | None = None  # label=value
    model: str | None = None
    request: bytes = b""
    answer: bytes = b""  # as it came from the provider
    answer_encoding: str | None = None
    is_cut: bool = False  # request or answer were longer than what is stored


class Box(Protocol):
    """Seals texts."""

    def seal(self, plain: bytes, place: str) -> bytes:
        """To be opened only as what stands at this place."""

    def open(self, sealed: bytes, place: str) -> bytes:
        """What was sealed for this place."""


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Text).decode
_SEALED = b"s"
_OPEN = b"o"


def text_folder(database: str) -> Path:
    """The folder of the texts of this book's calls: beside it, or on this node's own disk."""
    return beside(database, "texts")


def hash_of(subject: str | None) -> str:
    """How a subject stands in a file's name."""
    return NOBODY if subject is None else blake2b(subject.encode(), digest_size=16).hexdigest()


class TextStore:
    """The texts below a folder; sealed where there is a box."""

    def __init__(self, folder: Path, box: Box | None) -> None:
        self._folder = folder
        self._box = box

    def put(self, text: Text, expires_s: int) -> None:
        """Store a text until a moment, in seconds since 1970; ``StoreFailure`` where that cannot be."""
        data = zlib.compress(_encode(text), 1)
        sealed = _OPEN + data if self._box is None else _SEALED + self._box.seal(data, _place(text.call_id))
        hour = self._folder / str(expires_s // HOUR_S)
        file = hour / f"{expires_s}.{hash_of(text.subject)}.{text.call_id}"
        try:
            hour.mkdir(parents=True, exist_ok=True, mode=0o700)
            new = file.with_name(file.name + _NEW)
            handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(handle, "wb") as out:
                out.write(sealed)
            new.rename(file)
        except OSError as problem:
            raise StoreFailure(
                f"The text cannot be stored below {self._folder}: {problem.strerror}."
            ) from None

    def find(self, call_id: str, now_s: int) -> Text | None:
        """The text of a call that has not expired; ``BadInput`` where it does not open."""
        for file in self._files(f"*.*.{call_id}"):
            if _expires_s(file) <= now_s:
                continue
            with suppress(FileNotFoundError):
                return self._read(file.read_bytes(), call_id)
        return None

    def erase_subject(self, subject: str) -> int:
        """Erase every text of a subject (label=value); how many there were."""
        return _erased(self._files(f"*.{hash_of(subject)}.*"))

    def erase_call(self, call_id: str) -> int:
        """Erase the text of a call; whether there was one, as a number."""
        return _erased(self._files(f"*.*.{call_id}*"))

    def expire(self, now_s: int) -> int:
        """Erase what has expired; how many there were."""
        count = 0
        for hour in sorted(self._hours()):
            if int(hour.name) > now_s // HOUR_S:
                break
            count += _erased(file for file in hour.iterdir() if _expires_s(file) <= now_s)
            with suppress(OSError):
                hour.rmdir()  # once it is empty
        return count

    def _read(self, data: bytes, call_id: str) -> Text:
        kind, rest = data[:1], data[1:]
        if kind == _SEALED:
            if self._box is None:
                raise BadInput("The text is sealed, and the key to it is not here: set FLATFARE_SECRET_KEY.")
            rest = self._box.open(rest, _place(call_id))
        try:
            return _decode(zlib.decompress(rest))
        except (zlib.error, msgspec.MsgspecError) as problem:
            raise StoreFailure(f"The text of {call_id} is damaged: {problem}.") from None

    def _hours(self) -> Iterator[Path]:
        with suppress(FileNotFoundError):
            yield from (entry for entry in self._folder.iterdir() if entry.name.isdigit())

    def _files(self, pattern: str) -> Iterator[Path]:
        for hour in self._hours():
            yield from hour.glob(pattern)


def _erased(files: Iterator[Path]) -> int:
    count = 0
    for file in files:
        with suppress(FileNotFoundError):
            file.unlink()
            count += 1
    return count


def _expires_s(file: Path) -> int:
    first = file.name.partition(".")[0]
    return int(first) if first.isdigit() else 0


def _place(call_id: str) -> str:
    return f"text {call_id}"
