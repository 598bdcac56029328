"""Simulations as tau-bench and tau2-bench write them: rewards are verdicts, agent and user cost apart."""

import json

import pytest

from flatfare.core.errors import BadInput
from flatfare.service.reporting import report
from tests.service.importing.bringing import Place

Record = dict[str, object]
DAY = "2026-01-01T10:"


JUDGED: Record = {"reward_info": {"reward": 1.0, "reward_basis": ["DB", "NL_ASSERTION"]}}
BROKEN_OFF: Record = {"reward_info": None, "termination_reason": "too_many_errors"}


def message(role: str, place: int, **more: object) -> Record:
    return {
        "role": role,
        "content": "never kept",
        "turn_idx": place,
        "timestamp": f"{DAY}00:{place:02}",
        **more,
    }


def simulation(name: str, reward: object, **more: object) -> Record:
    details = {
        "prompt_tokens": 4000,
        "completion_tokens": 50,
        "prompt_tokens_details": {"cached_tokens": 1024},
    }
    return {
        "id": name,
        "task_id": "7",
        "trial": 0,
        "start_time": f"{DAY}00:00",
        "end_time": f"{DAY}01:00",
        "termination_reason": "user_stop",
        "agent_cost": 0.0105,
        "user_cost": 0.001,
        "reward_info": {"reward": reward, "reward_basis": ["DB"]},
        "messages": [
            message("assistant", 0, cost=0.0, usage=None),
            message("user", 1, cost=0.001, usage={"prompt_tokens": 300, "completion_tokens": 20}),
            message(
                "assistant",
                2,
                cost=0.0105,
                usage={"prompt_tokens": 4000, "completion_tokens": 50},
                raw_data={"model": "gpt-4.1-2025-04-14", "usage": details},
            ),
            {"role": "tool", "id": "1", "content": "ok"},
        ],
        **more,
    }


def results(*simulations: object, **info: object) -> str:
    about = {
        "agent_info": {"implementation": "llm_agent", "llm": "gpt-4.1"},
        "user_info": {"llm": "gpt-4.1"},
        "environment_info": {"domain_name": "retail", "policy": "never kept"},
        **info,
    }
    return json.dumps({"info": about, "tasks": [], "simulations": list(simulations)})


def test_a_simulation_is_a_task_with_its_reward_and_its_calls(place: Place) -> None:
    result = place.results("tau", place.file("r.json", results(simulation("s1", 1.0), simulation("s2", 0.0))))
    assert (result.read, result.new, result.more) == (2, 2, {"calls": 4, "verdicts": 2})
    assert place.rows(
        "SELECT external_id, path, outcome, given_nano, given_simulation_nano, "
        "json_extract_string(labels, 'domain') FROM tasks ORDER BY 1"
    ) == [
        ("s1", "gpt-4.1", "verified", 10_500_000, 1_000_000, "retail"),
        ("s2", "gpt-4.1", "failed", 10_500_000, 1_000_000, "retail"),
    ]
    assert place.rows(
        "SELECT DISTINCT purpose, model, input, cache_read, reported_nano FROM calls ORDER BY 1"
    ) == [
        ("simulation", "gpt-4.1", 300, None, 1_000_000),
        ("work", "gpt-4.1-2025-04-14", 2976, 1024, 10_500_000),
    ]
    total = report(place.book, place.lake, now_us=place.now_us).total.figures
    assert (total.cost_nano, total.simulation_nano) == (21_000_000, 2_000_000)
    assert place.is_sound()


def test_no_text_of_a_simulation_is_kept(place: Place) -> None:
    place.results("tau", place.file("r.json", results(simulation("s1", 1.0))))
    assert "never kept" not in str(place.rows("SELECT * FROM tasks") + place.rows("SELECT * FROM calls"))


@pytest.mark.parametrize(
    ("reward", "more", "told"),
    [
        (0.9999999, {}, ("verified", "tau2:reward", "code")),
        (0.5, {}, ("failed", "tau2:reward", "code")),
        (1.0, JUDGED, ("verified", "tau2:reward", "model")),
        (None, BROKEN_OFF, ("failed", "tau2:run", "code")),
    ],
)
def test_what_the_reward_says(place: Place, reward: object, more: Record, told: tuple[str, ...]) -> None:
    place.results("tau", place.file("r.json", results(simulation("s1", reward, **more))))
    assert place.row("SELECT outcome, verifier, kind FROM tasks JOIN verdicts ON task_id = tasks.id") == told


def test_a_simulation_without_a_reward_is_open(place: Place) -> None:
    place.results("tau", place.file("r.json", results(simulation("s1", None, reward_info=None))))
    assert place.row("SELECT outcome FROM tasks") == ("open",)


