"""JUnit reports: each case a task, or each suite, and whether it passed its verdict."""

import pytest

from flatfare.core.errors import BadInput
from flatfare.service.reporting import report
from tests.service.importing.bringing import Place

REPORT = """<testsuites><testsuite name="unit" timestamp="2026-01-01T10:00:00">
<testcase classname="a" name="x"/><testcase classname="a" name="x"/>
<testcase classname="a" name="y"><failure message="no">never kept</failure></testcase>
<testcase classname="a" name="z"><skipped/></testcase>
<testcase classname="a" name="f"><flakyFailure message="m"/></testcase></testsuite>
<testsuite name="whole" timestamp="2026-01-01T11:00:00"><testcase name="only"/></testsuite></testsuites>"""


def test_each_case_is_a_task(place: Place) -> None:
    result = place.results("junit", place.file("r.xml", REPORT), fixed={"path": "agent"})
    assert (result.read, result.new) == (5, 5)
    assert place.rows("SELECT external_id, outcome FROM tasks ORDER BY 1") == [
        ("2026-01-01T10:00:00Z/unit/a::f", "verified"),
        ("2026-01-01T10:00:00Z/unit/a::x", "verified"),
        ("2026-01-01T10:00:00Z/unit/a::x#2", "verified"),
        ("2026-01-01T10:00:00Z/unit/a::y", "failed"),
        ("2026-01-01T11:00:00Z/whole/only", "verified"),
    ]
    assert "Skipped, and so no tasks: 1 tests." in result.notes
    assert report(place.book, place.lake, now_us=place.now_us).total.figures.attempts == 6
    assert place.is_sound()


def test_each_suite_is_a_task(place: Place) -> None:
    place.results("junit", place.file("r.xml", REPORT), choices={"each": "suite"})
    assert place.rows("SELECT json_extract_string(labels, 'suite'), outcome FROM tasks ORDER BY 1") == [
        ("unit", "failed"),
        ("whole", "verified"),
    ]


def test_runs_without_a_moment_are_told_apart_by_their_content(place: Place) -> None:
    passed = '<testsuite><testcase name="a"/></testsuite>'
    failed = '<testsuite><testcase name="a"><error/></testcase></testsuite>'
    result = place.results("junit", place.file("1.xml", passed), place.file("2.xml", failed))
    assert (result.new, result.rejected) == (2, 0)


def test_again_there_is_nothing_to_do(place: Place) -> None:
    file = place.file("r.xml", REPORT)
    place.results("junit", file)
    assert place.results("junit", file).already_at_us is not None


@pytest.mark.parametrize("content", ["<html/>", "{}", "<testsuite>", '<!DOCTYPE x><testsuite name="a"/>'])
def test_what_is_no_report_changes_nothing(place: Place, content: str) -> None:
    with pytest.raises(BadInput):
        place.results("junit", place.file("r.xml", content))
