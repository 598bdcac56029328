"""``flatfare reviews``: as a person uses it."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from flatfare.cli.root import root
from flatfare.core.errors import NotAuthorised


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))


def run(*words: str, given: str | None = None) -> Result:
    return CliRunner().invoke(root, words, input=given)


def test_work_is_put_in_judged_and_agreed_on() -> None:
    made = run("reviews", "add", "17", "--output", "-", "--name", "qa", "--json", given="Three months.")
    review = json.loads(made.stdout)["id"]
    for reviewer, word in (("ann", "pass"), ("bob", "fail"), ("cid", "pass")):
        shown = run("reviews", "next", "--as", reviewer)
        assert "Three months." in shown.stdout
        assert "17" not in shown.stdout
        assert run("reviews", "submit", review, word, "--as", reviewer).exit_code == 0
    assert run("reviews", "next", "--as", "dan").exit_code == 1
    (row,) = (json.loads(line) for line in run("reviews", "list", "--json").stdout.splitlines())
    assert (row["state"], row["judgement"], row["is_disputed"]) == ("decided", "pass", True)
    assert "cid: pass" in run("reviews", "show", review).stdout
    found = run("reviews", "agreement")
    assert "0 of 1 of these unanimous" in found.stdout
    assert json.loads(run("reviews", "agreement", "--json").stdout)["pairs"][0]["agreed"] == 0
    task = run("tasks", "show", "17")
    assert task.exit_code == 0
    assert "human-review" in task.stdout


def test_it_says_what_to_do_where_there_is_nothing_and_what_is_wrong() -> None:
    run("reviews", "add", "17", "--link", "https://example.org/17", "--reviewers", "1")
    assert "https://example.org/17" in run("reviews", "next", "--as", "ann").stdout
    (row,) = (json.loads(line) for line in run("reviews", "list", "--json").stdout.splitlines())
    assert run("reviews", "release", row["id"], "--as", "ann").exit_code == 0
    assert isinstance(run("reviews", "submit", row["id"], "pass", "--as", "eve").exception, NotAuthorised)
    assert run("reviews", "withdraw", row["id"], "--reason", "x").exit_code == 0
    assert "No reviews." in run("reviews", "list", "--state", "open").stdout
    assert run("reviews", "add", "18").exit_code == 1
    assert "id,task" in run("reviews", "list", "--csv").stdout
