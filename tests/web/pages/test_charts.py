"""Charts over time: where their labels stand, and what they say where there is nothing to draw."""

from datetime import date, timedelta

import pytest

from flatfare.web.frames import LIGHT, Json, frames, svg
from flatfare.web.pages.charts import Line, Part, Point, stacked, two_lines

WIDE, NARROW = frames(320)
WEEKS = [(date(2026, 10, 19) + timedelta(days=7 * at)).isoformat() for at in range(5)]
PRICED = [Point(at, 0.1 + place / 100) for place, at in enumerate(WEEKS)]
NONE = [Point(at, None) for at in WEEKS]


def axis_days(axis: Json) -> list[str]:
    assert isinstance(axis, dict)
    values = axis["values"]
    assert isinstance(values, list)
    return [date(one["year"], one["month"], one["date"]).isoformat() for one in values]  # type: ignore[index, arg-type, call-overload]


def test_labels_of_weeks_stand_at_weeks_however_narrow_the_picture() -> None:
    spec = two_lines(Line(PRICED, ""), Line(PRICED, ""), LIGHT, NARROW)
    axis = spec["vconcat"][1]["encoding"]["x"]["axis"]  # type: ignore[index, call-overload]
    assert axis_days(axis) == [WEEKS[0], WEEKS[2], WEEKS[4]]
    parts = [Part(at, "gpt-5", 1.0) for at in WEEKS]
    bars = stacked(parts, ["gpt-5"], [0], LIGHT, NARROW, "week")
    assert axis_days(bars["encoding"]["x"]["axis"]) == [WEEKS[0], WEEKS[2], WEEKS[4]]  # type: ignore[index, call-overload]


@pytest.mark.parametrize("frame", [WIDE, NARROW], ids=["wide", "narrow"])
def test_a_line_without_points_says_why(frame: object) -> None:
    pytest.importorskip("vl_convert", reason="needs the charts extra")
    upper = Line(NONE, "Cost per verified outcome", ("No week has 10 verified:", "too few"))
    drawn = svg(two_lines(upper, Line(PRICED, "Price per million tokens"), LIGHT, frame))  # type: ignore[arg-type]
    assert "No week has 10 verified:" in drawn
    assert "too few" in drawn
    assert "Cost per verified outcome" in drawn
    assert "19 Oct" in drawn
