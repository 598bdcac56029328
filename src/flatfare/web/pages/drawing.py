"""Pictures of charts: drawn on the server when they are asked for, kept for whoever asks next.

The drawing library is loaded with the first picture, and its script for the browser with the
first chart that somebody touches: a page without charts needs neither.
"""

import json
from dataclasses import replace
from functools import lru_cache
from importlib.util import find_spec

from flatfare.core.errors import BadUsage, NotFound
from flatfare.web.frames import DARK, LIGHT, Spec, svg
from flatfare.web.pages.blocks import Chart

PICTURES_KEPT = 256
PNG_SCALE = 2.0
MIDDLE_WIDTH = 640
"""Of a plot beside the sections on a window of half a desk: its words stay as large as those around it."""

MEDIA = {"svg": "image/svg+xml", "png": "image/png", "json": "application/json"}


def picture(chart: Chart, ending: str, theme: str, frame: str) -> bytes:
    """The chart as ``svg``, ``png`` or its specification in ``json``."""
    spec = spec_of(chart, theme, frame)
    if ending == "json":
        return json.dumps(spec, ensure_ascii=False).encode()
    if ending == "png":
        colours = DARK if theme == "dark" else LIGHT
        return _png(json.dumps({**spec, "background": colours.paper}, ensure_ascii=False))
    if ending == "svg":
        return _svg(json.dumps(spec, ensure_ascii=False)).encode()
    raise NotFound(f"A chart is to be had as svg, png or json, not as {ending[:10]!r}.")


def spec_of(chart: Chart, theme: str, frame: str) -> Spec:
    """The chart in the inks of a theme and the size of a frame."""
    frames = {
        "wide": chart.wide,
        "middle": replace(chart.wide, name="middle", width=MIDDLE_WIDTH),
        "narrow": chart.narrow,
    }
    if theme not in ("light", "dark") or frame not in frames:
        raise BadUsage(
            f"Found the theme {theme[:20]!r} and the frame {frame[:20]!r}: light or dark; wide, middle or "
            "narrow."
        )
    return chart.draw(DARK if theme == "dark" else LIGHT, frames[frame])


@lru_cache(PICTURES_KEPT)
def _svg(spec: str) -> str:
    return svg(json.loads(spec))


@lru_cache(PICTURES_KEPT)
def _png(spec: str) -> bytes:
    svg_text = _svg(spec)
    import vl_convert

    return bytes(vl_convert.svg_to_png(svg_text, scale=PNG_SCALE))


@lru_cache(1)
def script() -> bytes:
    """The charts' script for the browser, from the drawing library itself."""
    try:
        import vl_convert
    except ImportError as problem:
        raise BadUsage("Charts need one more package: pip install 'flatfare[charts]'.") from problem
    return str(vl_convert.javascript_bundle()).encode()  # type: ignore[call-arg]  # its stub asks for more


def can_draw() -> bool:
    """Whether the drawing library is installed."""
    return find_spec("vl_convert") is not None
