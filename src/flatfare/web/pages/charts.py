"""Charts of figures over time and of their parts, as Vega-Lite specifications.

Numbers become floats here and only here: a picture rounds, the table beside it does not.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from flatfare.core.money import NANO
from flatfare.web.frames import MONEY, SCHEMA, SERIES, Colours, Frame, Json, Spec, config


@dataclass(frozen=True, slots=True)
class Point:
    """One figure at one time, with the ends of its interval where it has one."""

    at: str
    value: float | None
    low: float | None = None
    high: float | None = None
    said: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a whole at one time."""

    at: str
    series: str
    value: float
    said: str = ""


def dollars(nano: int | float | None) -> float | None:
    """Nano-dollars as a picture has them."""
    return None if nano is None else nano / NANO


@dataclass(frozen=True, slots=True)
class Line:
    """One line over time: its points, what they are, and what is said where there is none."""

    points: Sequence[Point]
    title: str
    absent: tuple[str, ...] = ()  # in as many lines


BAND_MAX = 1.4
"""So many times the highest point a band is drawn; beyond that it would press the line flat."""


def two_lines(upper: Line, lower: Line, colours: Colours, frame: Frame) -> Spec:
    """Two lines over the same time, one above the other: what an outcome costs, and what tokens cost."""
    height = (frame.height - 44) // 2
    panels: list[Json] = [
        _panel(upper, colours, frame, height, colours.accent, is_last=False),
        _panel(lower, colours, frame, height, colours.point, is_last=True),
    ]
    return {
        "$schema": SCHEMA,
        "padding": {"left": 4, "right": 4, "top": 4, "bottom": 4},
        "background": None,
        "spacing": 30,
        "vconcat": panels,
        "config": config(colours),
    }


def band_goes_beyond(points: Sequence[Point]) -> bool:
    """An interval ends above what is drawn."""
    highest = max((one.value for one in points if one.value is not None), default=0.0)
    return any(one.high is not None and one.high > BAND_MAX * highest for one in points)


def _panel(
    line: Line, colours: Colours, frame: Frame, height: int, colour: str, *, is_last: bool
) -> dict[str, Json]:
    points = line.points
    values: list[Json] = [
        {"at": one.at, "value": one.value, "low": one.low, "high": one.high, "said": one.said}
        for one in points
        if one.value is not None
    ]
    highest = max((one.value for one in points if one.value is not None), default=1.0)
    ceiling = max(
        (
            min(one.high, BAND_MAX * highest)
            for one in points
            if one.value is not None and one.high is not None
        ),
        default=highest,
    )
    times: list[Json] = [one.at for one in points]
    x: Json = {
        "field": "at",
        "type": "temporal",
        "timeUnit": {"unit": "yearmonthdate", "utc": True},
        "title": None,
        "scale": {"type": "utc", "domain": [_utc(times[0]), _utc(times[-1])] if len(times) > 1 else None},
        "axis": {
            **_time(times, _is_monthly([one.at for one in points]), frame),
            "labels": is_last,
            "ticks": is_last,
            "domain": is_last,
        },
    }
    y: Json = {
        "field": "value",
        "type": "quantitative",
        "title": line.title,
        "scale": {"domain": [0, max(highest, ceiling) * 1.05 or 1], "nice": True, "clamp": True},
        "axis": {**_money_axis(frame, colours), **({} if values else {"labels": False, "grid": False})},
    }
    return {
        "width": frame.width,
        "height": height,
        "data": {"values": values or [{"at": one} for one in times]},
        "encoding": {"x": x, "y": y},
        "layer": _line(colour, len(values)) if values else _nothing(line.absent, height, colours),
    }


def _nothing(lines: tuple[str, ...], height: int, colours: Colours) -> list[Json]:
    """A sentence in the middle of a panel that has nothing to draw; its axes stay."""
    return [
        {"mark": {"type": "point", "opacity": 0}},
        {
            "data": {"values": [{}]},
            "mark": {"type": "text", "text": [*lines], "color": colours.muted, "fontSize": 13},
            "encoding": {"x": {"value": {"expr": "width / 2"}}, "y": {"value": height / 2 - 16}},
        },
    ]


