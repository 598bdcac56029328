"""The weekly report as a page to print and to send: its figures, its notes, and a quarter in one picture.

Made from the document alone, so that what is sent later shows what was found when it was due.
"""

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from importlib.resources import files

from flatfare.core.errors import BadUsage
from flatfare.service.alerts.weekly import notes_of
from flatfare.web.frames import LIGHT, Frame, svg
from flatfare.web.pages.charts import Point, two_lines
from flatfare.web.pages.drawing import can_draw
from flatfare.web.pages.over_time import first_day, lines

_FRAME = Frame("page", 640, 300)


def page(document: Mapping[str, object]) -> bytes:
    """The report as PDF; without its picture where nothing that draws is installed.

    ``BadUsage`` where the extra that makes pages is not installed.
    """
    try:
        import typst
    except ImportError:
        raise BadUsage(
            "The weekly report as a page is made by typst, which is not installed: "
            "pip install 'flatfare[invoices]'"
        ) from None
    template = files("flatfare.data").joinpath("weekly.typ").read_bytes()
    said = {**document, "notes": list(notes_of(document)), "chart": chart(document)}
    inputs = {"document": json.dumps(said, ensure_ascii=False)}
    made = typst.compile(template, sys_inputs=inputs, format="pdf")
    assert isinstance(made, bytes)
    return made


def chart(document: Mapping[str, object]) -> str | None:
    """The price of outcomes above that of tokens, a point a week, as SVG; None with fewer than two points."""
    weeks = document["weeks"]
    assert isinstance(weeks, list)
    upper = [_point(one, "cost_per_verified_outcome") for one in weeks]
    lower = [_point(one, "price_per_million_tokens") for one in weeks]
    if not can_draw() or max(_known(upper), _known(lower)) < 2:
        return None
    return svg(two_lines(*lines(upper, lower, "week"), LIGHT, _FRAME))


def _known(points: Sequence[Point]) -> int:
    return sum(point.value is not None for point in points)


def _point(week: Mapping[str, object], name: str) -> Point:
    low, high = (_number(week.get(f"{name}_{end}")) for end in ("low", "high"))
    return Point(first_day("week", str(week["week"])), _number(week[name]), low, high)


def _number(text: object) -> float | None:
    return None if text is None else float(Decimal(str(text)))