def test_results_of_tau_bench_take_their_path_from_the_file(place: Place) -> None:
    runs = [
        {"task_id": 0, "reward": 1.0, "info": {"user_cost": 0.002}, "traj": [], "trial": 0},
        {"task_id": 0, "reward": 0.0, "info": {}, "traj": [], "trial": 1},
    ]
    file = place.file("tool-calling-gpt-4o-0.0_range_0--1_user-gpt-4o-llm_0101.json", json.dumps(runs))
    result = place.results("tau", file, fixed={"label.domain": "retail"})
    assert result.new == 2
    assert place.rows("SELECT path, outcome, given_simulation_nano FROM tasks ORDER BY 2 DESC") == [
        ("tool-calling-gpt-4o-0.0", "verified", 2_000_000),
        ("tool-calling-gpt-4o-0.0", "failed", None),
    ]
    assert any("taken from the file's name" in note for note in result.notes)


def test_costs_in_a_record_of_their_own(place: Place) -> None:
    cost = {"agent_cost": 0.1, "user_cost": 0.2, "eval_cost": 0.3, "total_cost": 0.6}
    run = {"task_idx": 3, "trial": 0, "reward": 1, "messages": [], "cost": cost}
    place.results("tau", place.file("r.json", json.dumps([run])))
    assert place.row("SELECT given_nano, given_simulation_nano, given_verification_nano FROM tasks") == (
        100_000_000,
        200_000_000,
        300_000_000,
    )


def test_one_a_line_and_one_alone_are_read(place: Place) -> None:
    lines = "\n".join(json.dumps({"task_id": n, "reward": n, "trial": 0}) for n in (0, 1))
    assert place.results("tau", place.file("lines.json", lines), fixed={"path": "a"}).new == 2
    alone = json.dumps(simulation("s9", 1.0))
    assert place.results("tau", place.file("one.json", alone), fixed={"path": "b"}).new == 1


def test_items_that_are_no_simulations_are_named(place: Place) -> None:
    result = place.results("tau", place.file("r.json", results(simulation("s1", 1.0), {"id": "x"}, "junk")))
    assert (result.read, result.new, result.rejected) == (3, 1, 2)
    assert '"simulation 2"' in place.rejects("r.json")


def test_a_run_that_grew_adds_what_is_new_though_nothing_says_when(place: Place) -> None:
    runs = [{"task_id": n, "reward": 1, "trial": 0} for n in range(3)]
    place.results("tau", place.file("r.json", json.dumps(runs[:2])))
    grown = place.results("tau", place.file("r.json", json.dumps(runs)))
    assert (grown.new, grown.known, grown.rejected) == (1, 2, 0)


@pytest.mark.parametrize("content", ["{}", "[]", "[1]", '{"info": {}}', "no json", '{"task_id": "x"}'])
def test_what_holds_no_simulations_changes_nothing(place: Place, content: str) -> None:
    with pytest.raises(BadInput):
        place.results("tau", place.file("r.json", content))


def test_a_run_that_keeps_each_simulation_in_a_file(place: Place) -> None:
    run, each = place.folder / "run", place.folder / "run" / "simulations"
    each.mkdir(parents=True)
    for name in ("s1", "s2"):
        (each / f"{name}.json").write_text(json.dumps(simulation(name, 1.0)))
    (run / "results.json").write_text(results())
    assert place.results("tau", str(run / "results.json")).new == 2
    assert place.row("SELECT DISTINCT path FROM tasks") == ("gpt-4.1",)


def test_a_submission_that_says_model_and_domain_beside_its_simulations(place: Place) -> None:
    said = {"domain": "airline", "agent": "adaptive", "model": "claude-x", "total_tasks": 1, "passed": 1}
    document = json.dumps({**said, "simulations": [simulation("s1", 1.0)]})
    place.results("tau", place.file("r.json", document))
    labels = "json_extract_string(labels, 'domain'), json_extract_string(labels, 'agent')"
    assert place.row(f"SELECT name, path, {labels} FROM tasks") == ("tau2", "claude-x", "airline", "adaptive")
    assert place.rows("SELECT model, model_asked FROM calls WHERE purpose = 'work'") == [
        ("gpt-4.1-2025-04-14", "claude-x")
    ]


def test_where_nothing_names_the_model_the_responses_do(place: Place) -> None:
    place.results("tau", place.file("r.json", json.dumps({"simulations": [simulation("s1", 1.0)]})))
    assert place.row("SELECT path FROM tasks") == ("gpt-4.1-2025-04-14",)
