"""How large pictures are and in which inks they are drawn; the inks are those of the stylesheet."""

from dataclasses import replace

from flatfare.web.site.charts import DARK, FONT, LIGHT, Colours, Frame, Json, Spec, svg

__all__ = ["DARK", "FONT", "LIGHT", "SERIES", "Colours", "Frame", "Json", "Spec", "frames", "svg"]

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
