"""A report as a table: the columns that fit beside its keys, bars on a terminal, and the notes below.

What matters least gives way first; a figure is shown whole or not at all.
"""

import shutil
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from flatfare.cli.output import (
    BAR_WIDTH,
    MISSING,
    Field,
    bar,
    print_table,
    say,
    say_words,
)
from flatfare.core.money import dollar_text
from flatfare.core.statistics import MIN_SUCCESSES
from flatfare.service.reporting import Report, Row
from flatfare.service.reporting.document import (
    notes_of,
    previous_rows,
    shown_cost,
)
from flatfare.service.reporting.wording import (
    attempt,
    cost,
    headline,
    interval_text,
    known,
    money,
    percent,
    percents,
)

_WIDTH_MIN = 40
_KEY_SHARE = 4  # a key of a table gets up to a quarter of the width before columns give way to it
_KEY_WIDTH_MIN, _KEY_WIDTH_MAX = 10, 60


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


def print_report(answer: Report) -> None:
    """A row a group, the total below, then what is to be known of them."""
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
