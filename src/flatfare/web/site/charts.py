"""The signature chart as a Vega-Lite spec, and its drawing as SVG without a browser or a network.

Cost per verified outcome on a log axis against the success rate, with intervals both
ways and the frontier. Numbers become floats here and only here: a picture rounds.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from flatfare.core.money import NANO
from flatfare.service.leaderboard.ranking import Board, Place, Standing
from flatfare.service.leaderboard.wording import title_of
from flatfare.web.frames import MONEY, SCHEMA, SHARE, Colours, Frame, Json, Spec, config
from flatfare.web.site.labels import PLACES, Box, Spot, place

FEW_POINTS = 8
"""A picture of no more points names every one of them that it has room for."""

WIDE = Frame("wide", 984, 460)
NARROW = Frame("narrow", 296, 340, left=46, right=16, label_length=26, labels=4)


@dataclass(frozen=True, slots=True)
class Axes:
    """The ranges that the axes span: cost in dollars, on a log scale, and success rate."""

    low: float
    high: float
    bottom: float
    top: float

    def x(self, dollars: float) -> float:
        """Where an amount lies, from 0 at the left to 1 at the right."""
        return math.log(dollars / self.low) / math.log(self.high / self.low)

    def y(self, rate: float) -> float:
        """Where a rate lies, from 0 at the top to 1 at the bottom."""
        return (self.top - rate) / (self.top - self.bottom)


def drawn(board: Board) -> list[Standing]:
    """The standings that have a place on the chart: a cost above zero, and enough successes for a price."""
    shown = (*board.ranked, *board.at(Place.UNKNOWN_COST))
    return [standing for standing in shown if standing.spend_nano and standing.cost_per_verified_nano]


def axes_of(standings: Sequence[Standing]) -> Axes:
    """Axes that hold every point and interval, with a little room."""
    costs = [end for standing in standings for end in _cost_ends(standing) if end > 0]
    rates = [end for standing in standings for end in _rate_ends(standing)]
    room = max((max(costs) / min(costs)) ** 0.05, 1.15)
    bottom = max(0.0, math.floor(min(rates) * 10 - 0.2) / 10)
    return Axes(min(costs) / room, max(costs) * room, bottom, min(1.0, math.ceil(max(rates) * 10 + 0.2) / 10))


def signature(board: Board, colours: Colours, frame: Frame) -> Spec:
    """The spec of a board's chart."""
    standings = drawn(board)
    axes = axes_of(standings)
    return _picture(
        frame,
        colours,
        {
            "data": {"values": _values(standings, axes, frame)},
            "encoding": {"x": _cost_axis(axes, frame), "y": _rate_axis(axes, frame)},
            "layer": _layers(colours),
        },
    )


def _picture(frame: Frame, colours: Colours, parts: Mapping[str, Json]) -> Spec:
    """The parts in their frame: its room holds what stands beside the plot."""
    return {
        "$schema": SCHEMA,
        "width": frame.width,
        "height": frame.height,
        "autosize": {"type": "none", "contains": "content"},
        "padding": {"left": frame.left, "right": frame.right, "top": frame.top, "bottom": frame.bottom},
        "background": None,
        **parts,
        "config": config(colours),
    }


def _cost_axis(axes: Axes, frame: Frame) -> Json:
    return {
        "field": "cost",
        "type": "quantitative",
        "title": "Cost per verified outcome, US dollars, log scale",
        "scale": {"type": "log", "domain": [axes.low, axes.high], "nice": False},
        "axis": {"values": _ticks(axes.low, axes.high, frame), "labelExpr": MONEY, "grid": False},
    }


def _rate_axis(axes: Axes, frame: Frame) -> Json:
    return {
        "field": "rate",
        "type": "quantitative",
        "title": "Success rate",
        "scale": {"domain": [axes.bottom, axes.top], "nice": False, "zero": False},
        "axis": {
            "labelExpr": SHARE,
            "tickCount": 6,
            "domain": False,
            "ticks": False,
            "titleAngle": 0,
            "titleAlign": "left",
            "titleBaseline": "top",
            "titleX": -frame.left + 12,
            "titleY": -frame.top + 2,
        },
    }


def points(board: Board, frame: Frame) -> dict[str, tuple[float, float]]:
    """Where each drawn path lies on the whole picture, as shares of its width and height."""
    standings = drawn(board)
    if not standings:
        return {}
    axes = axes_of(standings)
    found = {}
    for standing in standings:
        x = frame.left + axes.x(_dollars(standing.cost_per_verified_nano)) * frame.width
        y = frame.top + axes.y(standing.success_rate or 0) * frame.height
        found[standing.showing.path] = (x / frame.full_width, y / frame.full_height)
    return found


