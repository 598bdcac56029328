"""The keys as a worker sees them: all in memory, looked up by hash, as of the last change.

A look-up never asks the book. A key that was revoked is refused by every worker as
soon as it refreshes, which it does every half second, and whenever it is shown a key that
it does not know yet.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from flatfare.store import keys, text_terms
from flatfare.store.book import Book, Value
from flatfare.store.keys import Key
from flatfare.store.text_terms import TextTerms

REFRESH_S = 0.5


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a secret is not let in."""

    reason: str


@dataclass(frozen=True, slots=True)
class _State:
    """All keys as of one change."""

    number: Value
    held: Mapping[bytes, tuple[Key, int | None]]  # by the hash of a secret, and until when that is let in
    texts: Mapping[str, TextTerms]


UNKNOWN = Refused("This key is not known here. Create one: flatfare keys create --name NAME")


class KeyRing:
    """All keys of a book, kept up to date by ``refresh``."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._state = _State(None, {}, {})
        self.refresh()

    def __len__(self) -> int:
        return len(self._state.held)

    @property
    def texts(self) -> Mapping[str, TextTerms]:
        """What is stored of the calls of each key that asks for it, by its id."""
        return self._state.texts

    def refresh(self, before: Callable[[], None] | None = None) -> bool:
        """Take in what has changed; returns whether anything has. Call it every ``REFRESH_S`` seconds.

        ``before`` is done between the reading of the keys and their being in force: it takes in their
        budgets, so that no key is let in without its own. Raises ``StoreFailure`` where the book is
        away; the keys known so far stay.
        """
        found = self._changed()
        if before is not None:
            before()
        if found is None:
            return False
        self._state = found
        return True

    def _changed(self) -> "_State | None":
        if keys.change_number(self._book) == self._state.number:
            return None
        with self._book.reading():
            number = keys.change_number(self._book)
            known = {key.id: key for key in keys.all_of(self._book)}
            secrets = keys.secrets_of_all(self._book)
            texts = text_terms.all_of(self._book)
        held = {bytes.fromhex(secret.hash): (known[secret.key_id], secret.ends_at_us) for secret in secrets}
        return _State(number, held, texts)

    def find(self, secret: str, at_us: int) -> Key | Refused:
        """The key of a secret, if it is let in at the moment.

        The table is asked for the secret's hash, so that the time it takes says nothing of
        how much of a guess was right.
        """
        held = self._state.held.get(hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest())
        if held is None:
            return UNKNOWN
        key, ends_at_us = held
        if ends_at_us is not None and ends_at_us <= at_us:
            return Refused(f"This secret of the key {key.name!r} was replaced by a newer one: use that.")
        return key if key.state(at_us) == "active" else _refused(key, at_us)


def _refused(key: Key, at_us: int) -> Refused:
    what = {
        "revoked": "was revoked. Ask for another one",
        "expired": "has expired. Ask for another one",
        "disabled": f"is disabled for now: flatfare keys enable {key.name}",
    }[key.state(at_us)]
    return Refused(f"The key {key.name!r} {what}.")
