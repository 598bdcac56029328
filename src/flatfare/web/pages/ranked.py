"""Reports as tables: a row a group, the dearest first, each a way in to what is behind it."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from flatfare.service.reporting import Report, Row
from flatfare.service.reporting.document import csv_columns, rows_of
from flatfare.service.reporting.keys import PERIODS
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
from flatfare.web.pages.blocks import Cell, Column, Csv, Tab, Table
from flatfare.web.pages.page import Visit

WHY = "/unknown"
"""Where it says why a figure is not known."""

KEYS = ("path", "model", "provider", "action", "key", "source", "outcome")
"""Keys that every book has."""


@dataclass(frozen=True, slots=True)
class _Measure:
    """A column of figures: its title, how it sorts, and what it says of a row."""

    title: str
    sort: str | None
    cell: Callable[[Row], Cell]
    gives_way: bool = False
    is_there: Callable[[Row], object] = lambda row: True


def _plain(text: Callable[[Row], str | None]) -> Callable[[Row], Cell]:
    return lambda row: Cell(text(row), why=WHY)


def headline_cell(row: Row) -> Cell:
    """Cost per verified outcome and its interval, or why there is none."""
    if not row.n and not row.verified:
        return Cell("", tone="quiet")
    said = headline(row)
    is_so_far = said is not None and said.endswith("*")
    interval = interval_text(row)
    beside = "95 %: " + interval if interval != "—" else (row.note or "")
    return Cell(
        said.removesuffix("*") if said else None, beside, tone="quiet" if is_so_far else "strong", why=WHY
    )


def _success(row: Row) -> Cell:
    if not row.n:
        return Cell("", tone="quiet")
    return Cell(percent(row.success_rate), percents(row.success_interval))


def spend_cell(row: Row) -> Cell:
    """All that is known to have been spent; a dash where that says nothing."""
    f = row.figures
    return Cell(known(f.spend_nano, f.unknown_of_spend), why=WHY)


OUTCOME_MEASURES = (
    _Measure("Per verified outcome", "cost-per-verified-outcome", headline_cell),
    _Measure("Success", "success-rate", _success),
    _Measure("Tasks", "tasks", _plain(lambda row: f"{row.n:,}")),
    _Measure("Verified", "verified", _plain(lambda row: f"{row.verified:,}"), gives_way=True),
    _Measure("Cost", "cost", _plain(cost)),
    _Measure(
        "Outside tasks",
        None,
        lambda row: Cell(
            known(row.figures.outside_nano, row.figures.unknown_outside_calls)
            if row.figures.outside_calls
            else "",
            why=WHY,
        ),
        gives_way=True,
        is_there=lambda row: row.figures.outside_calls,
    ),
    _Measure(
        "In tasks not verified",
        "unverified-spend-share",
        lambda row: Cell(percent(row.unverified_share) or ""),
        gives_way=True,
    ),
    _Measure(
        "Per attempt",
        "cost-per-attempt",
        _plain(lambda row: attempt(row) if row.figures.attempts else ""),
        gives_way=True,
    ),
    _Measure(
        "Cost not known",
        "unknown-cost-tasks",
        lambda row: (
            Cell(f"{row.figures.unknown_cost_tasks:,}", href=WHY)
            if row.figures.unknown_cost_tasks
            else Cell("0", tone="quiet")
        ),
        gives_way=True,
        is_there=lambda row: row.figures.unknown_cost_tasks,
    ),
)
"""What is said of groups of tasks."""

SPEND_MEASURES = (
    _Measure("Spend", "spend", spend_cell),
    _Measure("Tasks", "tasks", _plain(lambda row: f"{row.n:,}" if row.n else "")),
    _Measure(
        "Calls outside tasks",
        None,
        _plain(lambda row: f"{row.figures.outside_calls:,}"),
        gives_way=True,
        is_there=lambda row: row.figures.outside_calls,
    ),
    _Measure(
        "Tokens in",
        None,
        _plain(lambda row: f"{row.figures.input_tokens:,}" if row.figures.input_tokens else ""),
        gives_way=True,
        is_there=lambda row: row.figures.input_tokens,
    ),
    _Measure(
        "Tokens out",
        None,
        _plain(lambda row: f"{row.figures.output_tokens:,}" if row.figures.output_tokens else ""),
        gives_way=True,
        is_there=lambda row: row.figures.output_tokens,
    ),
    _Measure(
        "Per million tokens",
        None,
        lambda row: Cell(money(row.price_per_million_nano) or ""),
        gives_way=True,
        is_there=lambda row: row.price_per_million_nano,
    ),
    _Measure("Per verified outcome", "cost-per-verified-outcome", headline_cell, gives_way=True),
)
"""What is said of who or what spends."""


def ranked(
    found: Report,
    visit: Visit,
    *,
    name: str,
    title: str,
    key: str,
    measures: Sequence[_Measure] = OUTCOME_MEASURES,
    tabs: Sequence[Tab] = (),
    more_tabs: Sequence[Tab] = (),
    drill: str | None = None,
    empty: str = "Nothing in this period.",
) -> Table:
    """A report by one key as a table; a row leads to the same page for that value alone."""
    shown = [one for one in measures if any(one.is_there(row) for row in found.rows)]
    most = max((row.figures.spend_nano for row in found.rows), default=0)
    rows = tuple(
        (_key_cell(row, visit, key, most, drill), *(one.cell(row) for one in shown)) for row in found.rows
    )
    columns = (Column(key.removeprefix("label."), "left"), *(_column(one, visit) for one in shown))
    hidden = found.groups - len(found.rows)
    more = (f"Show all {found.groups:,}", visit.asking.url(limit="0")) if hidden > 0 else None
    is_published = any(row.is_published for row in found.rows)
    return Table(
        name,
        title,
        columns,
        rows,
        Csv(tuple(csv_columns(found)), rows_of(found)),
        tabs=tuple(tabs),
        more_tabs=tuple(more_tabs),
        note="Published aggregates are other people's runs: they are in no total of yours."
        if is_published
        else "",
        empty=empty,
        more=more,
        hint=f"Pick a {key.removeprefix('label.')} to see it alone." if rows and key not in PERIODS else "",
    )


def key_tabs(visit: Visit, here: str, keys: Iterable[str]) -> tuple[Tab, ...]:
    """A tab for each key to group by."""
    return tuple(
        Tab(key.removeprefix("label."), visit.asking.url(by=key, sort=None, limit=None), key == here)
        for key in dict.fromkeys(keys)
    )


def other_keys(visit: Visit, shown: Iterable[str]) -> list[str]:
    """The keys there are beside those that have a tab."""
    taken = set(shown)
    return [key for key in (*visit.extent.labels, *KEYS, "purpose", "session") if key not in taken]


def _key_cell(row: Row, visit: Visit, key: str, most: int, drill: str | None) -> Cell:
    value = row.keys[0]
    names = visit.names_of_keys() if key == "key" and value is not None else {}
    bar = row.figures.spend_nano / most if most and not row.is_published else None
    badge = "published" if row.is_published else ""
    if value is None:
        return Cell("not given", tone="quiet", bar=bar, badge=badge)
    if key in PERIODS:
        return Cell(value, bar=bar)
    return Cell(names.get(value, value), href=visit.asking.filtered(key, value, drill), bar=bar, badge=badge)


def _column(one: _Measure, visit: Visit) -> Column:
    if one.sort is None:
        return Column(one.title, gives_way=one.gives_way)
    is_here = (visit.asking.sort or "").removeprefix("-") == one.sort
    turned = is_here and not (visit.asking.sort or "").startswith("-")
    return Column(
        one.title,
        sort=visit.asking.url(sort=f"-{one.sort}" if turned else one.sort, limit=None),
        sorted_="other" if is_here else "",
        gives_way=one.gives_way,
    )
