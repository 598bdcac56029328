"""``flatfare report``: cost, success and cost per verified outcome of tasks, by any key."""

from collections.abc import Sequence
from pathlib import Path

import click

from flatfare.cli.options import (
    Amount,
    book_of,
    filter_of,
    format_options,
    lake_of,
    pass_settings,
    period_options,
)
from flatfare.cli.output import (
    MISSING,
    Field,
    note,
    print_csv,
    print_json,
    print_table,
    say,
)
from flatfare.cli.report_table import print_report, shortened
from flatfare.config import Settings
from flatfare.core.errors import BadInput, BadUsage
from flatfare.core.money import dollar_text
from flatfare.service import clock
from flatfare.service.reporting import Report
from flatfare.service.reporting import report as reported
from flatfare.service.reporting.comparing import compared
from flatfare.service.reporting.document import (
    csv_columns,
    document_of,
    rows_of,
)
from flatfare.service.reporting.keys import TURN, asked
from flatfare.service.reporting.question import COMPUTED, COUNTS, REPORTED
from flatfare.service.reporting.turns import Turn, turns
from flatfare.service.reporting.turns import document_of as document_of_turns
from flatfare.service.reporting.wording import (
    at_least,
)
from flatfare.store.book import Book
from flatfare.store.lake import Lake

ROWS_ON_A_PAGE = 50
"""Rows of a table without ``--limit``; JSON and CSV have all."""


@click.command()
@click.option(
    "--by",
    multiple=True,
    metavar="KEY[,KEY…]",
    help="path, action, model, provider, source, session, turn, day, week, month, quarter, year, outcome, "
    "action_version, settlement, key, purpose, or any label such as team or customer.  [default: path]",
)
@click.option(
    "--filter",
    "filters",
    multiple=True,
    metavar="KEY=VALUE",
    help="Only these; values of one key are alternatives.",
)
@period_options
@click.option("--sort", metavar="COLUMN", help="Such as cost or cost-per-verified-outcome; -cost turns it.")
@click.option("--limit", type=click.IntRange(min=0), metavar="N", help="Rows to show; 0 shows all.")
@click.option(
    "--cost",
    "which",
    type=click.Choice([REPORTED, COMPUTED]),
    help="Look at the cost reported, or at the one computed from usage.",
)
@click.option(
    "--handoff-cost",
    "handoff_nano",
    type=Amount(from_zero=True),
    default="0",
    metavar="AMOUNT",
    help="What each failure costs on top when a person must finish the work, such as 5.00.",
)
@click.option("--time-zone", metavar="ZONE", help="Where days and months begin, such as Europe/Berlin.")
@click.option(
    "--against",
    metavar="ROW",
    help="Say by how much each row is cheaper than this one; true at every look.",
)
@click.option(
    "--chart",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Draw it too, as FILE.svg or FILE.png.",
)
@format_options
@pass_settings
def report(
    settings: Settings,
    by: tuple[str, ...],
    filters: tuple[str, ...],
    since: int | None,
    until: int | None,
    sort: str | None,
    limit: int | None,
    which: str | None,
    handoff_nano: int,
    time_zone: str | None,
    against: str | None,
    chart: Path | None,
    shape: str,
) -> None:
    """Show what tasks cost, how many were verified, and the cost per verified outcome.

    The headline counts what work, verification and rework cost, over every task whose
    window has closed, divided by the tasks verified and not reversed.
    """
    keys = tuple(asked(by)) or ("path",)
    shown = _rows_to_show(limit, shape)
    chosen = [filter_of(text) for text in filters]
    zone = time_zone or settings.time_zone
    now_us = clock.now_us()
    ending = None if chart is None else _ending_of(chart, keys)
    with book_of(settings) as book:
        lake = lake_of(settings)
        if TURN in keys:
            found, loose = turns(
                book,
                lake,
                now_us=now_us,
                by=keys,
                since_us=since,
                until_us=until,
                filters=chosen,
                time_zone=zone,
                limit=shown,
            )
            _show_turns(found, loose, [key for key in keys if key != TURN], shape)
            return
        answer = reported(
            book,
            lake,
            now_us=now_us,
            by=keys,
            since_us=since,
            until_us=until,
            filters=chosen,
            handoff_nano=handoff_nano,
            cost=which or COUNTS,
            time_zone=zone,
            sort=sort,
            limit=None if against else shown,
        )
        if chart is not None and ending is not None and not answer.is_empty:
            _draw(answer, book, lake, settings, zone, chart, ending)
    show(answer, shape, settings.currency, against=against)


