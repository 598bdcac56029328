"""What each path of a book has shown, and where it is known from.

Tasks of one path are summed over the sources they came by; published aggregates stay
apart by source, since nobody can tell which tasks they share.
"""

from collections.abc import Iterable, Sequence

from flatfare.service.leaderboard.ranking import Board
from flatfare.service.leaderboard.showing import Showing
from flatfare.service.leaderboard.sources import Source, sources_of
from flatfare.service.reporting.figures import Row
from flatfare.service.reporting.report import report
from flatfare.store.book import Book
from flatfare.store.lake import Lake
from flatfare.store.origins import imported_files

NOT_GIVEN = "(not given)"
"""The name of tasks that do not say on what they ran."""


def showings_in(
    book: Book,
    lake: Lake,
    now_us: int,
    by: str = "path",
    since_us: int | None = None,
    until_us: int | None = None,
) -> list[Showing]:
    """What was shown on each benchmark and domain, by path or by another key of reports.

    Tasks without the label ``benchmark`` are on no board. With a period, only tasks
    opened and aggregates dated within it count.
    """

    def asked(*keys: str) -> Sequence[Row]:
        return report(book, lake, now_us=now_us, by=keys, since_us=since_us, until_us=until_us).rows

    keys = ("benchmark", "domain", by)
    # By source a task whose calls came in several ways counts several times: it only tells the sources.
    by_source = asked(*keys, "source")
    sources: dict[tuple[str | None, ...], list[str]] = {}
    for row in by_source:
        if not row.is_published:
            sources.setdefault(row.keys[:3], []).append(row.keys[3] or "")
    of_tasks = [row for row in asked(*keys) if not row.is_published]
    return [
        _showing(row, names)
        for row, names in (
            *((row, sources.get(row.keys, [])) for row in of_tasks),
            *((row, [row.keys[3] or ""]) for row in by_source if row.is_published),
        )
        if row.keys[0] and row.n
    ]


def sources_in(book: Book, boards: Iterable[Board]) -> list[Source]:
    """The sources of these boards, with what was said of them at their import."""
    names = list(dict.fromkeys(name for board in boards for name in board.sources))
    return sources_of(names, imported_files(book))


def _showing(row: Row, sources: Sequence[str]) -> Showing:
    figures, is_published = row.figures, row.is_published
    return Showing(
        benchmark=row.keys[0] or "",
        domain=row.keys[1] or "",
        path=row.keys[2] or NOT_GIVEN,
        sources=tuple(sorted(filter(None, sources))),
        n=row.n,
        successes=row.verified,
        cost_nano=figures.cost_nano,
        attempts=figures.attempts,
        assumed=figures.assumed,
        failed_nano=None if is_published else figures.failure_nano,
        unknown_n=figures.unknown_cost_tasks,
        sums=None if is_published else figures.sums(),
        calls_per_task=row.calls_per_task,
        simulation_nano=figures.simulation_nano or None,
    )
