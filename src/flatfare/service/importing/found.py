"""What a reader of another tool's results hands on: pieces of work with their calls and verdicts, or why not.

A reader rewrites, it does not judge: every value is text in our own field names, as an export of
our own would have it, and is read by the same rules as any other import.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from flatfare.core.labels import VALUE_LENGTH_MAX
from flatfare.service.importing.order import Order
from flatfare.store.book import Book
from flatfare.store.home import Value

Cells = dict[str, str | None]
"""One row, by the names of our own fields."""


@dataclass(slots=True)
class Work:
    """One piece of work as a tool wrote it down."""

    task: Cells  # task is its key; a column that is None in every row does not exist
    calls: list[Cells] = field(default_factory=list)
    verdicts: list[Cells] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Unread:
    """One item that could not be read as a piece of work."""

    place: str  # where in the file, such as "sample 3, epoch 2"
    reason: str
    row: object = None


@dataclass(slots=True)
class Reading:
    """One file being read, and what a person should know of how."""

    path: Path
    name: str  # as it was given
    order: Order
    sha256: Callable[[], str]
    book: Book  # that this goes into
    notes: Counter[str] = field(default_factory=Counter)  # a sentence with {n}, and how often it held
    writes: dict[str, list[tuple[Value, ...]]] = field(default_factory=dict)  # rows of the book, by statement

    def choice(self, name: str) -> str | None:
        """What the order says of something that only this tool's results ask."""
        return self.order.choices.get(name)

    def told(self) -> Iterator[str]:
        """The notes as sentences."""
        for sentence, count in self.notes.items():
            yield sentence.replace("{n}", f"{count:,}")


Found = Iterator[Work | Unread]
Reader = Callable[[Reading], Found]


def evidence(value: object) -> str:
    """The fingerprint of what a verdict rests on: SHA-256 of its JSON with sorted keys."""
    said = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)
    return hashlib.sha256(said.encode("utf-8", "replace")).hexdigest()


def as_text(value: object) -> str | None:
    """A plain value as text, None for what is none: lists and records are no plain values."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | str):
        return str(value) or None
    return repr(value) if isinstance(value, float) else None


def on_one_line(value: object, length_max: int = VALUE_LENGTH_MAX) -> str | None:
    """A plain value as text that fits a label or a key: without line breaks, cut where it is too long."""
    text = as_text(value)
    return " ".join(text.split())[:length_max] or None if text else None


def mapping(value: object) -> Mapping[str, object]:
    """The value if it is a record, else an empty one: results of other versions lack parts."""
    return value if isinstance(value, dict) else {}


def records(value: object) -> list[Mapping[str, object]]:
    """The records of a list; nothing where it is none."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
