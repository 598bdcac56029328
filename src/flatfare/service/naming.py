"""What ids are called: keys, budgets, guards, users, tasks and runs by the names that people gave them.

An id is what is kept and hashed; a name is shown beside it or in its place, and may be another tomorrow.
"""

import re
from collections.abc import Callable, Iterable, Mapping

from flatfare.service.tasks import named
from flatfare.store import budgets, guards, keys, runs, users
from flatfare.store.book import Book
from flatfare.store.lake import Lake

_UUID = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")
_MARKED = re.compile(r"\b(key|bud|grd)_[0-9A-Za-z]+\b")

_FAMILIES: Mapping[str, Callable[[Book], dict[str, str]]] = {
    "key": lambda book: {one.id: one.name for one in keys.all_of(book)},
    "bud": lambda book: {one.id: one.name for one in budgets.all_of(book, with_removed=True)},
    "grd": lambda book: {one.id: one.name for one in guards.all_of(book, with_removed=True)},
}


def names_in(book: Book, lake: Lake, texts: Iterable[str]) -> dict[str, str]:
    """The names of the ids that stand in these texts, where they are known."""
    marked: set[str] = set()
    unmarked: set[str] = set()
    for text in texts:
        marked |= {found[1] for found in _MARKED.finditer(text)}
        unmarked |= set(_UUID.findall(text))
    names: dict[str, str] = {}
    for family in sorted(marked):
        names |= _FAMILIES[family](book)
    if unmarked:
        names |= _of_uuids(book, lake, sorted(unmarked))
    return names


def _of_uuids(book: Book, lake: Lake, ids: list[str]) -> dict[str, str]:
    people = {user.id: user.name for user in users.all_of(book)}
    names = {one: people[one] for one in ids if one in people}
    rest = [one for one in ids if one not in names]
    names |= named.names_of(book, lake, rest) if rest else {}
    for one in rest:
        if one not in names and (run := runs.one(book, one)) is not None:
            names[one] = f"run of {run.action}"
    return names


def said(text: str, names: Mapping[str, str]) -> str:
    """The text with each id that has a name called by it.

    >>> said("scope: key=key_1a", {"key_1a": "ci"})
    'scope: key=ci'
    """
    for pattern in (_MARKED, _UUID):
        text = pattern.sub(lambda found: names.get(found[0], found[0]), text)
    return text


def called(text: str, names: Mapping[str, str]) -> str | None:
    """The names of the ids in a text, or None where none has one.

    >>> called("verdicts/1c0e1e0e-0000-4000-8000-000000000000", {}), called("key_1a", {"key_1a": "ci"})
    (None, 'ci')
    """
    ids = [found[0] for pattern in (_MARKED, _UUID) for found in pattern.finditer(text)]
    return ", ".join(names[one] for one in dict.fromkeys(ids) if one in names) or None
