"""Committing: adding a fixed fee, replacing its terms from a day on, and ending it."""

from dataclasses import replace
from datetime import date

from flatfare.core.commitment import Commitment
from flatfare.core.errors import Conflict, NotFound
from flatfare.core.identity import derived
from flatfare.store import commitments
from flatfare.store.book import Book


def add(
    book: Book, agreed: Commitment, *, recorded_at_us: int, by_whom: str, replaces: bool = False
) -> Commitment:
    """Write a commitment; its id is made of its name and first day, so that adding it twice is a no-op.

    A commitment of the same name that is still owed for is a ``Conflict``, unless
    ``replaces``: then it ends where the new terms begin.
    """
    new = replace(agreed, id=str(derived("commitment", agreed.name, agreed.from_day.isoformat())))
    standing = [one for one in commitments.all_of(book) if one.name == new.name]
    if new in standing:
        return new
    if any(one.id == new.id for one in standing):
        raise Conflict(
            f"A commitment {new.name!r} from {new.from_day} is there already with other terms. Terms that "
            "changed begin on another day: give it with --from, and --replace."
        )
    overlapping = [one for one in standing if one.until_day is None or one.until_day > new.from_day]
    if overlapping and not replaces:
        raise Conflict(
            f"The commitment {new.name!r} is owed for already since {overlapping[0].from_day}. "
            f"Give --replace to end those terms on {new.from_day}, or choose another name."
        )
    if any(one.from_day > new.from_day for one in overlapping):
        raise Conflict(
            f"The commitment {new.name!r} has later terms already: they cannot be replaced from before."
        )
    with book.writing():
        for one in overlapping:
            commitments.end(book, one.id, new.from_day)
        commitments.insert(book, new, recorded_at_us, by_whom)
    return new


def end(book: Book, name: str, until_day: date) -> Commitment:
    """Let the commitment of that name be owed no longer from a day on."""
    current = [one for one in commitments.all_of(book) if one.name == name and one.until_day is None]
    if not current:
        names = sorted({one.name for one in commitments.all_of(book) if one.until_day is None})
        raise NotFound(f"No commitment {name!r} is owed for. Owed for: {', '.join(names) or 'none'}.")
    ended = replace(current[-1], until_day=until_day)
    with book.writing():
        commitments.end(book, ended.id, until_day)
    return ended
