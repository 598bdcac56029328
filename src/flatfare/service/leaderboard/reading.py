"""What each path of a book has shown, and where it is known from.

Tasks of one path are summed over the sources they came by; published aggregates stay
apart by source, since nobody can tell what tasks they share.
"""

from collections.abc import Iterable, Sequence

from flatfare.service.leaderboard.ranking import Board
from flatfare.service.leaderboard.showing import Showing
from flatfare.service.leaderboard.sources import Source, sources_of
from flatfare.service.reporting.figures import Figures, Row
from flatfare.service.reporting.report import report
from flatfare.store.book import Book
from flatfare.store.lake import Lake
from flatfare.store.origins import imported_files

NO_PATH = "(no path)"
"""The name of tasks that do not say on what they ran."""


def showings_in(book: Book, lake: Lake, now_us: int, by: str = "path") -> list[Showing]:
    """What was shown on each benchmark and domain, by path or by another key of reports.

    Tasks without the label ``benchmark`` are on no board.
    """
    answer = report(book, lake, now_us=now_us, by=("benchmark", "domain", by, "source"))
    rows = [row for row in answer.rows if row.keys[0] and row.n]
    published = [_showing(row.keys, [row]) for row in rows if row.is_published]
    return [*_of_tasks(row for row in rows if not row.is_published), *published]


def sources_in(book: Book, boards: Iterable[Board]) -> list[Source]:
    """The sources of these boards, with what was said of them at their import."""
    names = list(dict.fromkeys(name for board in boards for name in board.sources))
    return sources_of(names, imported_files(book))


def _of_tasks(rows: Iterable[Row]) -> list[Showing]:
    together: dict[tuple[str | None, ...], list[Row]] = {}
    for row in rows:
        together.setdefault(row.keys[:3], []).append(row)
    return [_showing(keys, found) for keys, found in together.items()]


def _showing(keys: Sequence[str | None], rows: Sequence[Row]) -> Showing:
    figures = sum((row.figures for row in rows), Figures())
    is_published = rows[0].is_published
    return Showing(
        benchmark=keys[0] or "",
        domain=keys[1] or "",
        path=keys[2] or NO_PATH,
        sources=tuple(dict.fromkeys(row.keys[3] or "" for row in rows)),
        n=figures.tasks,
        successes=figures.verified,
        cost_nano=figures.cost_nano,
        attempts=figures.attempts,
        assumed=figures.assumed,
        failed_nano=None if is_published else figures.failure_nano,
        unknown_n=figures.unknown_cost_tasks,
        sums=None if is_published else figures.sums(),
        calls_per_task=figures.calls / figures.called_tasks if figures.called_tasks else None,
        simulation_nano=figures.simulation_nano or None,
    )
