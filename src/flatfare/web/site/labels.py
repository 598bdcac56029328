"""Placing names beside the points of a chart so that none covers another.

Names are offered in order of weight; one that fits nowhere is left out, since the
table below the chart names every point.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

CHARACTER_WIDTH = 6.8  # of the 12 pixel sans-serif the charts use, on the wide side
LINE_HEIGHT = 15.0
POINT_RADIUS = 8.0


@dataclass(frozen=True, slots=True)
class Spot:
    """A point of the chart in pixels, and the names it would like to carry, the best first."""

    x: float
    y: float
    texts: tuple[str, ...] = ()
    is_main: bool = False  # rather named from further off than with a piece of its name


@dataclass(frozen=True, slots=True)
class Side:
    """A place beside a point: an offset from it, and on which end the text is anchored."""

    dx: float
    dy: float
    align: str  # left, right, center


@dataclass(frozen=True, slots=True)
class Placed:
    """A name and where it stands."""

    text: str
    side: Side


Box = tuple[float, float, float, float]
"""Left, top, right and bottom."""

SIDES = (  # between the arms of the intervals first, then beside them, then further off
    Side(7, -11, "left"),
    Side(-7, -11, "right"),
    Side(7, 12, "left"),
    Side(-7, 12, "right"),
    Side(11, 0, "left"),
    Side(-11, 0, "right"),
    Side(7, 27, "left"),
    Side(7, -26, "left"),
    Side(-7, 27, "right"),
    Side(-7, -26, "right"),
    Side(0, -15, "center"),  # on the arm itself: where nothing else is free
    Side(0, 16, "center"),
)
"""Where a name may stand, the best place first."""

PLACES = (*SIDES, Side(7, 41, "left"), Side(-7, 41, "right"))
"""Where the name of a main point may stand: also further off."""


def place(
    spots: Sequence[Spot], width: float, height: float, obstacles: Sequence[Box] = ()
) -> dict[int, Placed]:
    """For each spot whose name fits, by its position, where the name stands; the first spots choose first.

    A name keeps clear of every point, of the names before it, and of the obstacles.

    >>> place([Spot(10, 50, ("near",)), Spot(90, 50, ("beside",))], 400, 100)[0]
    Placed(text='near', side=Side(dx=7, dy=-11, align='left'))
    """
    points = [_around(spot) for spot in spots]
    taken = list(obstacles)
    placed = {}
    for at, spot in enumerate(spots):
        others = [*taken, *points[:at], *points[at + 1 :]]
        for text, side in product(filter(None, spot.texts), PLACES if spot.is_main else SIDES):
            box = _box(spot, text, side)
            if _is_inside(box, width, height) and not any(_overlap(box, other) for other in others):
                placed[at] = Placed(text, side)
                taken.append(box)
                break
    return placed


def _around(spot: Spot) -> Box:
    return (spot.x - POINT_RADIUS, spot.y - POINT_RADIUS, spot.x + POINT_RADIUS, spot.y + POINT_RADIUS)


def _box(spot: Spot, text: str, side: Side) -> Box:
    length = len(text) * CHARACTER_WIDTH
    left = {"left": 0.0, "right": -length, "center": -length / 2}[side.align] + spot.x + side.dx
    middle = spot.y + side.dy
    return (left, middle - LINE_HEIGHT / 2, left + length, middle + LINE_HEIGHT / 2)


def _is_inside(box: Box, width: float, height: float) -> bool:
    return box[0] >= 0 and box[1] >= 0 and box[2] <= width and box[3] <= height


def _overlap(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
