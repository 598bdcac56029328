"""A report as a picture by itself, for a file: the same charts as on the pages, with their title and key.

By path it is what an outcome costs against how often there is one; by time the price of outcomes
and of tokens; else a bar a group. What cannot be drawn is said, never drawn as zero.
"""

from collections.abc import Sequence
from dataclasses import replace

from flatfare.config import Settings
from flatfare.core.errors import BadInput, BadUsage
from flatfare.core.money import NANO
from flatfare.gateway.keyring import KeyRing
from flatfare.service.reporting import Report, Row
from flatfare.service.reporting.document import shown_cost
from flatfare.service.reporting.extent import Extent
from flatfare.service.reporting.keys import PERIODS
from flatfare.service.reporting.wording import MISSING, headline, money
from flatfare.store.book import Book
from flatfare.store.lake import Lake
from flatfare.web.access import Right, Visitor
from flatfare.web.desk import Books
from flatfare.web.frames import LIGHT, SCHEMA, Colours, Frame, Json, Spec, config, svg
from flatfare.web.pages.asking import Asking
from flatfare.web.pages.drawing import PNG_SCALE
from flatfare.web.pages.outcomes import frontier
from flatfare.web.pages.over_time import prices_over_time
from flatfare.web.pages.page import Visit
from flatfare.web.pages.periods import ALL, CUSTOM, Period

ENDINGS = ("svg", "png")
BARS_MAX = 30
"""Bars beyond these are left out, and how many is said."""

_BAR_STEP = 26


def checked_ending(file_name: str) -> str:
    """How the picture is written, from its file's name; ``BadUsage`` names the endings there are."""
    ending = file_name.rpartition(".")[2].lower() if "." in file_name else ""
    if ending not in ENDINGS:
        raise BadUsage(f"Found the chart's file {file_name!r}: its name ends in .svg or .png.")
    return ending


def picture_of(found: Report, book: Book, lake: Lake, settings: Settings, zone: str, ending: str) -> bytes:
    """The report drawn, as SVG or PNG.

    ``BadUsage`` where the extra that draws is not installed, ``BadInput`` where there is nothing to draw.
    """
    spec = spec_of(found, _visit(found, book, lake, settings, zone), LIGHT)
    drawn = svg({**spec, "background": LIGHT.paper})
    if ending == "svg":
        return drawn.encode()
    import vl_convert

    return bytes(vl_convert.svg_to_png(drawn, scale=PNG_SCALE))


def spec_of(found: Report, visit: Visit, colours: Colours) -> Spec:
    """The chart that suits what the report is grouped by."""
    key = found.by[0]
    drawn: Spec | None = None
    if len(found.by) == 1 and key in PERIODS:
        drawn = _over_time(found, visit, key, colours)
    elif len(found.by) == 1 and key == "path":
        drawn = _frontier(found, visit, key, colours)
    return drawn or bars(found, colours)


def _frontier(found: Report, visit: Visit, key: str, colours: Colours) -> Spec | None:
    chart = frontier(found, visit, key)
    if chart is None:
        return None
    spec = chart.draw(colours, chart.wide)
    room = chart.wide.top + 72  # for the title
    padding: Json = {"left": chart.wide.left, "right": chart.wide.right, "top": room, "bottom": 52}
    titled = {**spec, "padding": padding}
    return {**titled, "title": _title(chart.title, f"{chart.note} Green: the frontier.", colours, offset=38)}


def _over_time(found: Report, visit: Visit, grain: str, colours: Colours) -> Spec | None:
    rows = [replace(row, keys=(_first_month(row.keys[0]), *row.keys[1:])) for row in found.rows]
    plain = grain if grain in ("day", "week", "month") else "month"
    told = rows if plain != grain else found.rows
    chart = prices_over_time(replace(found, rows=tuple(sorted(told, key=_by_time))), visit, plain, grain)
    if chart is None:
        return None
    said = f"By {grain}; the band is the 95 % interval. As tokens get cheaper, does the work?"
    titled = {**chart.draw(colours, chart.wide), "title": _title(chart.title, said, colours, offset=30)}
    return {**titled, "padding": 16}


def _by_time(row: Row) -> str:
    return row.keys[0] or ""


def _first_month(text: str | None) -> str | None:
    """The month that a quarter or a year begins with: 2026-Q3 with 2026-07, 2026 with 2026-01."""
    if text is None or not (len(text) == 4 or "-Q" in text):
        return text
    year, _, quarter = text.partition("-Q")
    return f"{year}-{3 * int(quarter or 1) - 2:02}"


