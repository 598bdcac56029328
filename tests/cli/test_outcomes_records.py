"""Outcome records on the command line: out, checked, and in again."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from flatfare.cli.root import root

TASKS = "task_id,path,success,cost,team,created_at\na,p,true,0.5,x,2026-01-01\nb,p,false,0.25,y,2026-01-02\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tasks.csv").write_text(TASKS)
    run("import", "tasks", "tasks.csv")
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(root, arguments, catch_exceptions=True)


def test_records_are_printed_one_a_line(folder: Path) -> None:
    lines = run("outcomes", "export").stdout.splitlines()
    assert [json.loads(line)["task"]["external_id"] for line in lines] == ["a", "b"]
    chosen = run("outcomes", "export", "--label", "team=y", "--outcome", "failed").stdout.splitlines()
    assert [json.loads(line)["task"]["external_id"] for line in chosen] == ["b"]


def test_records_come_in_elsewhere_and_say_the_same(folder: Path) -> None:
    assert run("outcomes", "export", "--out", "records.jsonl").stdout == "records.jsonl: 2 records.\n"
    checked = run("outcomes", "validate", "records.jsonl")
    assert (checked.exit_code, checked.stderr) == (0, "2 records, all right.\n")
    place = ("--database", "sqlite:///other.db", "--lake", "other")
    brought = run("outcomes", "import", "records.jsonl", *place)
    assert brought.stdout == "records.jsonl: 2 read, 2 new, 0 known, 0 rejected, 2 verdicts.\n"
    assert run("outcomes", "export", *place).stdout == (folder / "records.jsonl").read_text()
    again = run("outcomes", "import", "records.jsonl", *place)
    assert (again.exit_code, "nothing to do" in again.stdout) == (0, True)


def test_a_wrong_record_is_told_with_line_path_found_and_expected(folder: Path) -> None:
    run("outcomes", "export", "--out", "records.jsonl")
    first, second = (folder / "records.jsonl").read_text().splitlines()
    (folder / "wrong.jsonl").write_text(first + "\n" + second.replace('"failed"', '"sad"') + "\n")
    result = run("outcomes", "validate", "wrong.jsonl")
    assert result.exit_code == 1
    assert result.stdout == (
        'wrong.jsonl:2: outcome.state: found "sad", '
        "expected one of open, verified, failed, assumed, reversed\n"
    )
    told = json.loads(run("outcomes", "validate", "wrong.jsonl", "--json").stdout)
    assert told == {
        "file": "wrong.jsonl",
        "line": 2,
        "path": "outcome.state",
        "found": '"sad"',
        "expected": "one of open, verified, failed, assumed, reversed",
    }
    brought = run("outcomes", "import", "wrong.jsonl", "--database", "sqlite:///o.db", "--lake", "o")
    assert (brought.exit_code, "2 read, 1 new, 0 known, 1 rejected" in brought.stdout) == (1, True)
