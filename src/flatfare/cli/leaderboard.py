"""``flatfare leaderboard``: paths ranked by cost per verified outcome, as tables, data or a site."""

import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from flatfare import __version__
from flatfare.cli.options import Amount, book_of, format_options, lake_of, pass_settings, period_options
from flatfare.cli.output import Field, note, print_table, say
from flatfare.config import Settings
from flatfare.core.errors import NotFound
from flatfare.core.moments import datetime_of
from flatfare.service import clock
from flatfare.service.leaderboard.document import csv_text, document_of, rows_of
from flatfare.service.leaderboard.gathering import boards_of
from flatfare.service.leaderboard.ranking import Board, Place, Standing
from flatfare.service.leaderboard.reading import showings_in, sources_in
from flatfare.service.leaderboard.wording import (
    attempt_text,
    cost_text,
    doubt_on,
    interval_text,
    percent_text,
    percents_text,
    rank_text,
    remark_on,
    spent_text,
    title_of,
)

_RANKED = (
    Field("rank", "Rank"),
    Field("frontier", "", align="left"),
    Field("path", "Path", align="left"),
    Field("cost", "Per verified\noutcome", is_strong=True),
    Field("interval", "95 %"),
    Field("rate", "Success"),
    Field("rate_interval", "95 %"),
    Field("attempt", "Per\nattempt"),
    Field("n", "Tasks"),
)
_NARROW_LEAVES_OUT = ("rate_interval", "attempt")
_WIDE_COLUMNS = 110
_BELOW = (
    Field("path", "Path", align="left"),
    Field("cost", "Per verified\noutcome"),
    Field("rate", "Success"),
    Field("spent", "Spent"),
    Field("n", "Tasks"),
    Field("remark", "", align="left"),
)
_TITLES = {
    Place.UNKNOWN_COST: "Not ranked: the cost is not wholly known",
    Place.FEW_SUCCESSES: "Not ranked: fewer than five verified, so only the spend is known",
    Place.HARDLY_RAN: "Not ranked: fewer than one step a task, so the set-up was broken",
    Place.DUPLICATE: "Not ranked: the same figures to the last digit, under another name",
}


@click.command()
@click.option("--benchmark", metavar="NAME", help="Only this benchmark.")
@click.option("--domain", metavar="NAME", help="Only this domain.")
@click.option(
    "--by", default="path", show_default=True, metavar="KEY", help="What is ranked: path, model, a label."
)
@click.option("--pool", is_flag=True, help="Rank the domains of a benchmark together too.")
@click.option(
    "--handoff-cost",
    "handoff_nano",
    type=Amount(from_zero=True),
    default="0",
    metavar="AMOUNT",
    help="What each failure costs on top when a person must finish the work, such as 5.00.",
)
@click.option(
    "--html", "folder", metavar="DIR", type=click.Path(path_type=Path), help="Write a static site to DIR."
)
@period_options
@format_options
@pass_settings
def leaderboard(
    settings: Settings,
    benchmark: str | None,
    domain: str | None,
    by: str,
    pool: bool,
    handoff_nano: int,
    folder: Path | None,
    since: int | None,
    until: int | None,
    shape: str,
) -> None:
    """Rank paths by cost per verified outcome.

    Paths are ranked within a benchmark and a domain: the labels of those names, or the
    columns of an imported board. A rank is a range where the tasks seen cannot tell
    paths apart: 1–3 reads that nothing is surely cheaper, and two others may be.
    """
    now_us = clock.now_us()
    with book_of(settings) as book:
        showings = showings_in(book, lake_of(settings), now_us, by, since, until)
        if not showings:
            raise _nothing(has_period=since is not None or until is not None)
        boards = boards_of(
            showings,
            benchmark=benchmark,
            domain=domain,
            pool=pool or folder is not None,
            handoff_nano=handoff_nano,
        )
        sources = sources_in(book, boards)
    as_of = datetime_of(now_us).date().isoformat()
    if folder is not None:
        from flatfare.web.site.build import build_site

        pages = build_site(
            boards, sources, folder, as_of=as_of, version=__version__, handoff_nano=handoff_nano
        )
        note(f"Wrote {pages} pages. Open {folder / 'index.html'}: it needs no server and no network.")
        return
    show(boards, shape, as_of, handoff_nano)


def _nothing(*, has_period: bool) -> NotFound:
    when = " in that period" if has_period else ""
    return NotFound(
        f"There is nothing to rank{when}: no task has the label 'benchmark', and no board was imported. "
        "Try: flatfare import tasks FILE --set label.benchmark=NAME, or flatfare demo."
    )


def show(boards: Sequence[Board], shape: str, as_of: str, handoff_nano: int) -> None:
    """Print boards as tables, JSON or CSV."""
    if shape == "json":
        say(json.dumps(document_of(boards, as_of, handoff_nano), ensure_ascii=False, indent=2))
    elif shape == "csv":
        click.echo(csv_text(row for board in boards for row in rows_of(board)), nl=False)
    else:
        for at, board in enumerate(boards):
            if at:
                say()
            show_board(board)


def show_board(board: Board) -> None:
    """Print one board: the ranked paths, then each group that is not ranked and why."""
    say(click.style(title_of(board), bold=True))
    if board.ranked:
        print_table([_row(standing) for standing in board.ranked], _ranked_fields())
    if any(standing.is_on_frontier for standing in board.ranked):
        say("● on the frontier: no other is, or may be, both cheaper and verified more often")
    if doubt := doubt_on(board):
        say(doubt)
    for place, title in _TITLES.items():
        if board.at(place):
            say(f"\n{title}")
            print_table([_row(standing) for standing in board.at(place)], _BELOW)


def _ranked_fields() -> list[Field]:
    """All columns, or fewer on a narrow terminal, so that names keep their room."""
    is_narrow = sys.stdout.isatty() and shutil.get_terminal_size().columns < _WIDE_COLUMNS
    return [field for field in _RANKED if not (is_narrow and field.key in _NARROW_LEAVES_OUT)]


def _row(standing: Standing) -> dict[str, str | None]:
    return {
        "rank": rank_text(standing),
        "path": standing.showing.path,
        "cost": cost_text(standing),
        "interval": interval_text(standing),
        "rate": percent_text(standing.success_rate),
        "rate_interval": percents_text(standing.rate),
        "attempt": attempt_text(standing),
        "spent": spent_text(standing),
        "n": f"{standing.showing.n:,}",
        "frontier": "●" if standing.is_on_frontier else " ",
        "remark": remark_on(standing) or " ",
    }
