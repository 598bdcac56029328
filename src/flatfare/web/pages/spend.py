"""Spend: who or what it went to, which units it bought, and what of it failed or was tried again."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from flatfare.core.errors import BadUsage
from flatfare.core.money import NANO, dollar_text
from flatfare.service.reporting import Figures as Sums
from flatfare.service.reporting import Report, Row, ordering
from flatfare.service.reporting.anatomy import Anatomy, anatomy
from flatfare.service.reporting.document import csv_columns, document_of, rows_of
from flatfare.service.reporting.wording import known, percent
from flatfare.web.access import Right
from flatfare.web.frames import Colours, Frame, Spec, frames
from flatfare.web.pages import movement
from flatfare.web.pages.blocks import (
    Block,
    Cell,
    Chart,
    Column,
    Csv,
    Figure,
    Figures,
    Key,
    Notes,
    Table,
    View,
)
from flatfare.web.pages.charts import Part, stacked
from flatfare.web.pages.over_time import first_day, last_day
from flatfare.web.pages.page import Page, Visit
from flatfare.web.pages.ranked import SPEND_MEASURES, WHY, key_tabs, other_keys, ranked

TABS = ("model", "team", "customer", "key", "path", "provider")
OF_CALLS = ("model", "provider", "key", "purpose")
"""Keys that only calls have: the dearest to report by, and never of published aggregates."""

SERIES_MAX = 7
REST = "everything else"
NOT_GIVEN = "not given"

_PARTS = (
    ("Input, read in full", ("input", "tool_use_input", "input_audio", "input_image")),
    ("Input, cached", ("cache_read", "cache_read_audio", "cache_read_image")),
    ("Written to the cache", ("cache_write", "cache_write_5m", "cache_write_1h")),
    ("Output", ("output", "output_audio", "output_image")),
    ("Reasoning", ("reasoning",)),
)
"""The parts of token use, each with its units."""

_ENDED = {
    "ok": "went well",
    "failed": "failed",
    "cancelled": "cancelled by the client",
    "refused": "refused before sending",
    "cached": "answered from a cache",
}


def view(visit: Visit) -> View:
    """The page."""
    asking = visit.asking
    key = asking.by or ("model" if visit.extent.calls else "path")
    grain = asking.period.grain(visit.extent.first_at_us, visit.books.now_us)
    over_time = visit.report(grain, key) if visit.rows_max is not None else None
    if over_time is not None and key in OF_CALLS:
        by_key = together(over_time, asking.sort or "spend", visit.limit)
    else:
        by_key = visit.report(key, sort=asking.sort or "spend", limit=visit.limit)
    before = visit.report(before=True).total if asking.compares else None
    inside = _anatomy(visit)
    blocks: list[Block] = [Figures(_figures(by_key.total, before, inside, visit))]
    over_time = over_time or visit.report(grain, key)
    chart = _chart(visit, over_time, by_key, key, grain)
    if chart is not None:
        blocks.append(chart)
    blocks.append(
        ranked(
            by_key,
            visit,
            name="ranked",
            title=f"By {key.removeprefix('label.')}",
            key=key,
            measures=SPEND_MEASURES,
            tabs=key_tabs(visit, key, (*TABS, key)),
            more_tabs=key_tabs(visit, key, other_keys(visit, (*TABS, key))),
            empty=visit.nothing("Nothing was spent in this period."),
        )
    )
    if inside is not None and inside.calls:
        blocks += [_units(inside), _endings(inside)]
    blocks.append(Notes((_NOTE,)))
    document = {
        **document_of(by_key, visit.books.settings.currency),
        "anatomy": inside.as_json(visit.books.settings.currency) if inside is not None else None,
    }
    return View("Spend", tuple(blocks), document, compares=True, is_live=True)


_NOTE = (
    "A task's spend stands at the moment it was opened, as in flatfare report; tokens and endings stand at "
    "the moment of each call."
)


def _anatomy(visit: Visit) -> Anatomy | None:
    """What calls consist of; None where a filter says nothing of a call: the rest of the page answers it."""
    try:
        return anatomy(visit.books.book, visit.books.lake, **visit.within)
    except BadUsage:
        return None


def _figures(total: Row, before: Row | None, inside: Anatomy | None, visit: Visit) -> tuple[Figure, ...]:
    f = total.figures
    unknown = f.unknown_of_spend
    moved = movement.of_money(f.spend_nano, before.figures.spend_nano, less_is_good=None) if before else None
    lost = f.cost_nano - f.success_nano
    figures = [
        Figure("Spend", known(f.spend_nano, unknown), "by every purpose", moved, why=WHY, tone="lead"),
        Figure(
            "In tasks not verified",
            dollar_text(lost) if f.is_costed else None,
            f"{percent(total.unverified_share)} of what matured tasks cost" if total.unverified_share else "",
            href=visit.asking.elsewhere("/outcomes"),
            why=WHY,
        ),
        Figure(
            "Verification and rework",
            known(f.verification_nano + f.rework_nano, f.unknown_verification_tasks + f.unknown_rework_tasks),
            "to know that it was done, and to mend it",
            why=WHY,
        ),
        Figure(
            "Outside tasks",
            known(f.outside_nano, f.unknown_outside_calls),
            f"{f.outside_calls:,} calls" if f.outside_calls else "every call belongs to a task",
            why=WHY,
        ),
    ]
    if inside is not None:
        failed = [one for one in inside.endings if one.status not in ("ok", "cached")]
        figures.append(
            Figure(
                "In calls that failed",
                known(sum(one.cost_nano for one in failed), sum(one.unknown for one in failed)),
                f"{sum(one.calls for one in failed):,} of {inside.calls:,} calls",
                why=WHY,
            )
        )
    return tuple(figures)


def together(found: Report, sort: str, limit: int | None) -> Report:
    """A report by time and one other key, taken together over time: every figure is a sum.

    Percentiles are none: they cannot be taken together.
    """
    sums: dict[str | None, Sums] = defaultdict(Sums)
    for row in found.rows:
        sums[row.keys[1]] += row.figures
    rows = [Row((value,), figures) for value, figures in sums.items() if not figures.is_empty]
    ordered = ordering.sorted_rows(rows, ordering.order(sort, found.by[1:]))
    return replace(found, by=found.by[1:], rows=tuple(ordered[:limit]), groups=len(rows))


def _chart(visit: Visit, found: Report, by_key: Report, key: str, grain: str) -> Chart | None:
    """Spend over time, the dearest groups each in an ink of its own."""
    rows = [row for row in found.rows if not row.is_published and row.keys[0] is not None]
    times = {row.keys[0] for row in rows}
    if len(times) < 2:
        return None
    ranking = [row.keys[0] or NOT_GIVEN for row in by_key.rows if not row.is_published]
    top = ["Spend"] if key == grain else ranking[:SERIES_MAX]
    sums: dict[tuple[str, str], int] = defaultdict(int)
    for row in rows:
        name = "Spend" if key == grain else row.keys[1] or NOT_GIVEN
        series = name if name in top else REST
        sums[first_day(grain, row.keys[0] or ""), series] += row.figures.spend_nano
    order = [*top, *([REST] if any(series == REST for _, series in sums) else [])]
    parts = [
        Part(at, series, nano / NANO, f"{at}: {series}, {dollar_text(nano)}")
        for (at, series), nano in sorted(sums.items())
    ]

    def draw(colours: Colours, frame: Frame) -> Spec:
        return stacked(parts, order, inks_of(order), colours, frame, grain)

    wide, narrow = frames(240)
    keys = tuple(Key(f"s{ink}", name) for name, ink in zip(order, inks_of(order), strict=True))
    alt, title = f"Bars, one a {grain}, of spend.", "Spend over time"
    if key != grain:
        alt = f"{alt[:-1]} by {key}: {', '.join(order[:3])} and others."
        title += f" by {key.removeprefix('label.')}"
    return Chart("spend", title, draw, alt, wide, narrow, _over_time(found, visit, grain), keys)


def inks_of(order: Sequence[str]) -> list[int]:
    """The ink of each series by its number; grey, the last one, is of what has no name."""
    named = iter(range(SERIES_MAX))
    return [SERIES_MAX if name in (REST, NOT_GIVEN) else next(named) for name in order]


def _over_time(found: Report, visit: Visit, grain: str) -> Table:
    sums: dict[str, int] = defaultdict(int)
    for row in found.rows:
        if row.keys[0] is not None and not row.is_published:
            sums[row.keys[0]] += row.figures.spend_nano
    most = max(sums.values(), default=0)
    rows = []
    for name, nano in sorted(sums.items()):
        first = first_day(grain, name)
        href = visit.asking.url(period=None, since=first, until=last_day(grain, first))
        rows.append((Cell(name, href=href, bar=nano / most if most else None), Cell(dollar_text(nano))))
    csv = Csv(tuple(csv_columns(found)), rows_of(found))
    return Table("spend", f"Spend by {grain}", (Column(grain, "left"), Column("Spend")), tuple(rows), csv)


def _units(inside: Anatomy) -> Table:
    """What was bought: tokens by their kind, then everything else that is billed."""
    counts = dict(inside.units)
    known_units = {unit for _, units in _PARTS for unit in units}
    parts = [(title, sum((counts.get(unit, 0) for unit in units), start=0)) for title, units in _PARTS]
    tokens = sum(count for _, count in parts)
    rows = [
        (
            Cell(title, bar=float(count / tokens) if tokens else None),
            Cell(f"{count:,}"),
            Cell(percent(float(count / tokens)) if tokens else None),
        )
        for title, count in parts
        if count
    ]
    rows += [
        (Cell(f"Tools: {unit.replace('_', ' ')}"), Cell(f"{count:,f}"), Cell("", tone="quiet"))
        for unit, count in inside.units
        if unit not in known_units
    ]
    csv = Csv(("unit", "count"), [{"unit": unit, "count": str(count)} for unit, count in inside.units])
    columns = (Column("Part", "left"), Column("Units"), Column("Of all tokens"))
    return Table("units", "What calls are made of", columns, tuple(rows), csv)


def _endings(inside: Anatomy) -> Table:
    most = max((one.cost_nano for one in inside.endings), default=0)
    rows = [
        (
            Cell(_ENDED.get(one.status, one.status), bar=one.cost_nano / most if most else None),
            Cell(f"{one.calls:,}"),
            Cell(known(one.cost_nano, one.unknown), why=WHY),
            Cell(percent(one.cost_nano / inside.cost_nano) if inside.cost_nano else ""),
        )
        for one in inside.endings
    ]
    if inside.again_calls:
        share = percent(inside.again_nano / inside.cost_nano) if inside.cost_nano else ""
        rows.append(
            (
                Cell("tried again", "in a second attempt or a later one, among those above"),
                Cell(f"{inside.again_calls:,}"),
                Cell(dollar_text(inside.again_nano)),
                Cell(share),
            )
        )
    documents = inside.as_json()["endings"]
    assert isinstance(documents, list)
    csv = Csv(("status", "calls", "cost", "unknown_cost_calls"), documents)
    columns = (Column("Ended", "left"), Column("Calls"), Column("Cost"), Column("Of the cost"))
    return Table("endings", "How calls ended", columns, tuple(rows), csv)


PAGE = Page("/spend", "spend", "Spend", Right.READ, view, narrows=True)