def overview(boards: Sequence[Board], colours: Colours, frame: Frame) -> Spec:
    """One line a board: every ranked path as a tick at its cost, the cheapest marked."""
    values = [
        (title_of(board), _dollars(standing.cost_per_verified_nano), standing.is_tied_for_first)
        for board in boards
        for standing in board.ranked
        if standing.cost_per_verified_nano
    ]
    low = min(dollars for _, dollars, _ in values) / 1.3
    high = max(dollars for _, dollars, _ in values) * 1.3
    x: Json = {
        "field": "cost",
        "type": "quantitative",
        "title": "Cost per verified outcome, US dollars, log scale"
        if frame.name == "wide"
        else "US dollars, log scale",
        "scale": {"type": "log", "domain": [low, high], "nice": False},
        "axis": {"values": _ticks(low, high, frame), "labelExpr": MONEY, "gridDash": [2, 3]},
    }
    names = list(dict.fromkeys(name for name, _, _ in values))
    y: Json = {"field": "board", "type": "nominal", "sort": [*names], "title": None, "axis": None}
    tick: Json = {"type": "tick", "thickness": 2, "height": 14, "color": colours.point, "opacity": 0.75}
    first: Json = {"type": "point", "filled": True, "size": 90, "color": colours.accent, "opacity": 1}
    rows: list[Json] = [{"board": name, "cost": cost, "is_first": tied} for name, cost, tied in values]
    return _picture(
        frame,
        colours,
        {
            "data": {"values": rows},
            "encoding": {"y": y},
            "layer": [
                {"transform": [{"filter": "!datum.is_first"}], "mark": tick, "encoding": {"x": x}},
                {"transform": [{"filter": "datum.is_first"}], "mark": first, "encoding": {"x": x}},
                _row_names(names, colours, frame),
            ],
        },
    )


def _row_names(names: Sequence[str], colours: Colours, frame: Frame) -> Json:
    """The boards' names: left of their lines, or above them where there is no room."""
    is_wide = frame.name == "wide"
    return {
        "data": {"values": [{"board": name} for name in names]},
        "mark": {
            "type": "text",
            "align": "right" if is_wide else "left",
            "baseline": "middle",
            "x": -14 if is_wide else 0,
            "dy": 0 if is_wide else -15,
            "fontSize": 13 if is_wide else 12,
            "color": colours.text,
            "limit": frame.left - 14 if is_wide else frame.width,
        },
        "encoding": {"text": {"field": "board"}},
    }


def _values(standings: Sequence[Standing], axes: Axes, frame: Frame) -> list[Json]:
    """A row a point, with its ends and the place of its name."""
    by_weight = sorted(
        range(len(standings)),
        key=lambda at: (not standings[at].is_on_frontier, standings[at].rank_from is None, at),
    )
    names_max = max(frame.labels, FEW_POINTS if len(standings) <= FEW_POINTS else 0)
    spots = [
        _spot(standings[at], axes, frame, is_named=rank < names_max) for rank, at in enumerate(by_weight)
    ]
    drawn_too = [*_frontier_boxes(standings, axes, frame), *_arrow_boxes(standings, axes, frame)]
    names = {by_weight[at]: name for at, name in place(spots, frame.width, frame.height, drawn_too).items()}
    rows: list[Json] = []
    for at, standing in enumerate(standings):
        low, high = _cost_ends(standing)
        rate_low, rate_high = _rate_ends(standing)
        name = names.get(at)
        side = name.side if name else None
        rows.append(
            {
                "path": standing.showing.path,
                "label": name.text if name else "",
                "dx": side.dx if side else 0,
                "dy": side.dy if side else 0,
                "align": side.align if side else "left",
                "cost": _dollars(standing.cost_per_verified_nano),
                "low": low,
                "high": high,
                "rate": standing.success_rate,
                "rate_low": rate_low,
                "rate_high": rate_high,
                "kind": _kind(standing),
            }
        )
    return rows