def _ending_of(chart: Path, keys: Sequence[str]) -> str:
    """How a chart is written; refused before anything is looked up."""
    from flatfare.web.pictured import checked_ending  # the dashboard's charts: only who draws waits for them

    if TURN in keys:
        raise BadUsage("A report by turn has no chart: leave out --chart, or group by something else.")
    return checked_ending(chart.name)


def _draw(
    answer: Report, book: Book, lake: Lake, settings: Settings, zone: str, chart: Path, ending: str
) -> None:
    from flatfare.web.pictured import picture_of

    drawn = picture_of(answer, book, lake, settings, zone, ending)
    try:
        chart.write_bytes(drawn)
    except OSError as problem:
        raise BadInput(f"The chart {chart} cannot be written: {problem.strerror or problem}.") from None
    note(f"The chart is in {chart}.")


def _rows_to_show(limit: int | None, shape: str) -> int | None:
    if limit is None:
        return ROWS_ON_A_PAGE if shape == "table" else None
    return limit or None


def show(answer: Report, shape: str, currency: str, *, against: str | None = None) -> None:
    """Print a report as a table, as JSON or as CSV; each row held ``against`` one of them."""
    held = [] if against is None else compared(answer, against)
    if shape == "json":
        document = document_of(answer, currency)
        if against is not None:
            document["against"] = [one.as_json() for one in held]
        print_json(document)
    elif shape == "csv":
        print_csv(rows_of(answer), csv_columns(answer))
    elif answer.is_empty:
        note("The book holds no task and no call yet. Import some: flatfare import tasks FILE")
    else:
        print_report(answer)
        if held:
            say()
        for one in held:
            if one.interval is not None:
                say(one.sentence)
        few = sum(one.interval is None for one in held)
        if few:
            say(f"Of {few} rows too little is known to hold them against it; --json names them.")


_TURN_FIELDS = (
    Field("turn", "Turn"),
    Field("conversations", "Conversations"),
    Field("mean", "Cost of\nthis turn", is_strong=True),
    Field("through", "Cost up\nto here"),
    Field("tokens_in", "Input\ntokens"),
    Field("cached", "of them\ncached"),
    Field("tokens_out", "Output\ntokens"),
)


def _show_turns(found: list[Turn], loose: int, names: list[str], shape: str) -> None:
    if shape == "json":
        print_json(document_of_turns(found, loose, names))
    elif shape == "csv":
        blank = Turn((None,) * len(names), 1, 1, 1, 0, 0, 0, 0, 0, 0)
        print_csv([turn.as_json(names) for turn in found], list(blank.as_json(names)))
    elif not found:
        note("No call for work belongs to a session or a task yet: there is no conversation to follow.")
    else:
        fields = [Field(f"key {at}", name.capitalize(), align="left") for at, name in enumerate(names)]
        print_table(map(_turn_cells, found), [*fields, *_TURN_FIELDS])
        if loose:
            say(f"\n{loose:,} calls for work belong to no session and no task: they are in no turn.")


def _turn_cells(turn: Turn) -> dict[str, object]:
    is_unknown = turn.unknown_calls > 0
    each = turn.conversations
    return {
        **{f"key {at}": shortened(key or MISSING, 30) for at, key in enumerate(turn.keys)},
        "turn": turn.turn,
        "conversations": f"{each:,}",
        "mean": None if turn.mean_nano is None else at_least(dollar_text(turn.mean_nano), is_unknown),
        "through": at_least(dollar_text(turn.through_mean_nano), is_unknown),
        "tokens_in": f"{turn.input_tokens / each:,.0f}",
        "cached": f"{turn.cached_tokens / each:,.0f}",
        "tokens_out": f"{turn.output_tokens / each:,.0f}",
    }
