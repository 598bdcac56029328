"""Charts of figures over time and of their parts, as Vega-Lite specifications.

Numbers become floats here and only here: a picture rounds, the table beside it does not.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import accumulate

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


def is_broken(points: Sequence[Point]) -> bool:
    """Some periods have a figure, and some have none."""
    return len({one.value is None for one in points}) == 2


def _runs(has: Sequence[bool]) -> list[int]:
    """Which run each belongs to: a new one begins with each that has nothing.

    >>> _runs([True, True, False, True, False])
    [0, 0, 1, 1, 2]
    """
    return list(accumulate(int(not one) for one in has))


def _panel(
    line: Line, colours: Colours, frame: Frame, height: int, colour: str, *, is_last: bool
) -> dict[str, Json]:
    times: list[Json] = [one.at for one in line.points]
    values = _values(line.points)
    return {
        "width": frame.width,
        "height": height,
        "data": {"values": values or [{"at": one} for one in times]},
        "encoding": {
            "x": _days(times, frame, is_labelled=is_last),
            "y": {
                "field": "value",
                "type": "quantitative",
                "title": line.title,
                "scale": {"domain": [0, _ceiling(line.points) * 1.05 or 1], "nice": True, "clamp": True},
                "axis": {
                    **_money_axis(frame, colours),
                    **({} if values else {"labels": False, "grid": False}),
                },
            },
        },
        "layer": _line(colour, len(values)) if values else _nothing(line.absent, height, colours),
    }


def _values(points: Sequence[Point]) -> list[Json]:
    """What is drawn of each point: ``run`` parts the line, and ``span`` its band, where nothing is known."""
    runs = _runs([one.value is not None for one in points])
    has_band = [None not in (one.value, one.low, one.high) for one in points]
    spans = _runs(has_band)
    wide = Counter(span for span, has in zip(spans, has_band, strict=True) if has)
    return [
        {
            "at": one.at,
            "value": one.value,
            "low": one.low,
            "high": one.high,
            "said": one.said,
            "run": run,
            "span": span,
            "is_alone": wide[span] == 1,
        }
        for one, run, span in zip(points, runs, spans, strict=True)
        if one.value is not None
    ]


def _ceiling(points: Sequence[Point]) -> float:
    """The highest that is drawn: of the points, and of their intervals as far as these are."""
    highest = max((one.value for one in points if one.value is not None), default=1.0)
    highs = [one.high for one in points if one.value is not None and one.high is not None]
    return max([highest, *(min(high, BAND_MAX * highest) for high in highs)])


def _days(times: list[Json], frame: Frame, *, is_labelled: bool) -> Json:
    """The axis of days, from the first to the last."""
    is_monthly = len(times) > 1 and all(str(one).endswith("-01") for one in times)
    return {
        "field": "at",
        "type": "temporal",
        "timeUnit": {"unit": "yearmonthdate", "utc": True},
        "title": None,
        "scale": {"type": "utc", "domain": [_utc(times[0]), _utc(times[-1])] if len(times) > 1 else None},
        "axis": {
            **_time(times, is_monthly, frame),
            "labels": is_labelled,
            "ticks": is_labelled,
            "domain": is_labelled,
        },
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
    """The band of intervals, the line, and its points; broken where a period in between has no figure."""
    band: dict[str, Json] = {"opacity": 0.13, "color": colour, "clip": True}
    has_band = "isValid(datum.low) && isValid(datum.high)"
    ends: dict[str, Json] = {"y": {"field": "low", "type": "quantitative"}, "y2": {"field": "high"}}
    return [
        {
            "transform": [{"filter": has_band}],
            "mark": {"type": "area", "interpolate": "monotone", **band},
            "encoding": {**ends, "detail": {"field": "span"}},
        },
        {
            "transform": [{"filter": f"datum.is_alone && {has_band}"}],
            "mark": {"type": "rule", "strokeWidth": 5, **band},
            "encoding": ends,
        },
        {
            "mark": {"type": "line", "color": colour, "strokeWidth": 2, "interpolate": "monotone"},
            "encoding": {"detail": {"field": "run"}},
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
    times = sorted({one.at for one in parts})
    width = max(2.0, min(40.0, 0.72 * frame.width / max(1, _slots(times, grain))))
    return {
        "$schema": SCHEMA,
        "width": frame.width,
        "height": frame.height,
        "padding": {"left": 4, "right": 4, "top": 4, "bottom": 4},
        "background": None,
        "data": {"values": values},
        "mark": {"type": "bar", "width": width, "cornerRadiusEnd": 1},
        "encoding": {
            "x": _grains(times, grain, frame, width),
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
                "scale": {"domain": [*order], "range": [SERIES[colours.name][ink] for ink in inks]},
                "legend": None,
            },
            "order": {"field": "rank", "type": "quantitative"},
            "tooltip": {"field": "said"},
        },
        "config": config(colours),
    }


def _grains(times: Sequence[str], grain: str, frame: Frame, width: float) -> Json:
    """The axis of days, weeks or months, with room for the first and the last bar."""
    weeks: list[Json] = [*times] if grain == "week" else []
    return {
        "field": "at",
        "type": "temporal",
        "timeUnit": "utcyearmonth" if grain == "month" else "utcyearmonthdate",
        "title": None,
        "axis": _time(weeks, grain == "month", frame),
        "scale": {"type": "utc", "padding": width},
    }


def _slots(times: Sequence[str], grain: str) -> int:
    if len(times) < 2:
        return 12
    span = (date.fromisoformat(times[-1]) - date.fromisoformat(times[0])).days
    return max(len(times), span // {"day": 1, "week": 7, "month": 30}[grain] + 1)


def _utc(day: Json) -> Json:
    when = date.fromisoformat(str(day))
    return {"year": when.year, "month": when.month, "date": when.day, "utc": True}


def _time(times: Sequence[Json], is_monthly: bool, frame: Frame) -> dict[str, Json]:
    """The axis of time: a label a point where there is room, else every second, third or further one."""
    count = 10 if frame.width > 500 else 4
    step = -(-len(times) // count)
    months = "utcmonth(datum.value) == 0 ? utcFormat(datum.value, '%Y') : utcFormat(datum.value, '%b')"
    return {
        "grid": False,
        "labelFlush": True,
        "labelOverlap": True,
        "labelSeparation": 8,
        "labelExpr": months if is_monthly else "utcFormat(datum.value, '%-d %b')",
        **({"values": [_utc(one) for one in times[::step]]} if len(times) > 1 else {"tickCount": count}),
    }


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
