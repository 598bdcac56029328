"""Reports by time, as charts read them: each period between the first and the last has its place.

Where a period has no figure a line is broken: what is not known is not drawn as if it lay between.
"""

from datetime import date, timedelta

from flatfare.core.money import NANO
from flatfare.core.statistics import MIN_SUCCESSES
from flatfare.service.reporting import Report, Row
from flatfare.service.reporting.document import csv_columns, previous_rows, rows_of, shown_cost
from flatfare.service.reporting.wording import headline, interval_text, money, percent
from flatfare.web.frames import Colours, Frame, Spec, frames
from flatfare.web.pages.blocks import Cell, Chart, Column, Csv, Key, Table
from flatfare.web.pages.charts import Line, Point, band_goes_beyond, dollars, is_broken, two_lines
from flatfare.web.pages.page import Visit


def lines(upper: list[Point], lower: list[Point], grain: str, step: str | None = None) -> tuple[Line, Line]:
    """What a verified outcome costs, and what tokens cost, as two lines to draw.

    ``step`` is how far a period is from the next, where they are not called by their own name.
    """
    upper, lower = (_without_holes(points, step or grain) for points in (upper, lower))
    few = (f"No {grain} has {MIN_SUCCESSES} verified at a known cost:", "too few to say what one costs")
    return (
        Line(upper, "Cost per verified outcome", few),
        Line(lower, "Price per million tokens", (f"No {grain} has tokens whose price is known",)),
    )


_MONTHS = {"month": 1, "quarter": 3, "year": 12}


def _without_holes(points: list[Point], step: str) -> list[Point]:
    """The points, with one that has no figure for each period between them of which nothing is told."""
    told = {point.at: point for point in points}
    if len(told) < 2:
        return points
    at, last = (date.fromisoformat(end) for end in (min(told), max(told)))
    filled = []
    while at < last:
        filled.append(told.get(at.isoformat(), Point(at.isoformat(), None)))
        at = _next(at, step)
    return [*filled, told[last.isoformat()]]


def _next(first: date, step: str) -> date:
    """The first day of the period after the one that begins on a day."""
    if step not in _MONTHS:
        return first + timedelta(days=7 if step == "week" else 1)
    month = first.month - 1 + _MONTHS[step]
    return date(first.year + month // 12, month % 12 + 1, 1)


def first_day(grain: str, text: str) -> str:
    """The first day of a period as reports name it: 2026-01-05, 2026-W02 or 2026-01."""
    if grain == "week":
        year, _, week = text.partition("-W")
        return date.fromisocalendar(int(year), int(week), 1).isoformat()
    return f"{text}-01" if grain == "month" else text


def last_day(grain: str, first: str) -> str:
    """The last day of the period that begins on a day."""
    day = date.fromisoformat(first)
    if grain == "week":
        return (day + timedelta(days=6)).isoformat()
    if grain == "month":
        return ((day.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)).isoformat()
    return first


def prices_over_time(found: Report, visit: Visit, grain: str, step: str | None = None) -> Chart | None:
    """What tokens cost against what a verified outcome costs; None where neither is known at two times.

    ``step`` is how far a period is from the next, where it is longer than the one it is named by.
    """
    rows = [row for row in found.rows if not row.is_published and row.keys[0] is not None]
    upper = [_outcome(row, grain) for row in rows]
    lower = [_tokens(row, grain) for row in rows]
    if sum(point.value is not None for point in upper) < 2 and sum(p.value is not None for p in lower) < 2:
        return None

    drawn = lines(upper, lower, grain, step)

    def draw(colours: Colours, frame: Frame) -> Spec:
        return two_lines(*drawn, colours, frame)

    wide, narrow = frames(320)
    return Chart(
        "prices",
        "Price of tokens against price of outcomes",
        draw,
        _alt(upper, lower, grain),
        wide,
        narrow,
        _table(found, visit, grain),
        (
            Key("accent", "cost per verified outcome, with its 95 % interval"),
            Key("point", "price per million tokens"),
        ),
        _note(drawn, grain),
    )


def _note(drawn: tuple[Line, Line], grain: str) -> str:
    """What the picture leaves out."""
    upper, lower = (line.points for line in drawn)
    said = []
    if is_broken(upper):
        few = f"fewer than {MIN_SUCCESSES} verified, or no known cost,"
        said.append(f"A {grain} with {few} has no point, and the line is broken there.")
    elif is_broken(lower):
        said.append(f"A {grain} without a price of tokens has no point, and the line is broken there.")
    if band_goes_beyond(upper):
        said.append("Where the band meets the upper edge it goes on beyond: see the table.")
    return " ".join(said)


def _outcome(row: Row, grain: str) -> Point:
    at = first_day(grain, row.keys[0] or "")
    cost = shown_cost(row)
    if cost is None:
        return Point(at, None)
    ratio = row.cost_per_verified
    interval = ratio.interval if ratio else None
    low = None if interval is None else interval.low / NANO
    high = None if interval is None or interval.high is None else interval.high / NANO
    said = (
        f"{row.keys[0]}: {headline(row)} per verified outcome (95 %: {interval_text(row)}), "
        f"{row.verified:,} verified"
    )
    return Point(at, dollars(cost), low, high, said)


def _tokens(row: Row, grain: str) -> Point:
    at = first_day(grain, row.keys[0] or "")
    price = row.price_per_million_nano
    return Point(at, dollars(price), said=f"{row.keys[0]}: {money(price)} per million tokens")


def _alt(upper: list[Point], lower: list[Point], grain: str) -> str:
    def span(points: list[Point]) -> str:
        known = [point for point in points if point.value is not None]
        if not known:
            return "not known"
        return f"from ${known[0].value:.4g} to ${known[-1].value:.4g}"

    return (
        f"Two lines, a point a {grain}: cost per verified outcome {span(upper)}, "
        f"price per million tokens {span(lower)}."
    )


def _table(found: Report, visit: Visit, grain: str) -> Table:
    before = previous_rows(found) or {}
    rows = []
    for row in found.rows:
        first = first_day(grain, row.keys[0]) if row.keys[0] else None
        href = visit.asking.url(period=None, since=first, until=last_day(grain, first)) if first else None
        former = before.get(row.keys)
        rows.append(
            (
                Cell(row.keys[0] or "not dated", href=href),
                Cell(headline(row), interval_text(row), why="/unknown", tone="strong"),
                Cell(money(row.price_per_million_nano)),
                Cell(percent(row.success_rate)),
                Cell(f"{row.verified:,}"),
                Cell(_moved(row, former)),
            )
        )
    titles = ("Per verified outcome", "Per million tokens", "Success", "Verified", "Against before")
    columns = (Column(grain, "left"), *(Column(title) for title in titles))
    csv = Csv(tuple(csv_columns(found)), rows_of(found))
    return Table("prices", "By " + grain, columns, tuple(rows), csv)


def _moved(row: Row, before: Row | None) -> str:
    now, former = shown_cost(row), shown_cost(before) if before else None
    return "" if now is None or not former else f"{100 * (now / former - 1):+.1f} %"
