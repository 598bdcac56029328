"""The prices that calls were priced with, each set once by its name, whatever the price book learns later.

Append-only: prices of one name are the same prices, so whoever comes second adds nothing.
"""

from collections.abc import Iterable

from flatfare.store.book import Book


def keep(book: Book, terms: Iterable[tuple[str, str]], at_us: int) -> None:
    """Write versions and what their prices are, as JSON, in the transaction that is open."""
    book.execute_many(
        "INSERT INTO price_versions (version, terms, kept_at_us) VALUES (?, ?, ?) "
        "ON CONFLICT (version) DO NOTHING",
        [(version, said, at_us) for version, said in terms],
    )


def terms_of(book: Book, version: str) -> tuple[str, int] | None:
    """What the prices of a version are, as JSON, and since when that is kept; None where it is not here."""
    rows = book.rows("SELECT terms, kept_at_us FROM price_versions WHERE version = ?", (version,))
    return (str(rows[0][0]), int(str(rows[0][1]))) if rows else None


def newest(book: Book, limit: int | None = None) -> list[tuple[str, int]]:
    """The versions that are kept and since when, the newest first."""
    rows = book.rows(
        "SELECT version, kept_at_us FROM price_versions ORDER BY kept_at_us DESC, version "
        f"{'' if limit is None else f'LIMIT {limit:d}'}"
    )
    return [(str(version), int(str(kept_at_us))) for version, kept_at_us in rows]
