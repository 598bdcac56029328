"""Where imported records come from, as was said of each file when it was imported."""

from dataclasses import dataclass

from flatfare.store.book import Book

_IMPORTS = (
    "SELECT source, file, file_hash, rows_read, rows_rejected, at_us, url, licence FROM imports "
    "ORDER BY source, at_us, file"
)


@dataclass(frozen=True, slots=True)
class ImportedFile:
    """One file that was imported, and what was said of its origin."""

    source: str
    file: str
    file_hash: str
    rows_read: int
    rows_rejected: int
    at_us: int
    url: str | None
    licence: str | None


def imported_files(book: Book) -> list[ImportedFile]:
    """Every file imported so far, by source and time."""
    return [ImportedFile(*row) for row in book.rows(_IMPORTS)]  # type: ignore[arg-type]
