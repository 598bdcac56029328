"""``flatfare report``: cost, success and cost per verified outcome of tasks, by any key."""

import shutil
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
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
    BAR_WIDTH,
    MISSING,
    Field,
    bar,
    note,
    print_csv,
    print_json,
    print_table,
    say,
    say_words,
)
from flatfare.config import Settings
from flatfare.core.errors import BadInput, BadUsage
from flatfare.core.money import dollar_text
from flatfare.core.statistics import MIN_SUCCESSES
from flatfare.service import clock
from flatfare.service.reporting import Report, Row
from flatfare.service.reporting import report as reported
from flatfare.service.reporting.comparing import compared
from flatfare.service.reporting.document import (
    csv_columns,
    document_of,
    notes_of,
    previous_rows,
    rows_of,
    shown_cost,
)
from flatfare.service.reporting.keys import TURN, asked
from flatfare.service.reporting.question import COMPUTED, COUNTS, REPORTED
from flatfare.service.reporting.turns import Turn, turns
from flatfare.service.reporting.wording import (
    at_least,
    attempt,
    cost,
    headline,
    interval_text,
    known,
    money,
    percent,
    percents,
)
from flatfare.store.book import Book
from flatfare.store.lake import Lake

ROWS_ON_A_PAGE = 50
"""Rows of a table without ``--limit``; JSON and CSV have all."""

_WIDTH_MIN = 40
_KEY_SHARE = 4  # a key of a table gets up to a quarter of the width before columns give way to it
_KEY_WIDTH_MIN, _KEY_WIDTH_MAX = 10, 60


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
        _show_table(answer)
        if held:
            say()
        for one in held:
            if one.interval is not None:
                say(one.sentence)
        few = sum(one.interval is None for one in held)
        if few:
            say(f"Of {few} rows too little is known to hold them against it; --json names them.")


@dataclass(frozen=True, slots=True)
class _Column:
    """A column of the table: what it says of a row, and how soon it gives way on a narrow terminal."""

    field: Field
    text: Callable[[Row], str | None]
    gives_way: int  # 0 never; the highest first
    is_there: Callable[[Row], object] = lambda row: True  # shown where any row has it


def _column(
    title: str,
    text: Callable[[Row], str | None],
    gives_way: int,
    is_there: Callable[[Row], object] = lambda row: True,
    *,
    is_strong: bool = False,
) -> _Column:
    return _Column(Field(title, title, is_strong=is_strong), text, gives_way, is_there)


