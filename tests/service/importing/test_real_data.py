"""Real data comes in whole: every total equals an independent computation over its file, to the nano."""

from collections.abc import Callable
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path

import duckdb
import pytest

from tests.service.importing.bringing import Place

Find = Callable[..., Path]


def source(query: str) -> list[tuple[object, ...]]:
    """Rows of a query over the source, with every number as its own digits."""
    return duckdb.connect().execute(query).fetchall()


def nano(amount: object) -> int:
    """Nano-dollars of a number as the source writes it, rounded once, half to even."""
    return int((Decimal(str(amount)) * 10**9).to_integral_value(ROUND_HALF_EVEN))


@pytest.mark.parametrize(("role", "purpose"), [("assistant", "work"), ("user", "simulation")])
def test_tau2_calls(place: Place, shared: Find, role: str, purpose: str) -> None:
    file = shared("data", "tau2_runs", "calls.parquet")
    result = place.bring("calls", file, source="tau2", maps={"task": "run+task_id+trial"})
    assert (result.read, result.new, result.rejected) == (16_795, 16_795, 0)
    costs = [
        row[0] for row in source(f"SELECT cost_usd FROM '{file}' WHERE role = '{role}' AND cost_usd > 0")
    ]
    zeros = source(f"SELECT COUNT(*) FROM '{file}' WHERE role = '{role}' AND cost_usd = 0")
    found = place.row(
        "SELECT SUM(reported_nano), COUNT(reported_nano), COUNT(*) FILTER (WHERE reported_digits = '0') "
        f"FROM calls WHERE purpose = '{purpose}'"
    )
    assert found == (sum(map(nano, costs)), len(costs), zeros[0][0])
    tokens = source(f"SELECT SUM(prompt_tokens), SUM(completion_tokens) FROM '{file}' WHERE role = '{role}'")
    assert place.rows(f"SELECT SUM(input), SUM(output) FROM calls WHERE purpose = '{purpose}'") == tokens


def test_tau2_tasks(place: Place, shared: Find) -> None:
    file = shared("data", "tau2_runs", "sims.parquet")
    result = place.bring("tasks", file, source="tau2", maps={"task": "run+task_id+trial", "path": "run"})
    assert (result.new, result.rejected, result.more["verdicts"]) == (1_132, 0, 1_132)
    for column, ours in (("agent_cost", "given_nano"), ("user_cost", "given_simulation_nano")):
        costs = [row[0] for row in source(f"SELECT {column} FROM '{file}' WHERE {column} > 0")]
        kept = f"SELECT SUM({ours}), COUNT({ours}) FROM tasks WHERE {ours} > 0"
        assert place.row(kept) == (sum(map(nano, costs)), len(costs))
    outcomes = source(
        f"SELECT COUNT(*) FILTER (WHERE success), COUNT(*) FILTER (WHERE NOT success) FROM '{file}'"
    )
    assert outcomes == place.rows(
        "SELECT COUNT(*) FILTER (WHERE outcome = 'verified'), COUNT(*) FILTER (WHERE outcome = "
        "'failed') FROM tasks"
    )
    calls = shared("data", "tau2_runs", "calls.parquet")
    place.bring("calls", calls, source="tau2", maps={"task": "run+task_id+trial"})
    keys = "run, task_id, trial"
    with_calls = source(
        f"SELECT COUNT(*) FROM (SELECT {keys} FROM '{file}' SEMI JOIN '{calls}' USING ({keys}))"
    )
    assert place.rows("SELECT COUNT(*) FROM tasks WHERE id IN (SELECT task_id FROM calls)") == with_calls
    assert place.is_sound()


def test_openhands_tasks(place: Place, shared: Find) -> None:
    file = shared("data", "openhands_index", "instances.parquet")
    maps = {"path": "agent+model", "task": "agent+model+benchmark+instance_id"}
    result = place.bring("tasks", file, maps=maps)
    assert (result.read, result.new, result.rejected) == (51_451, 51_451, 0)
    costs = source(f"SELECT agent || '/' || model, resolved, cost_usd FROM '{file}' WHERE cost_usd > 0")
    sums: dict[tuple[object, object], int] = {}
    for path, resolved, cost in costs:
        sums[path, resolved] = sums.get((path, resolved), 0) + nano(cost)
    found = place.rows(
        "SELECT path, outcome, SUM(given_nano) FROM tasks WHERE given_nano IS NOT NULL GROUP BY ALL"
    )
    judged = {(path, outcome == "verified"): total for path, outcome, total in found if outcome != "open"}
    expected = {key: total for key, total in sums.items() if key[1] is not None}
    assert judged == expected
    again = place.bring("tasks", file, maps=maps, fixed={"label.set": "openhands"}, update=True)
    assert (again.new, again.updated, again.more["verdicts"]) == (0, 51_451, 0)
    assert place.row("SELECT COUNT(*), SUM(given_nano) FROM tasks") == (51_451, sum(sums.values()))
    assert place.is_sound()


