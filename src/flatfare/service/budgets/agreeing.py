"""What budgets and guards have in common: each is agreed by name, and meant by its id or its name.

A name is one thing's alone as long as that stands, and none begins like an id.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from flatfare.core.budget import Budget, Scope
from flatfare.core.errors import BadInput, Conflict, NotFound
from flatfare.core.guard import Guard
from flatfare.service.access.keys import MARK
from flatfare.store import keys
from flatfare.store.book import Book

Agreed = TypeVar("Agreed", Budget, Guard)


@dataclass(frozen=True, slots=True)
class Kind:
    """What is agreed: its word, how its ids begin, and what one is created with."""

    word: str
    id_mark: str
    least: str


BUDGET = Kind("budget", "bud_", "--name NAME --amount 5.00")
GUARD = Kind("guard", "grd_", "--name NAME --kind calls")


def begun(book: Book, kind: Kind, wanted: Agreed, standing: Sequence[Agreed], at_us: int) -> Agreed:
    """What is wanted as it will stand, with an id; ``Conflict`` where one of its name stands already."""
    name, word = wanted.name, kind.word
    if name.startswith((kind.id_mark, MARK)):
        raise BadInput(f"Found the name {name[:12]!r}… for a {word}: names beginning so are ids.")
    if any(one.name == name for one in standing):
        raise Conflict(f"There is a {word} {name!r} already. Change it: flatfare {word}s change {name}")
    made_id = f"{kind.id_mark}{secrets.token_hex(8)}"
    return replace(wanted, id=made_id, scope=resolved(book, wanted.scope), created_at_us=at_us)


def named(kind: Kind, standing: Sequence[Agreed], id_or_name: str) -> Agreed:
    """The one of that id or name that stands; ``NotFound`` names those there are."""
    for one in standing:
        if id_or_name in (one.id, one.name):
            return one
    known = ", ".join(one.name for one in standing[:10])
    hint = f"Known: {known}." if known else f"Create one: flatfare {kind.word}s create {kind.least}"
    raise NotFound(f"There is no {kind.word} {id_or_name!r}. {hint}")


def resolved(book: Book, scope: Scope) -> Scope:
    """A key is meant by its id or its name; what is kept is its id."""
    if scope.key != "key" or scope.value in (None, "*"):
        return scope
    found = [key for key in keys.named(book, str(scope.value)) if key.revoked_at_us is None]
    if not found:
        raise NotFound(f"There is no key {scope.value!r} to limit. See: flatfare keys list")
    return Scope("key", found[-1].id)