_COLUMNS = (
    _column("Per verified\noutcome", headline, 0, is_strong=True),
    _column("95 %", interval_text, 1),
    _column("Success", lambda row: percent(row.success_rate), 0),
    _column("95 % ", lambda row: percents(row.success_interval), 5),
    _column("Tasks", lambda row: f"{row.n:,}", 0),
    _column("Verified", lambda row: f"{row.verified:,}", 8),
    _column("Failed", lambda row: f"{row.figures.failed:,}", 9),
    _column("Assumed", lambda row: f"{row.figures.assumed:,}", 4, lambda row: row.figures.assumed),
    _column("Reversed", lambda row: f"{row.figures.reversed:,}", 4, lambda row: row.figures.reversed),
    _column("Open", lambda row: f"{row.figures.open:,}", 4, lambda row: row.figures.open),
    _column("Cost", cost, 2),
    _column(
        "Spend",
        lambda row: known(row.figures.spend_nano, row.figures.unknown_of_spend),
        3,
        lambda row: row.figures.spend_nano != row.figures.cost_nano,
    ),
    _column("In tasks not\nverified", lambda row: percent(row.unverified_share), 3),
    _column("Per\nattempt", attempt, 6),
    _column(
        "Cost not\nknown",
        lambda row: f"{row.figures.unknown_cost_tasks:,}",
        3,
        lambda row: row.figures.unknown_cost_tasks,
    ),
    _column("p50", lambda row: money(row.percentiles.p50_nano), 10),
    _column("p90", lambda row: money(row.percentiles.p90_nano), 10),
    _column("p99", lambda row: money(row.percentiles.p99_nano), 12),
    _column(
        "Calls per\ntask",
        lambda row: None if row.calls_per_task is None else f"{row.calls_per_task:.1f}",
        7,
        lambda row: row.calls_per_task,
    ),
    _column(
        "Verification",
        lambda row: known(row.figures.verification_nano, row.figures.unknown_verification_tasks),
        11,
        lambda row: row.figures.verification_nano or row.figures.unknown_verification_tasks,
    ),
    _column(
        "Rework",
        lambda row: known(row.figures.rework_nano, row.figures.unknown_rework_tasks),
        6,
        lambda row: row.figures.rework_nano or row.figures.unknown_rework_tasks,
    ),
    _column("Fixed", lambda row: money(row.figures.fixed_nano), 11, lambda row: row.figures.fixed_nano),
    _column(
        "Open\ncost",
        lambda row: known(row.figures.open_nano, row.figures.unknown_open_tasks),
        9,
        lambda row: row.figures.open_nano,
    ),
    _column(
        "Outside\ntasks",
        lambda row: known(row.figures.outside_nano, row.figures.unknown_outside_calls),
        5,
        lambda row: row.figures.outside_calls,
    ),
    _column(
        "Simulation",
        lambda row: known(row.figures.simulation_nano, row.figures.unknown_simulation_calls),
        9,
        lambda row: row.figures.simulation_nano or row.figures.unknown_simulation_calls,
    ),
    _column(
        "Test",
        lambda row: known(row.figures.test_nano, row.figures.unknown_test_calls),
        11,
        lambda row: row.figures.test_nano or row.figures.unknown_test_calls,
    ),
    _column(
        "Reported",
        lambda row: money(row.figures.reported_nano) if row.figures.reported_calls else None,
        13,
        lambda row: row.figures.reported_calls and row.figures.computed_calls,
    ),
    _column(
        "Computed",
        lambda row: money(row.figures.computed_nano) if row.figures.computed_calls else None,
        13,
        lambda row: row.figures.reported_calls and row.figures.computed_calls,
    ),
)


