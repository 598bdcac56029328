"""The extent of the books: from when to when they say anything, and by which labels.

Who looks at a page without naming a period is shown one that holds something.
"""

from dataclasses import dataclass

from flatfare.service.reporting import holdings
from flatfare.store import reading
from flatfare.store.book import Book
from flatfare.store.engine import translated
from flatfare.store.lake import Lake


@dataclass(frozen=True, slots=True)
class Extent:
    """What there is, at a glance; the moments are None where there is nothing."""

    first_at_us: int | None
    last_at_us: int | None
    calls: int
    tasks: int
    published: int  # aggregates of other people's runs
    labels: tuple[str, ...]

    @property
    def is_empty(self) -> bool:
        """Nothing at all is in the books."""
        return not (self.calls or self.tasks or self.published)


def extent(book: Book, lake: Lake) -> Extent:
    """Look at what the book and its lake hold."""
    published = int(book.value("SELECT COUNT(*) FROM aggregates") or 0)
    with reading.opened(book, lake, "folded", "tasks") as engine, translated("Looking into the books"):
        spans = engine.execute(
            "SELECT MIN(first_at_us), MAX(last_at_us), COALESCE(SUM(n), 0) FROM folded "
            "UNION ALL SELECT MIN(opened_at_us), MAX(opened_at_us), COUNT(*) FROM tasks"
        ).fetchall()
        labels = holdings.label_keys(engine, book)
    (calls_first, calls_last, calls), (tasks_first, tasks_last, tasks) = spans
    return Extent(
        min((at for at in (calls_first, tasks_first) if at is not None), default=None),
        max((at for at in (calls_last, tasks_last) if at is not None), default=None),
        int(calls),
        int(tasks),
        published,
        tuple(sorted(labels)),
    )
