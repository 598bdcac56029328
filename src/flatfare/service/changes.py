"""Changes: who changed which key, budget, user, definition, action or price, when and why, in words.

Ids are called by their names where they have one; the record itself, and its hash, keep the ids.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from flatfare.core.moments import iso
from flatfare.core.money import decimal_text
from flatfare.service import naming
from flatfare.store import chains
from flatfare.store.book import Book
from flatfare.store.chains import ORGANISATION, Record
from flatfare.store.lake import Lake

KINDS = ("key", "budget", "user", "definition", "guard", "action", "price")
"""What changes are mostly of: each the beginning of a record's kind."""

COLUMNS = ("position", "at", "kind", "subject", "name", "by_whom", "reason", "content", "hash")
"""Of a change as comma-separated values."""


@dataclass(frozen=True, slots=True)
class Change:
    """One record of the organisation's chain, with what its ids are called."""

    record: Record
    name: str | None  # of its subject, where that is an id which has one
    says: str
    by_whom: str

    @property
    def what(self) -> str:
        """Such as ``key created``."""
        return self.record.kind.replace(".", " ").replace("_", " ")

    @property
    def document(self) -> dict[str, object]:
        """The record as it is kept, and the name of its subject."""
        one = self.record
        return {
            "position": one.position,
            "at": iso(one.at_us),
            "kind": one.kind,
            "subject": one.subject,
            "name": self.name,
            "by_whom": one.by_whom,
            "reason": one.reason,
            "content": _content(one),
            "hash": one.hash,
        }


def latest(
    book: Book,
    lake: Lake,
    limit: int,
    *,
    before: int | None = None,
    kind: str | None = None,
    since_us: int | None = None,
    until_us: int | None = None,
) -> list[Change]:
    """The last changes, the newest first; ``kind`` is one of ``KINDS``, or another with which kinds begin."""
    found = chains.latest(
        book,
        ORGANISATION,
        limit,
        before=before,
        kind=f"{kind}." if kind else None,
        since_us=since_us,
        until_us=until_us,
    )
    return _told(book, lake, found)


def at(book: Book, lake: Lake, chain: str, position: int) -> Change | None:
    """The record at that place of a chain, where it is still there."""
    found = [one for one in chains.latest(book, chain, 1, before=position + 1) if one.position == position]
    return _told(book, lake, found)[0] if found else None


def _told(book: Book, lake: Lake, found: Sequence[Record]) -> list[Change]:
    texts = (text for one in found for text in (one.subject, one.content, one.by_whom))
    names = naming.names_in(book, lake, texts)
    return [
        Change(one, naming.called(one.subject, names), _says(one, names), naming.said(one.by_whom, names))
        for one in found
    ]


def _says(one: Record, names: dict[str, str]) -> str:
    """What a record says, in words."""
    content = _content(one)
    if not isinstance(content, dict):
        return str(content)
    readable = [_readable(one.kind, str(key), value) for key, value in content.items()]
    told = [
        (key, _changed(value) if one.kind.endswith("changed") else _short(value)) for key, value in readable
    ]
    return naming.said(", ".join(f"{key}: {text}" for key, text in told if text), names)


def _readable(kind: str, key: str, value: object) -> tuple[str, object]:
    """Amounts and moments, which a record keeps in nano units and microseconds, as people write them."""
    is_nano = key.endswith("_nano") or (key == "total" and kind.startswith("invoice."))
    how = decimal_text if is_nano else iso if key.endswith("_us") else None
    if how is None:
        return key, value
    name = key.removesuffix("_nano").removesuffix("_us")
    if isinstance(value, list):
        return name, [how(part) if isinstance(part, int) else part for part in value]
    return name, how(value) if isinstance(value, int) else value


def _content(one: Record) -> object:
    """What a record says; its bare text where somebody has made that unreadable, for that is shown too."""
    try:
        return json.loads(one.content)
    except ValueError:
        return one.content


def _changed(value: object) -> str:
    """What was, and what is: changes are written as pairs."""
    if isinstance(value, list) and len(value) == 2:
        return f"{_short(value[0]) or 'none'} → {_short(value[1]) or 'none'}"
    return _short(value)


def _short(value: object) -> str:
    """A value in words; nothing for what was left out."""
    if isinstance(value, dict):
        return " ".join(f"{key}={_short(one)}" for key, one in value.items())
    if isinstance(value, list):
        return " ".join(_short(one) for one in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else _AMOUNT.sub(r"\1", str(value))


_AMOUNT = re.compile(r"^(-?\d+\.\d\d)0{7}$")
"""An amount to the nano of which nothing is below the cent."""