def _show_table(answer: Report) -> None:
    rows = [*answer.rows, answer.total]
    if not answer.total.n and answer.published_total is not None:
        rows = [*answer.rows, answer.published_total]
    columns = [column for column in _columns_of(answer) if any(column.is_there(row) for row in rows)]
    if sys.stdout.isatty() and len(answer.rows) > 1:
        columns = _with_bars(columns, answer.rows)
    cells = [[column.text(row) for column in columns] for row in rows]
    keys = [_key_texts(row, is_total=at == len(rows) - 1) for at, row in enumerate(rows)]
    width = terminal_width()
    longest = max((len(text) for texts in keys for text in texts), default=0)
    wanted = len(answer.by) * (min(longest, width // _KEY_SHARE) + 2)
    kept = _fitting(columns, cells, width - wanted)
    key_width = (width - sum(_width(columns[at], cells, at) + 2 for at in kept)) // len(answer.by) - 2
    fields = [Field(f"key {at}", name.capitalize(), align="left") for at, name in enumerate(answer.by)]
    print_table(
        (
            {
                **{f"key {at}": shortened(text, key_width) for at, text in enumerate(texts)},
                **{columns[at].field.key: line[at] for at in kept},
            }
            for texts, line in zip(keys, cells, strict=True)
        ),
        [*fields, *(columns[at].field for at in kept)],
    )
    _say_notes(answer, rows)


def _columns_of(answer: Report) -> Sequence[_Column]:
    """By time, the price of tokens stands beside the cost of outcomes, each with its change."""
    before = previous_rows(answer)
    if before is None or not any(row.price_per_million_nano for row in answer.rows):
        return _COLUMNS

    def change(row: Row, of: Callable[[Row], int | None]) -> str | None:
        earlier = before.get(row.keys) if before and row.keys else None
        was, now = of(earlier) if earlier else None, of(row)
        return f"{100 * (now / was - 1):+.1f} %" if was and now is not None else None

    return (
        _column("Per million\ntokens", lambda row: money(row.price_per_million_nano), 0),
        _column("change", lambda row: change(row, lambda one: one.price_per_million_nano), 1),
        _COLUMNS[0],
        _column("change ", lambda row: change(row, shown_cost), 1),
        *_COLUMNS[1:],
    )


def _with_bars(columns: Sequence[_Column], rows: Sequence[Row]) -> list[_Column]:
    """The columns with a bar behind each cost, as long as its share of the largest."""
    most = max((row.figures.cost_nano for row in rows), default=0)
    shown = {row.keys for row in rows}

    def drawn(row: Row) -> str:
        return (bar(row.figures.cost_nano / most) if most and row.keys in shown else "") or " "

    field = Field("bar", " " * BAR_WIDTH, align="left")
    at = next((at for at, column in enumerate(columns) if column.text is cost), len(columns) - 1)
    return [*columns[: at + 1], _Column(field, drawn, 2), *columns[at + 1 :]]


def _key_texts(row: Row, *, is_total: bool) -> list[str]:
    if is_total:
        return ["Total"]
    texts = [MISSING if key is None else key for key in row.keys]
    return [*texts[:-1], f"{texts[-1]} †"] if row.is_published else texts


def terminal_width() -> int:
    """How wide a table may be; off a terminal a page of 120."""
    return max(shutil.get_terminal_size((120, 24)).columns, _WIDTH_MIN) if sys.stdout.isatty() else 120


def _width(column: _Column, cells: Sequence[Sequence[str | None]], at: int) -> int:
    texts = [*column.field.title.split("\n"), *(line[at] or MISSING for line in cells)]
    return max(map(len, texts))


def _fitting(columns: Sequence[_Column], cells: Sequence[Sequence[str | None]], room: int) -> list[int]:
    """The columns that fit into the room that the keys leave, in their order."""
    kept = list(range(len(columns)))
    while kept and sum(_width(columns[at], cells, at) + 2 for at in kept) > room:
        first = max(kept, key=lambda at: (columns[at].gives_way, at))
        if not columns[first].gives_way:
            break
        kept.remove(first)
    return kept


def shortened(text: str, width: int) -> str:
    """The text with its middle left out where it is too long: names differ at both ends."""
    width = min(max(width, _KEY_WIDTH_MIN), _KEY_WIDTH_MAX)
    if len(text) <= width:
        return text
    tail = width // 3
    return f"{text[: width - tail - 1]}…{text[-tail:]}"


def _say_notes(answer: Report, rows: Iterable[Row]) -> None:
    lines = notes_of(answer)
    if any(row.n and row.figures.is_costed and row.verified < MIN_SUCCESSES for row in rows):
        lines.append(f"* fewer than {MIN_SUCCESSES} verified: only the spend so far is known.")
    if any(row.is_published for row in answer.rows):
        lines.append("† published aggregate.")
    if answer.handoff_nano:
        each = dollar_text(answer.handoff_nano)
        lines.append(f"The cost per verified outcome includes {each} for each task that failed.")
    if answer.conversations is not None and answer.conversations.n:
        found = answer.conversations
        ranks = (found.spend.p50_nano, found.spend.p90_nano, found.spend.p99_nano)
        lines.append(
            f"{found.n:,} conversations cost {money(found.mean_nano)} each on average; "
            f"p50 {money(ranks[0])}, p90 {money(ranks[1])}, p99 {money(ranks[2])}."
        )
    if answer.groups > len(answer.rows):
        lines.append(f"{answer.groups - len(answer.rows):,} more rows: --limit 0 shows all.")
    if lines:
        say()
    for line in lines:
        say_words(line)


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
        document = {
            "by": [*names, TURN],
            "rows": [turn.as_json(names) for turn in found],
            "calls_apart": loose,
        }
        print_json(document)
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
