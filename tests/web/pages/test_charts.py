"""Charts over time: where their labels stand, and what they say where there is nothing to draw."""

import re
from dataclasses import replace
from datetime import date, timedelta

import pytest

from flatfare.web.frames import LIGHT, Json, frames, svg
from flatfare.web.pages.charts import Line, Part, Point, stacked, two_lines
from flatfare.web.pages.over_time import lines

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


def paths_of(drawn: str, kind: str) -> list[str]:
    """The path of each mark of that kind, panel by panel."""
    return re.findall(rf'aria-roledescription="{kind} mark"[^>]*? d="([^"]*)"', drawn)


def gone(points: list[Point], *places: int) -> list[Point]:
    return [Point(one.at, None) if at in places else one for at, one in enumerate(points)]


BANDED = [Point(one.at, one.value, 0.05, 0.2) for one in PRICED]


@pytest.mark.parametrize(
    ("without", "lines", "bands", "alone"),
    [((), 1, 1, 0), ((2,), 2, 2, 0), ((1,), 2, 2, 1), ((1, 3), 3, 3, 3), ((0, 4), 1, 1, 0)],
)
def test_a_line_and_its_band_are_broken_where_a_period_has_no_figure(
    without: tuple[int, ...], lines: int, bands: int, alone: int
) -> None:
    pytest.importorskip("vl_convert", reason="needs the charts extra")
    drawn = svg(two_lines(Line(gone(BANDED, *without), ""), Line(NONE, "", ("none",)), LIGHT, WIDE))
    assert len(paths_of(drawn, "line")) == lines
    assert len(paths_of(drawn, "area")) == bands
    assert drawn.count('aria-roledescription="rule mark"') == alone  # a band of one point has no width
    assert drawn.count('aria-roledescription="point"') == 5 - len(without)


def test_a_band_is_broken_where_only_the_interval_is_not_known() -> None:
    pytest.importorskip("vl_convert", reason="needs the charts extra")
    points = [replace(one, high=None) if at == 2 else one for at, one in enumerate(BANDED)]
    drawn = svg(two_lines(Line(points, ""), Line(NONE, "", ("none",)), LIGHT, WIDE))
    assert (len(paths_of(drawn, "line")), len(paths_of(drawn, "area"))) == (1, 2)


@pytest.mark.parametrize(
    ("grain", "step", "told", "between"),
    [
        ("day", None, ["2026-02-27", "2026-03-02"], ["2026-02-28", "2026-03-01"]),
        ("week", None, ["2026-12-21", "2027-01-11"], ["2026-12-28", "2027-01-04"]),
        ("month", None, ["2026-11-01", "2027-02-01"], ["2026-12-01", "2027-01-01"]),
        ("month", "quarter", ["2026-07-01", "2027-01-01"], ["2026-10-01"]),
        ("month", "year", ["2024-01-01", "2026-01-01"], ["2025-01-01"]),
    ],
)
def test_a_period_of_which_nothing_is_told_has_its_place_and_no_figure(
    grain: str, step: str | None, told: list[str], between: list[str]
) -> None:
    points = [Point(at, 1.0) for at in told]
    for line in lines(points, points, grain, step):
        assert [one.at for one in line.points] == [told[0], *between, told[1]]
        assert [one.at for one in line.points if one.value is None] == between
