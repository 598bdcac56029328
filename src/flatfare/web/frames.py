"""How large pictures are, in which inks they are drawn, and their drawing without a browser or a network.

The inks are those of the stylesheets.
"""

from dataclasses import dataclass, replace
from typing import TypeAlias

from flatfare.core.errors import BadUsage

Json: TypeAlias = "dict[str, Json] | list[Json] | str | float | int | bool | None"
Spec: TypeAlias = dict[str, Json]

SCHEMA = "https://vega.github.io/schema/vega-lite/v5.json"
VEGA_LITE = "5.20"
MONEY = (
    "format(datum.value, datum.value % 1 != 0 && abs(round(100 * datum.value) - 100 * datum.value) < 1e-6 "
    "? '$,.2f' : '$,.6~f')"
)
"""Dollars along an axis: $2, $0.50, $0.005, and never $0.5."""


SHARE = "format(100 * datum.value, '.0f') + ' %'"
"""Shares along an axis, as they stand in tables."""

FONT = 'ui-sans-serif, system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif'


@dataclass(frozen=True, slots=True)
class Colours:
    """The inks of one theme; the same values stand in ``site.css``."""

    name: str
    text: str
    muted: str
    grid: str
    point: str
    accent: str
    paper: str


LIGHT = Colours("light", "#1c1e21", "#5c626b", "#e8e9eb", "#8b93a1", "#0b6e5f", "#ffffff")
DARK = Colours("dark", "#eceef0", "#a3abb6", "#2a2f36", "#78818e", "#4fd1b5", "#14171a")


@dataclass(frozen=True, slots=True)
class Frame:
    """A chart's size in pixels: the plot, and the room around it."""

    name: str
    width: int
    height: int
    left: int = 56
    right: int = 20
    top: int = 34
    bottom: int = 52
    label_length: int = 40
    labels: int = 40

    @property
    def full_width(self) -> int:
        return self.left + self.width + self.right

    @property
    def full_height(self) -> int:
        return self.top + self.height + self.bottom


SERIES = {
    "light": ("#0b6e5f", "#3b6fb6", "#b4651a", "#8a4fa3", "#5d7a1f", "#b03a55", "#3a8a8f", "#8b93a1"),
    "dark": ("#4fd1b5", "#7fb0f0", "#f0a660", "#c79ae0", "#a9cc63", "#f08ba3", "#6fd0d6", "#78818e"),
}
"""Inks of up to eight series, the last for all others together."""

_WIDE = Frame("wide", 1016, 260, left=72, right=20, top=24, bottom=34)
_NARROW = Frame("narrow", 276, 220, left=56, right=10, top=24, bottom=34)


def frames(height: int = 260) -> tuple[Frame, Frame]:
    """The wide and the narrow frame of a chart whose plot is so many pixels high."""
    return replace(_WIDE, height=height), replace(_NARROW, height=min(height, 220))


def config(colours: Colours) -> Json:
    """How every chart of ours looks."""
    return {
        "font": FONT,
        "view": {"stroke": None},
        "axis": {
            "labelColor": colours.muted,
            "titleColor": colours.muted,
            "gridColor": colours.grid,
            "domainColor": colours.grid,
            "tickColor": colours.grid,
            "labelFontSize": 12,
            "titleFontSize": 12,
            "titleFontWeight": "normal",
            "titlePadding": 12,
            "labelPadding": 6,
        },
    }


def svg(spec: Spec) -> str:
    """The picture. Needs the ``charts`` extra."""
    try:
        import vl_convert
    except ImportError as problem:
        raise BadUsage("Charts need one more package: pip install 'flatfare[charts]'.") from problem
    return str(vl_convert.vegalite_to_svg(spec, vl_version=VEGA_LITE))
