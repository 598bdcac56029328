"""Published boards as they were imported: aggregates of other people's runs, and where they come from."""

from dataclasses import dataclass

from flatfare.store.book import Book

_AGGREGATES = (
    "SELECT benchmark, domain, path, labels, n, successes, cost_nano, cost_reason, simulation_nano, "
    "calls_per_task, source FROM aggregates ORDER BY benchmark, domain, source, path, id"
)
_IMPORTS = (
    "SELECT source, file, file_hash, rows_read, rows_rejected, at_us, url, licence FROM imports "
    "ORDER BY source, at_us, file"
)


@dataclass(frozen=True, slots=True)
class Aggregate:
    """What somebody published of one path on one benchmark and domain."""

    benchmark: str
    domain: str
    path: str
    labels: str  # canonical JSON
    n: int
    successes: int
    cost_nano: int | None
    cost_reason: str | None
    simulation_nano: int | None
    calls_per_task: str | None
    source: str


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


def aggregates(book: Book) -> list[Aggregate]:
    """Every published aggregate, by benchmark, domain and source."""
    return [Aggregate(*row) for row in book.rows(_AGGREGATES)]  # type: ignore[arg-type]


def imported_files(book: Book) -> list[ImportedFile]:
    """Every file imported so far, by source and time."""
    return [ImportedFile(*row) for row in book.rows(_IMPORTS)]  # type: ignore[arg-type]