def bars(found: Report, colours: Colours) -> Spec:
    """A bar a group: its cost per verified outcome with the interval, or its spend where none has one."""
    own = [row for row in found.rows if not row.is_published]
    priced = [row for row in own if shown_cost(row) is not None]
    spent = [row for row in own if row.figures.spend_nano]
    shown = (priced or spent)[:BARS_MAX]
    if not shown:
        raise BadInput("There is nothing to draw: no group has a cost that is known.")
    what = "Cost per verified outcome" if priced else "Spend"
    left = len(own) - len(shown)
    said = "With 95 % intervals." if priced else "The known part."
    if left:
        said += (
            f" {left:,} more without one are not drawn." if len(priced) <= BARS_MAX else f" {left:,} more."
        )
    names = ", ".join(name.removeprefix("label.") for name in found.by)
    frame = Frame("bars", 720, _BAR_STEP * len(shown))
    return {
        **_bars([_bar(row, is_priced=bool(priced)) for row in shown], colours, frame),
        "title": _title(f"{what} by {names}", said, colours, offset=16),
    }


def _bar(row: Row, *, is_priced: bool) -> dict[str, Json]:
    cost = shown_cost(row) if is_priced else row.figures.spend_nano
    ratio = row.cost_per_verified
    interval = ratio.interval if ratio and is_priced else None
    high = None if interval is None or interval.high is None else interval.high / NANO
    name = " · ".join(MISSING if key is None else key for key in row.keys)
    return {
        "name": name,
        "value": (cost or 0) / NANO,
        "low": None if interval is None else interval.low / NANO,
        "high": high,
        "said": (headline(row) if is_priced else money(cost)) or MISSING,
    }


def _bars(rows: Sequence[dict[str, Json]], colours: Colours, frame: Frame) -> Spec:
    names: list[Json] = list(dict.fromkeys(str(row["name"]) for row in rows))
    tops = [float(str(row["high"] or row["value"])) for row in rows]
    highest = max(float(str(row["value"])) for row in rows)
    x: Json = {
        "field": "value",
        "type": "quantitative",
        "title": None,
        "scale": {"domain": [0, min(max(tops), 3 * highest) * 1.12 or 1], "clamp": True},
        "axis": {"format": "$,.6~f", "tickCount": 5, "domain": False, "ticks": False},
    }
    y: Json = {
        "field": "name",
        "type": "nominal",
        "sort": names,
        "title": None,
        "axis": {"domain": False, "ticks": False, "labelLimit": 280, "labelColor": colours.text},
    }
    quiet: Json = {"type": "rule", "color": colours.text, "opacity": 0.55, "strokeWidth": 1.4, "clip": True}
    ends: Json = {"x": {"field": "low", "type": "quantitative"}, "x2": {"field": "high"}}
    told: Json = {
        "type": "text",
        "align": "left",
        "baseline": "middle",
        "dx": 6,
        "dy": -7,
        "fontSize": 11,
        "color": colours.text,
    }
    values: list[Json] = [*rows]
    return {
        "$schema": SCHEMA,
        "width": frame.width,
        "height": frame.height,
        "padding": 16,
        "data": {"values": values},
        "encoding": {"y": y, "x": x},
        "layer": [
            {"mark": {"type": "bar", "color": colours.accent, "opacity": 0.75, "height": {"band": 0.62}}},
            {
                "transform": [{"filter": "isValid(datum.low) && isValid(datum.high)"}],
                "mark": quiet,
                "encoding": ends,
            },
            {"mark": told, "encoding": {"text": {"field": "said"}}},
        ],
        "config": config(colours),
    }


def _title(text: str, said: str, colours: Colours, *, offset: int) -> Json:
    return {
        "text": text,
        "subtitle": said,
        "anchor": "start",
        "offset": offset,
        "fontSize": 16,
        "color": colours.text,
        "subtitleColor": colours.muted,
        "subtitleFontSize": 12,
        "subtitlePadding": 6,
    }


def _visit(found: Report, book: Book, lake: Lake, settings: Settings, zone: str) -> Visit:
    """A look at the charts by who has the book itself."""
    is_all = found.since_us is None and found.until_us is None
    period = Period(ALL if is_all else CUSTOM, "", found.since_us, found.until_us)
    asking = Asking("/", (), period, zone)
    books = Books(book, lake, KeyRing(book), settings, found.as_of_us)
    return Visit(Visitor("", Right.READ), books, asking, Extent(None, None, 0, 0, 0, ()))
