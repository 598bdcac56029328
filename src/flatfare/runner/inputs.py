"""What is given to an action: checked against its schema and limits, and read, before anything is quoted."""

import base64
import binascii
import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from types import MappingProxyType

from flatfare.core.action import CHARACTERS_OF_A_PAGE, Action, Reading, Size
from flatfare.core.checks.submission import Json, Submission, canonical
from flatfare.core.errors import BadInput, LimitExceeded
from flatfare.core.outcome import Judgement
from flatfare.runner.pdf_text import pages_of
from flatfare.service.actions.documents import plain
from flatfare.verifiers import kinds

PROBLEMS_MAX = 10


class TooLarge(LimitExceeded):
    """The input is larger than the action takes."""

    http_status = 413


_IMAGES = {
    b"\x89PNG": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF8": "image/gif",
    b"RIFF": "image/webp",
}


@dataclass(frozen=True, slots=True)
class File:
    """A file as it was given."""

    name: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Prepared:
    """An input that may be worked on."""

    values: Mapping[str, Json]  # files as their text
    size: Size
    hash: str
    images: Mapping[str, File] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def text(self) -> str:
        """Every text of the input, as verifiers look quotations up in it."""
        return "\n\n".join(value for value in self.values.values() if isinstance(value, str))

    def to_json(self) -> str:
        """As it is kept, where the action keeps it."""
        images = {
            name: [file.name, base64.b64encode(file.content).decode()] for name, file in self.images.items()
        }
        size = [self.size.bytes, self.size.characters, self.size.words, self.size.pages]
        return json.dumps({"values": plain(self.values), "size": size, "hash": self.hash, "images": images})

    @classmethod
    def from_json(cls, text: str) -> "Prepared":
        """The input that ``to_json`` wrote."""
        kept = json.loads(text)
        images = {
            name: File(own, base64.b64decode(content)) for name, (own, content) in kept["images"].items()
        }
        return cls(kept["values"], Size(*kept["size"]), kept["hash"], images)


def prepared(action: Action, given: Mapping[str, Json], files: Mapping[str, File] | None = None) -> Prepared:
    """The input, checked and read.

    ``files`` by property; over HTTP a file may also stand in the input itself, as an object of
    ``name`` and ``base64``. Raises ``BadInput`` where the schema does not accept it and
    ``TooLarge`` where it is larger than the action takes.
    """
    found = {**_enclosed(action, given), **(files or {})}
    for name in found:
        if name not in action.files:
            raise BadInput(
                f"Found a file for {name!r}: {action.name} takes files for {_named(action.files)}."
            )
    values = {name: value for name, value in given.items() if name not in found}
    own = canonical(values)
    size_bytes = len(own.encode()) + sum(len(file.content) for file in found.values())
    if size_bytes > action.limits.input_bytes:
        raise TooLarge(
            f"The input has {size_bytes:,} bytes: {action.name} takes at most {action.limits.input_bytes:,}."
        )
    pages = 0
    for name, file in found.items():
        text, count = _read(file, action.files[name])
        values[name], pages = text, pages + count
    _check(action, values)
    digests = {name: hashlib.sha256(file.content).hexdigest() for name, file in sorted(found.items())}
    texts = [value for value in values.values() if isinstance(value, str)]
    characters = sum(map(len, texts))
    plain_characters = sum(
        len(text) for name, text in values.items() if isinstance(text, str) and name not in found
    )
    pages += math.ceil(plain_characters / CHARACTERS_OF_A_PAGE)
    words = sum(len(re.findall(r"\w+", text)) for text in texts)
    return Prepared(
        values,
        Size(size_bytes, characters, words, max(1, pages)),
        hashlib.sha256(canonical({"given": own, "files": digests}).encode()).hexdigest(),
        {name: file for name, file in found.items() if action.files[name] is Reading.IMAGE},
    )


def _enclosed(action: Action, given: Mapping[str, Json]) -> dict[str, File]:
    """The files that stand in the input itself."""
    found = {}
    for name, value in given.items():
        if name in action.files and isinstance(value, Mapping):
            content = value.get("base64")
            try:
                if set(value) - {"name", "base64"} or not isinstance(content, str):
                    raise ValueError
                raw = base64.b64decode(content, validate=True)
            except (ValueError, binascii.Error):
                raise BadInput(f"{name!r} is no file: give its text, or {{name, base64}}.") from None
            found[name] = File(str(value.get("name") or name), raw)
    return found


def _read(file: File, how: Reading) -> tuple[str, int]:
    """The text of a file, and how many pages it has."""
    if how is Reading.IMAGE:
        media_type_of(file)
        return f"[{PurePath(file.name).name}]", 1
    if how is Reading.PDF and file.content.startswith(b"%PDF"):
        pages = pages_of(file.content, file.name)
        return "\n\n".join(pages), len(pages)
    try:
        text = file.content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BadInput(
            f"{file.name} is no text in UTF-8{' and no PDF' if how is Reading.PDF else ''}."
        ) from None
    return text, math.ceil(len(text) / CHARACTERS_OF_A_PAGE)


def media_type_of(file: File) -> str:
    """What kind of image a file is, by its first bytes; ``BadInput`` where it is none."""
    for mark, kind in _IMAGES.items():
        if file.content.startswith(mark):
            return kind
    raise BadInput(f"{file.name} is no image: PNG, JPEG, GIF and WebP are passed on.")


def _check(action: Action, values: Mapping[str, Json]) -> None:
    if not action.input_schema:
        return
    verifier = kinds.verifier("json-schema", {"schema": plain(action.input_schema)})
    found = verifier.judge(Submission(json.dumps(plain(values))))
    if found.judgement is not Judgement.PASS:
        reasons = " ".join(found.reasons[:PROBLEMS_MAX])
        raise BadInput(f"The input is not what {action.name} takes. {reasons}")


def _named(files: Mapping[str, Reading]) -> str:
    return ", ".join(files) or "nothing"
