"""Reports of SWE-bench style evaluations: instances are tasks, whether they were resolved is the verdict."""

import json
from contextlib import suppress

import pytest

from flatfare.core.errors import BadInput
from tests.service.importing.bringing import Place

RUN = {
    "total_instances": 5,
    "completed_ids": ["a__b-1", "a__b-2"],
    "incomplete_ids": ["a__b-5"],
    "empty_patch_ids": ["a__b-3"],
    "submitted_ids": ["a__b-1", "a__b-2", "a__b-3", "a__b-4"],
    "resolved_ids": ["a__b-1"],
    "unresolved_ids": ["a__b-2"],
    "error_ids": ["a__b-4"],
    "schema_version": 2,
}


def brought(place: Place, document: object, name: str = "agent.run-1.json", **asked: object):  # type: ignore[no-untyped-def]
    return place.results("swe-bench", place.file(name, json.dumps(document)), **asked)


def outcomes(place: Place) -> list[tuple[object, ...]]:
    return place.rows("SELECT external_id, outcome FROM tasks ORDER BY 1")


def test_a_whole_run(place: Place) -> None:
    result = brought(place, RUN)
    assert (result.read, result.new, result.more["verdicts"]) == (4, 4, 4)
    assert outcomes(place) == [
        ("agent/a__b-1", "verified"),
        ("agent/a__b-2", "failed"),
        ("agent/a__b-3", "failed"),
        ("agent/a__b-4", "failed"),
    ]
    assert "Not submitted, and so no tasks: 1 instances." in result.notes
    assert place.is_sound()


def test_submitted_and_in_no_list_has_failed(place: Place) -> None:
    brought(place, {"resolved_ids": ["a__b-1"], "submitted_ids": ["a__b-1", "a__b-2"]})
    assert [outcome for _, outcome in outcomes(place)] == ["verified", "failed"]


def test_reports_of_single_instances_take_their_path_from_where_they_lie(place: Place) -> None:
    folder = place.folder / "logs" / "run_evaluation" / "run" / "agent-x"
    files = []
    for number, resolved in ((1, True), (2, False)):
        instance = folder / f"a__b-{number}"
        instance.mkdir(parents=True)
        said = {f"a__b-{number}": {"patch_exists": True, "resolved": resolved, "tests_status": {}}}
        (instance / "report.json").write_text(json.dumps(said))
        files.append(str(instance / "report.json"))
    assert place.results("swe-bench", *files).new == 2
    assert outcomes(place) == [("agent-x/a__b-1", "verified"), ("agent-x/a__b-2", "failed")]
    assert place.row("SELECT DISTINCT path FROM tasks") == ("agent-x",)


def test_results_of_the_leaderboard_with_predictions(place: Place) -> None:
    made = [
        {"instance_id": f"a__b-{n}", "model_name_or_path": "agent-y", "model_patch": "x"} for n in (7, 8, 9)
    ]
    predictions = place.file("preds.jsonl", "\n".join(map(json.dumps, made)))
    brought(
        place,
        {"resolved": ["a__b-7"], "generated": ["a__b-7", "a__b-8"]},
        choices={"predictions": predictions},
    )
    assert outcomes(place) == [
        ("agent-y/a__b-7", "verified"),
        ("agent-y/a__b-8", "failed"),
        ("agent-y/a__b-9", "failed"),
    ]


def test_a_trajectory_says_what_an_instance_of_the_report_cost(place: Place) -> None:
    report = place.file("agent.run-1.json", json.dumps(RUN))
    info = {
        "model_stats": {"instance_cost": 0.25, "api_calls": 12},
        "config": {"model": {"model_name": "agent"}},
    }
    trajectory = {
        "instance_id": "a__b-1",
        "trajectory_format": "mini-swe-agent-1",
        "info": info,
        "messages": [],
    }
    result = place.results("swe-bench", report, place.file("a__b-1.traj.json", json.dumps(trajectory)))
    assert (result.read, result.rejected) == (4, 0)
    assert place.row("SELECT given_nano, given_calls, outcome FROM tasks WHERE given_nano IS NOT NULL") == (
        250_000_000,
        12,
        "verified",
    )


def test_the_verdict_names_the_harness(place: Place) -> None:
    brought(place, RUN, choices={"harness": "4.1.0"})
    assert place.row("SELECT DISTINCT verifier, verifier_version, kind FROM verdicts") == (
        "swe-bench:tests",
        "4.1.0",
        "code",
    )


def test_a_file_that_is_no_report_is_named(place: Place) -> None:
    result = brought(place, {"what": 1})
    assert (result.read, result.rejected) == (1, 1)


@pytest.mark.parametrize("content", ["[]", "no json", "{}"])
def test_what_is_no_report_at_all_brings_nothing(place: Place, content: str) -> None:
    file = place.file("x.json", content)
    with suppress(BadInput):
        assert place.results("swe-bench", file).new == 0
    assert place.rows("SELECT * FROM tasks") == []


def test_a_model_with_a_slash_and_points_in_its_name(place: Place) -> None:
    brought(place, RUN, "nebius__moonshotai__Kimi-K2.6.test.json")
    assert place.row("SELECT DISTINCT path FROM tasks") == ("nebius/moonshotai/Kimi-K2.6",)
