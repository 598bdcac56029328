"""Which keys ask for the text of their calls to be stored, for how long, and under whose name."""

from collections.abc import Mapping
from dataclasses import dataclass

from flatfare.store.book import Book


@dataclass(frozen=True, slots=True)
class TextTerms:
    """What a key asks for."""

    keep_us: int  # a text is erased when it is older
    subject: str | None = None  # the label whose value says whom a text is about, such as user


def put(book: Book, key_id: str, terms: TextTerms) -> None:
    """Write what a key asks for, in the transaction that is open."""
    book.execute(
        "INSERT INTO text_terms (key_id, keep_us, subject) VALUES (?, ?, ?)",
        (key_id, terms.keep_us, terms.subject),
    )


def all_of(book: Book) -> Mapping[str, TextTerms]:
    """The terms of each key that has any; of a key that is not here nothing is stored."""
    return {
        str(key_id): TextTerms(int(str(keep_us)), None if subject is None else str(subject))
        for key_id, keep_us, subject in book.rows("SELECT key_id, keep_us, subject FROM text_terms")
    }
