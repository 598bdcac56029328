"""Things that clients made at a provider (files, batches, answers kept there), and whose they are.

One credential of the operator serves many keys: what a key made is for that key alone.
"""

from collections.abc import Iterable, Mapping, Sequence

from flatfare.store.book import Book


def insert(book: Book, things: Iterable[tuple[str, str, str, int]]) -> None:
    """Write provider, id, key and moment of what was made; a thing that is known keeps its owner."""
    with book.writing():
        book.execute_many(
            "INSERT INTO made_things (provider, thing_id, key_id, made_at_us) VALUES (?, ?, ?, ?) "
            "ON CONFLICT DO NOTHING",
            things,
        )


def owners(book: Book, provider: str, thing_ids: Sequence[str]) -> Mapping[str, str]:
    """The key of each thing that is known."""
    marks = ", ".join("?" * len(thing_ids))
    rows = book.rows(
        f"SELECT thing_id, key_id FROM made_things WHERE provider = ? AND thing_id IN ({marks})",
        (provider, *thing_ids),
    )
    return {str(thing_id): str(key_id) for thing_id, key_id in rows}