def _spot(standing: Standing, axes: Axes, frame: Frame, *, is_named: bool) -> Spot:
    """A point with the names it may carry: its path, or for the frontier rather a piece of it than none."""
    x = axes.x(_dollars(standing.cost_per_verified_nano)) * frame.width
    y = axes.y(standing.success_rate or 0) * frame.height
    lengths = (
        (frame.label_length, frame.label_length // 2) if standing.is_on_frontier else (frame.label_length,)
    )
    names = tuple(_cut(standing.showing.path, length) for length in lengths) if is_named else ()
    return Spot(x, y, names, standing.is_on_frontier)


def _frontier_boxes(standings: Sequence[Standing], axes: Axes, frame: Frame) -> list[Box]:
    """The frontier's steps as thin boxes, which names keep clear of."""
    corners = sorted(
        (_spot(standing, axes, frame, is_named=False) for standing in standings if standing.is_on_frontier),
        key=lambda spot: spot.x,
    )
    return [
        box
        for spot, after in pairwise(corners)
        for box in (
            (spot.x, spot.y - 1, after.x, spot.y + 1),
            (after.x - 1, after.y, after.x + 1, spot.y),
        )
    ]


def _arrow_boxes(standings: Sequence[Standing], axes: Axes, frame: Frame) -> list[Box]:
    """The arrows of lower bounds."""
    spots = [
        _spot(standing, axes, frame, is_named=False)
        for standing in standings
        if standing.place is not Place.RANKED
    ]
    return [(spot.x, spot.y - 5, spot.x + 18, spot.y + 5) for spot in spots]


def _kind(standing: Standing) -> str:
    if standing.place is not Place.RANKED:
        return "at least"
    return "frontier" if standing.is_on_frontier else "other"


def _layers(colours: Colours) -> list[Json]:
    ink: Json = {
        "condition": {"test": "datum.kind === 'frontier'", "value": colours.accent},
        "value": colours.point,
    }
    fade: Json = {"condition": {"test": "datum.kind === 'frontier'", "value": 0.6}, "value": 0.32}
    across: Json = {
        "transform": [{"filter": "datum.kind !== 'at least'"}],
        "mark": {"type": "rule", "strokeWidth": 1.4},
        "encoding": {"x": {"field": "low"}, "x2": {"field": "high"}, "color": ink, "opacity": fade},
    }
    upright: Json = {
        "mark": {"type": "rule", "strokeWidth": 1.4},
        "encoding": {"y": {"field": "rate_low"}, "y2": {"field": "rate_high"}, "color": ink, "opacity": fade},
    }
    line: Json = {
        "transform": [{"filter": "datum.kind === 'frontier'"}],
        "mark": {"type": "line", "interpolate": "step-after", "strokeWidth": 2, "color": colours.accent},
        "encoding": {"order": {"field": "cost"}},
    }
    dots: Json = {
        "transform": [{"filter": "datum.kind !== 'at least'"}],
        "mark": {"type": "point", "filled": True, "opacity": 1, "stroke": colours.paper, "strokeWidth": 1.5},
        "encoding": {
            "color": ink,
            "size": {"condition": {"test": "datum.kind === 'frontier'", "value": 110}, "value": 64},
            "description": {"field": "path"},
        },
    }
    return [across, upright, line, *_at_least(colours), dots, *_names(colours)]


def _at_least(colours: Colours) -> list[Json]:
    """Lower bounds: a hollow point, and an arrow to the right of it."""
    only: Json = [{"filter": "datum.kind === 'at least'"}]
    return [
        {
            "transform": only,
            "mark": {"type": "text", "text": "→", "dx": 10, "fontSize": 13, "color": colours.point},
        },
        {
            "transform": only,
            "mark": {
                "type": "point",
                "filled": True,
                "fill": colours.paper,
                "stroke": colours.point,
                "strokeWidth": 1.5,
                "opacity": 1,
                "size": 52,
            },
            "encoding": {"description": {"field": "path"}},
        },
    ]


def _names(colours: Colours) -> list[Json]:
    """For each side a name may stand on, its paper and its ink: a mark's offset is no encoding."""
    layers: list[Json] = []
    for side in PLACES:
        mark: dict[str, Json] = {
            "type": "text",
            "align": side.align,
            "baseline": "middle",
            "dx": side.dx,
            "dy": side.dy,
            "fontSize": 12,
        }
        only: Json = [
            {
                "filter": f"datum.label !== '' && datum.dx === {side.dx} && datum.dy === {side.dy}"
                f" && datum.align === '{side.align}'"
            }
        ]
        paper: Json = {
            **mark,
            "stroke": colours.paper,
            "strokeWidth": 4,
            "strokeJoin": "round",
            "aria": False,
        }
        layers.append({"transform": only, "mark": paper, "encoding": {"text": {"field": "label"}}})
        ink: Json = {
            "condition": {"test": "datum.kind === 'frontier'", "value": colours.text},
            "value": colours.muted,
        }
        layers.append(
            {"transform": only, "mark": mark, "encoding": {"text": {"field": "label"}, "color": ink}}
        )
    return layers


def _ticks(low: float, high: float, frame: Frame) -> list[Json]:
    """Round amounts inside the range: 1, 2 and 5 of each ten, fewer where there are too many."""
    most = 12 if frame.width > 500 else 5
    for steps in ((1, 2, 5), (1, 3), (1,)):
        found: list[Json] = [
            step * 10.0**power
            for power in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
            for step in steps
            if low <= step * 10.0**power <= high
        ]
        if len(found) <= most:
            return found
    return found


def _cost_ends(standing: Standing) -> tuple[float, float]:
    point = _dollars(standing.cost_per_verified_nano)
    interval = standing.ratio.interval if standing.ratio else None
    if interval is None:
        return point, point
    high = point if interval.high is None else interval.high / NANO
    return max(interval.low / NANO, point / 20), min(high, point * 20)


def _rate_ends(standing: Standing) -> tuple[float, float]:
    rate = standing.rate
    point = standing.success_rate or 0.0
    return (rate.low, rate.high if rate.high is not None else 1.0) if rate else (point, point)


def _dollars(nano: int | None) -> float:
    return (nano or 0) / NANO


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"