def test_exgentic_leaderboard(place: Place, shared: Find) -> None:
    file = shared("data", "exgentic_open_agent", "results.csv")
    place.bring("leaderboard", file, source="exgentic", maps={"path": "agent+model"})
    rows = source(
        f"SELECT total_agent_cost, benchmark_score, total_sessions FROM read_csv('{file}', all_varchar "
        "= true)"
    )
    costs = [nano(row[0]) for row in rows if Decimal(str(row[0]))]
    successes = sum(int((Decimal(str(row[1])) * int(str(row[2]))).to_integral_value()) for row in rows)
    found = place.book.rows(
        "SELECT COUNT(*), SUM(cost_nano), COUNT(cost_nano), SUM(successes), SUM(n) FROM aggregates"
    )
    assert found == [(150, sum(costs), len(costs), successes, sum(int(str(row[2])) for row in rows))]


def test_aider_leaderboard(place: Place, shared: Find) -> None:
    file = shared("data", "aider", "polyglot.csv")
    place.bring("leaderboard", file, source="aider", fixed={"benchmark": "polyglot"})
    rows = source(f"SELECT total_cost, pass_rate_2, test_cases FROM read_csv('{file}', all_varchar = true)")
    costs = [nano(row[0]) for row in rows if row[0] and Decimal(str(row[0]))]
    successes = sum(
        int((Decimal(str(row[1])) * int(str(row[2])) / 100).to_integral_value(ROUND_HALF_EVEN))
        for row in rows
    )
    found = place.book.rows(
        "SELECT COUNT(*), SUM(cost_nano), COUNT(cost_nano), SUM(successes) FROM aggregates"
    )
    assert found == [(69, sum(costs), 51, successes)]


def test_routerarena_calls_and_tasks(place: Place, shared: Find) -> None:
    file = shared("data", "routerarena", "responses.csv")
    asked = {"source": "arena", "maps": {"task": "model+global_index"}, "at_us": 1_750_000_000_000_000}
    rows = source(f"SELECT inference_cost, input_tokens, score FROM read_csv('{file}', all_varchar = true)")
    costs = [nano(row[0]) for row in rows if row[0] and Decimal(str(row[0]))]
    assert place.bring("calls", file, **asked).rejected == 0
    assert place.row("SELECT SUM(reported_nano), SUM(input) FROM calls") == (
        sum(costs),
        sum(int(str(row[1] or 0)) for row in rows),
    )
    result = place.bring("tasks", file, **asked)
    assert result.read == len(rows)
    passed = sum(1 for row in rows if row[2] and Decimal(str(row[2])) == 1)
    assert result.rejected == 0
    assert place.row("SELECT COUNT(*) FROM tasks WHERE outcome = 'verified'") == (passed,)
    assert place.row("SELECT SUM(given_nano) FROM tasks") == (sum(costs),)


def test_routellm_tasks(place: Place, shared: Find) -> None:
    file = shared("data", "routellm", "queries_noprompt.csv.gz")
    for column, path in (("weak_correct", "mixtral-8x7b"), ("strong_correct", "gpt-4-1106")):
        fixed = {"path": path, "label.side": path}
        maps = {"task": "benchmark+subject+row", "outcome": column}
        result = place.bring("tasks", file, source=path, maps=maps, fixed=fixed)
        assert (result.read, result.new, result.rejected) == (15_361, 15_361, 0)
        right = source(f"SELECT COUNT(*) FROM read_csv('{file}') WHERE {column}")
        assert (
            place.rows(f"SELECT COUNT(*) FROM tasks WHERE outcome = 'verified' AND path = '{path}'") == right
        )


def test_tau2_judges(place: Place, shared: Find) -> None:
    file = shared("data", "tau2_judge", "judged.csv")
    maps = {"task": "simulation_id", "verifier": "judge_model+prompt", "result": "judge_pass"}
    result = place.bring("verdicts", file, source="judges", maps=maps, at_us=1_764_700_000_000_000)
    assert (result.read, result.new, result.rejected, result.more["tasks_made"]) == (1_112, 1_112, 0, 278)
    costs = [row[0] for row in source(f"SELECT judge_cost_usd FROM read_csv('{file}', all_varchar = true)")]
    passes = source(f"SELECT COUNT(*) FROM read_csv('{file}') WHERE judge_pass")
    assert place.rows("SELECT COUNT(*) FROM verdicts WHERE judgement = 'pass'") == passes
    assert place.row("SELECT SUM(cost_nano) FROM verdicts") == (sum(map(nano, costs)),)
    assert place.is_sound()


def test_frugalgpt_leaderboard(place: Place, shared: Find) -> None:
    file = shared("data", "frugalgpt", "tradeoffs_2024.csv")
    result = place.bring(
        "leaderboard", file, source="frugal", maps={"path": "Method", "label.budget": "Budget"}
    )
    assert result.rejected == 0
    rows = source(f"SELECT Test_cost, Test_size FROM read_csv('{file}', all_varchar = true)")
    total = sum(nano(Decimal(str(cost)) * int(str(size))) for cost, size in rows)
    kept = place.book.rows("SELECT SUM(cost_nano), COUNT(*) FROM aggregates")[0]
    assert kept[1] == result.new
    assert kept[0] == total or result.known