def _line(colour: str, count: int) -> list[Json]:
    """The band of intervals, the line, and its points."""
    return [
        {
            "transform": [{"filter": "isValid(datum.low) && isValid(datum.high)"}],
            "mark": {
                "type": "area",
                "opacity": 0.13,
                "color": colour,
                "interpolate": "monotone",
                "clip": True,
            },
            "encoding": {"y": {"field": "low", "type": "quantitative"}, "y2": {"field": "high"}},
        },
        {
            "mark": {"type": "line", "color": colour, "strokeWidth": 2, "interpolate": "monotone"},
        },
        {
            "mark": {
                "type": "point",
                "filled": True,
                "color": colour,
                "size": 44 if count < 40 else 16,
                "opacity": 1,
            },
            "encoding": {"tooltip": {"field": "said"}, "description": {"field": "said"}},
        },
    ]


def stacked(
    parts: Sequence[Part],
    order: Sequence[str],
    inks: Sequence[int],
    colours: Colours,
    frame: Frame,
    grain: str,
) -> Spec:
    """Amounts over time, each bar made of its parts; ``order`` names the series, each with its ink."""
    scale = [SERIES[colours.name][ink] for ink in inks]
    values: list[Json] = [
        {
            "at": one.at,
            "series": one.series,
            "value": one.value,
            "said": one.said,
            "rank": order.index(one.series),
        }
        for one in parts
        if one.series in order
    ]
    times: list[Json] = [*sorted({one.at for one in parts})]
    unit = {"day": "utcyearmonthdate", "week": "utcyearmonthdate", "month": "utcyearmonth"}[grain]
    width = max(2.0, min(40.0, 0.72 * frame.width / max(1, _slots([str(one) for one in times], grain))))
    names: list[Json] = [*order]
    ranges: list[Json] = [*scale]
    return {
        "$schema": SCHEMA,
        "width": frame.width,
        "height": frame.height,
        "padding": {"left": 4, "right": 4, "top": 4, "bottom": 4},
        "background": None,
        "data": {"values": values},
        "mark": {"type": "bar", "width": width, "cornerRadiusEnd": 1},
        "encoding": {
            "x": {
                "field": "at",
                "type": "temporal",
                "timeUnit": unit,
                "title": None,
                "axis": _time(times if grain == "week" else [], grain == "month", frame),
                "scale": {"type": "utc", "padding": width},
            },
            "y": {
                "field": "value",
                "type": "quantitative",
                "stack": "zero",
                "title": "Spend",
                "axis": _money_axis(frame, colours),
            },
            "color": {
                "field": "series",
                "type": "nominal",
                "scale": {"domain": names, "range": ranges},
                "legend": None,
            },
            "order": {"field": "rank", "type": "quantitative"},
            "tooltip": {"field": "said"},
        },
        "config": config(colours),
    }


def _slots(times: Sequence[str], grain: str) -> int:
    if len(times) < 2:
        return 12
    from datetime import date

    span = (date.fromisoformat(times[-1]) - date.fromisoformat(times[0])).days
    return max(len(times), span // {"day": 1, "week": 7, "month": 30}[grain] + 1)


def _utc(day: Json) -> Json:
    year, month, date = (int(part) for part in str(day).split("-"))
    return {"year": year, "month": month, "date": date, "utc": True}


def _time(times: Sequence[Json], is_monthly: bool, frame: Frame) -> dict[str, Json]:
    """The axis of time: a label a point where there is room, else every second, third or further one."""
    count = 10 if frame.width > 500 else 4
    step = -(-len(times) // count)
    months = "utcmonth(datum.value) == 0 ? utcFormat(datum.value, '%Y') : utcFormat(datum.value, '%b')"
    return {
        "grid": False,
        "labelFlush": True,
        "labelOverlap": True,
        "labelExpr": months if is_monthly else "utcFormat(datum.value, '%-d %b')",
        **({"values": [_utc(one) for one in times[::step]]} if len(times) > 1 else {"tickCount": count}),
    }


def _is_monthly(times: Sequence[str]) -> bool:
    return len(times) > 1 and all(one.endswith("-01") for one in times)


def _money_axis(frame: Frame, colours: Colours) -> dict[str, Json]:
    return {
        "labelExpr": MONEY,
        "tickCount": 4,
        "domain": False,
        "ticks": False,
        "minExtent": 52 if frame.width > 500 else 44,
        "maxExtent": 52 if frame.width > 500 else 44,
        "titleAngle": 0,
        "titleAlign": "left",
        "titleBaseline": "bottom",
        "titleAnchor": "end",
        "titleX": -52 if frame.width > 500 else -44,
        "titleY": -8,
        "titleColor": colours.text,
        "titleFontWeight": 600,
    }
