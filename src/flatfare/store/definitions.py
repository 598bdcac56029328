"""Definitions of when a task is verified, every version that was ever in force."""

from flatfare.store.book import Book, Row


def insert(book: Book, action: str, version: int, content: str, from_us: int, by_whom: str) -> None:
    """Write a version; ``content`` is canonical JSON."""
    book.execute(
        "INSERT INTO definitions (action, version, content, from_us, by_whom) VALUES (?, ?, ?, ?, ?)",
        (action, version, content, from_us, by_whom),
    )


def all_of(book: Book, action: str | None = None) -> list[Row]:
    """Action, version, content, from, by whom of every version, the oldest first."""
    where, given = ("WHERE action = ?", (action,)) if action is not None else ("", ())
    return book.rows(
        f"SELECT action, version, content, from_us, by_whom FROM definitions {where} "
        "ORDER BY action, from_us, version",
        given,
    )
