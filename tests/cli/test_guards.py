"""``flatfare guards`` and guards in ``flatfare apply``: as a person uses them."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from flatfare.cli.root import root
from flatfare.store import chains
from flatfare.store.book import open_book

LOOPS = ("guards", "create", "--name", "loops", "--kind", "calls", "--at-most", "50")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> "Run":
    monkeypatch.chdir(tmp_path)
    return Run()


class Run:
    """The command line in a folder of its own."""

    def __call__(self, *words: str) -> Result:
        return CliRunner().invoke(root, words)


def test_a_guard_is_created_changed_shown_and_removed_on_record(run: Run, tmp_path: Path) -> None:
    assert "calls: at most 50 per session: stop" in run(*LOOPS).stdout
    assert run("guards", "change", "loops", "--at-most", "60", "--action", "throttle").exit_code == 0
    (listed,) = (json.loads(line) for line in run("guards", "list", "--json").stdout.splitlines())
    assert (listed["at_most"], listed["action"], listed["hits"]) == ("60", "throttle", 0)
    assert "Nobody went past it." in run("guards", "show", "loops").stdout
    assert run("guards", "remove", "loops", "--reason", "over").exit_code == 0
    assert "No guards yet" in run("guards", "list").stdout
    with open_book(str(tmp_path / "flatfare.db")) as book:
        rows = book.rows("SELECT kind, content FROM chained_records ORDER BY position")
        assert chains.broken_at(book, chains.ORGANISATION) is None
    assert [kind for kind, _ in rows] == ["guard.created", "guard.changed", "guard.removed"]
    assert json.loads(str(rows[1][1])) == {"at_most": ["50", "60"], "action": ["stop", "throttle"]}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--kind", "cost", "--at-most", "2.00"), "cost: at most 2.000000000 per session: stop"),
        (("--kind", "time", "--at-most", "30m", "--per", "task"), "time: at most 30m per task: stop"),
        (("--kind", "retries"), "retries: at most 50 per key: alert"),
        (("--kind", "effort", "--at-most", "low"), "effort: at most low per key: cap"),
        (
            ("--kind", "models", "--at", "90", "--instead", "gpt-4o=gpt-4o-mini"),
            "models: from 90 % of a budget per key: downgrade gpt-4o → gpt-4o-mini",
        ),
        (("--kind", "models", "--model", "*mini"), "models: from 90 % of a budget per key: stop"),
    ],
)
def test_each_kind_takes_its_limit_in_its_own_unit(run: Run, words: tuple[str, ...], said: str) -> None:
    made = run("guards", "create", "--name", "one", *words)
    assert made.exit_code == 0, made.output
    assert said in made.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--kind", "calls"), "has no limit"),
        (("--kind", "calls", "--at-most", "many"), "a whole number was expected"),
        (("--kind", "effort", "--at-most", "lots"), "write one of none"),
        (("--kind", "calls", "--at-most", "5", "--action", "cap"), "calls takes watch"),
        (("--kind", "models", "--instead", "gpt-4o"), "a pattern, and what takes its place"),
    ],
)
def test_what_cannot_be_is_refused_with_what_to_write(run: Run, words: tuple[str, ...], said: str) -> None:
    refused = run("guards", "create", "--name", "one", *words)
    assert refused.exit_code != 0
    assert said in refused.output or said in str(refused.exception)


def test_two_guards_of_one_name_do_not_stand_beside_each_other(run: Run) -> None:
    assert run(*LOOPS).exit_code == 0
    again = run(*LOOPS)
    assert "flatfare guards change loops" in str(again.exception)


def test_a_file_of_budgets_and_guards_is_applied_after_its_plan_was_shown(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "limits.yaml"
    file.write_text(
        "budgets:\n  search: {amount: 5, scope: team=search}\n"
        "guards:\n  loops: {kind: calls, at_most: 50}\n"
        "  frugal: {kind: models, at: 90, budget: search, instead: {gpt-4o: gpt-4o-mini}}\n"
    )
    planned = run("apply", str(file), "--plan").stdout
    assert "create   guard loops: calls: at most 50 per session: stop" in planned
    assert "No guards yet" in run("guards", "list").stdout
    assert run("apply", str(file), "--yes").exit_code == 0
    assert "Nothing to do" in run("apply", str(file), "--yes").stdout
    file.write_text("guards:\n  loops: {kind: calls, at_most: 80, per: task}\n")
    changed = run("apply", str(file), "--yes", "--prune").stdout
    assert "replace  guard loops" in changed
    assert "remove   guard frugal" in changed
    assert "budget" not in changed.partition("Done")[0].replace("guard", ""), (
        "the file says nothing of budgets"
    )
    assert "search" in run("budgets", "list").stdout
    file.write_text("guards:\n  loops: {kind: calls, at_most: 90, per: task}\n")
    assert "change   guard loops: at_most" in run("apply", str(file), "--yes").stdout


def test_a_file_names_the_guard_that_cannot_be(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "limits.yaml"
    file.write_text("guards:\n  loops: {kind: calls, at_most: 50, most: 3}\n")
    assert "The guard 'loops' has 'most'" in str(run("apply", str(file)).exception)


def test_a_key_is_made_with_caps_of_its_own(run: Run) -> None:
    made = run(
        "keys", "create", "--name", "svc", "--max-output-tokens", "800", "--max-effort", "low", "--json"
    )
    key = json.loads(made.stdout)
    guards = [json.loads(line) for line in run("guards", "list", "--json").stdout.splitlines()]
    assert [(one["name"], one["at_most"], one["scope"], one["action"]) for one in guards] == [
        ("svc output", "800", f"key={key['id']}", "cap"),
        ("svc effort", "low", f"key={key['id']}", "cap"),
    ]
    assert (
        run("guards", "create", "--name", "other effort", "--kind", "effort", "--at-most", "low").exit_code
        == 0
    )
    refused = run("keys", "create", "--name", "other", "--max-effort", "low")
    assert "There is a guard 'other effort' already" in str(refused.exception)
    states = {
        one["name"]: one["state"]
        for one in map(json.loads, run("keys", "list", "--all", "--json").stdout.splitlines())
    }
    assert states == {"svc": "active"}, "there is no key without its caps"
