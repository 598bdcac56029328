"""The import on the command line: what it says, what it writes, how it ends."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from flatfare.cli.root import root
from flatfare.core.errors import FlatfareError

CALLS = "id,timestamp,model,prompt_tokens,completion_tokens,cost\na,2026-01-01T00:00:00Z,gpt-4o,5,1,0.5\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str, given: str | None = None) -> Result:
    return CliRunner().invoke(root, ["import", *arguments], input=given, catch_exceptions=True)


def test_it_ends_with_counts(folder: Path) -> None:
    (folder / "a.csv").write_text(CALLS)
    result = run("calls", "a.csv")
    assert (result.exit_code, result.stdout) == (0, "a.csv: 1 read, 1 new, 0 known, 0 rejected.\n")


def test_again_there_is_nothing_to_do(folder: Path) -> None:
    (folder / "a.csv").write_text(CALLS)
    run("calls", "a.csv")
    result = run("calls", "a.csv")
    assert result.exit_code == 0
    assert "already imported on" in result.stdout
    assert "nothing to do" in result.stdout


def test_rejects_are_counted_written_and_exit_1(folder: Path) -> None:
    (folder / "a.csv").write_text(CALLS + "b,2026-01-01T00:00:00Z,m,-5,1,0.5\n")
    result = run("calls", "a.csv")
    assert result.exit_code == 1
    assert result.stdout == "a.csv: 2 read, 1 new, 0 known, 1 rejected; see a.csv.rejects.jsonl.\n"
    assert "a count is never negative" in result.stderr
    record = json.loads((folder / "a.csv.rejects.jsonl").read_text())
    assert (record["line"], record["row"]["prompt_tokens"]) == (3, "-5")


def test_json_has_the_same_counts(folder: Path) -> None:
    (folder / "a.csv").write_text(CALLS)
    (document,) = json.loads(run("calls", "a.csv", "--json").stdout)
    assert {key: document[key] for key in ("kind", "read", "new", "known", "rejected")} == {
        "kind": "calls", "read": 1, "new": 1, "known": 0, "rejected": 0,
    }  # fmt: skip


def test_several_files_and_patterns(folder: Path) -> None:
    (folder / "a.csv").write_text(CALLS)
    (folder / "b.csv").write_text(CALLS.replace("\na,", "\nb,"))
    result = run("calls", "*.csv", "missing.csv")
    assert result.exit_code == 1
    assert result.stdout.count("1 new") == 2
    assert "There is no file missing.csv" in result.stderr


def test_a_pattern_that_matches_nothing_says_so(folder: Path) -> None:
    result = run("calls", "*.nope")
    assert isinstance(result.exception, FlatfareError)
    assert "No file matches '*.nope'" in str(result.exception)


def test_a_dry_run_shows_the_mapping_and_imports_nothing(folder: Path) -> None:
    (folder / "a.csv").write_text(CALLS)
    result = run("calls", "a.csv", "--dry-run")
    assert result.exit_code == 0
    assert "prompt_tokens" in result.stdout
    assert "cost=0.500000000" in result.stdout
    assert not (folder / "flatfare.db").exists()
    assert not (folder / "lake").exists()


@pytest.mark.parametrize("kind", ["tasks", "verdicts", "leaderboard"])
def test_every_kind_has_a_dry_run(folder: Path, kind: str) -> None:
    (folder / "a.csv").write_text("task_id,model,n,result,score,cost_per_task,judge\n1,m,10,pass,0.5,0.1,j\n")
    result = run(kind, "a.csv", "--dry-run", "--at", "2026-01-01", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)[0]["rows"]


@pytest.mark.parametrize(
    ("option", "why"),
    [
        (("--map", "promt_tokens=x"), "Did you mean 'prompt_tokens'"),
        (("--map", "model"), "write it like --map"),
        (("--value", "solved=verified"), "write it like --value"),
        (("--exchange", "EUR=1.1"), "write it like --exchange"),
        (("--pass-at", "high"), "write a number like 0.9"),
        (("--set", "cached=beside"), "it is one of inside, outside"),
    ],
)
def test_wrong_options_are_usage_errors(folder: Path, option: tuple[str, ...], why: str) -> None:
    (folder / "a.csv").write_text(CALLS)
    result = run("calls", "a.csv", *option)
    assert isinstance(result.exception, FlatfareError)
    assert result.exception.exit_code == 2
    assert why in str(result.exception)


def test_standard_input(folder: Path) -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-m", "flatfare", "import", "calls", "-"],
        input=CALLS, capture_output=True, text=True, env=environment,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "standard input: 1 read, 1 new, 0 known, 0 rejected.\n")


def test_a_source_that_is_set_names_the_ids(folder: Path) -> None:
    (folder / "a.csv").write_text(CALLS)
    run("calls", "a.csv", "--set", "source=one")
    assert run("calls", "a.csv", "--source", "two").stdout.startswith("a.csv: 1 read, 1 new")


def test_a_file_that_is_none_makes_no_book(folder: Path) -> None:
    result = run("calls", "missing.csv")
    assert result.exit_code == 1
    assert list(folder.iterdir()) == []


SIMULATIONS = '[{"task_id": 1, "trial": 0, "reward": 1}, {"trial": 1}]'


def test_results_of_a_tool_end_with_counts_of_their_pieces(folder: Path) -> None:
    (folder / "a_range_0-1.json").write_text(SIMULATIONS)
    result = run("tau", "a_range_0-1.json")
    assert result.exit_code == 1
    assert result.stdout == (
        "a_range_0-1.json: 2 read, 1 new, 0 known, 1 rejected, 1 verdicts; "
        "see a_range_0-1.json.rejects.jsonl.\n"
    )


def test_results_take_no_columns_and_no_field_that_is_none(folder: Path) -> None:
    (folder / "a.json").write_text(SIMULATIONS)
    for option, said in (("--map=task=id", "have one shape"), ("--set=colour=red", "Found --set colour")):
        result = run("tau", "a.json", option)
        assert isinstance(result.exception, FlatfareError)
        assert said in str(result.exception)
    assert not (folder / "flatfare.db").exists()


def test_a_folder_of_logs_says_how_to_name_them(folder: Path) -> None:
    (folder / "logs").mkdir()
    result = run("inspect", "logs")
    assert (result.exit_code, "such as 'logs/*.eval'" in result.stderr) == (1, True)


def test_kinds_have_other_names_that_people_try(folder: Path) -> None:
    (folder / "a.json").write_text(SIMULATIONS)
    assert "1 new" in run("tau2", "a.json").stdout
    assert "1 known" in run("simulations", "a.json", "--at", "2026-01-01").stdout


def test_a_log_given_as_tasks_says_how_it_is_imported(folder: Path) -> None:
    (folder / "a.eval").write_bytes(b"PK\x03\x04" + bytes(40))
    result = run("tasks", "a.eval")
    assert (result.exit_code, "flatfare import inspect a.eval" in result.stderr) == (1, True)
