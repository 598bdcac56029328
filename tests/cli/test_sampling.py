"""``flatfare verifiers sample`` and ``calibrate --plan``: a model looks again, or people do."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from flatfare.cli.root import root
from flatfare.core.identity import derived
from flatfare.service.tasks.recording import Teller, record
from flatfare.store.book import open_book
from flatfare.store.lake import Lake
from tests.verifiers.judges import Asked, Judge, judging, says

NOW_US = 1_790_000_000_000_000


def right(asked: Asked) -> object:
    """A judge that never errs: the work says whether it is done."""
    return says("yes" if asked.parts["WORK"] == "done" else "no")(asked)


@pytest.fixture
def judge() -> Iterator[Judge]:
    with judging(right) as judge:  # type: ignore[arg-type]
        yield judge


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, judge: Judge) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    providers = {
        name: {"base_url": one.base_url, "dialect": one.dialect, "api_key": str(one.api_key)}
        for name, one in judge.settings().providers.items()
    }
    Path("flatfare.yaml").write_text(yaml.safe_dump({"providers": providers}), encoding="utf-8")
    events: list[dict[str, object]] = []
    for number in range(120):
        name = f"T-{number}"
        events.append(
            {"event": "opened", "id": str(derived("o", name)), "task": name, "at": NOW_US, "name": "qa"}
        )
        said = "pass" if (number % 2 == 0) is (number % 5 != 0) else "fail"
        events.append(
            {
                "event": "judged",
                "id": str(derived("v", name)),
                "task": name,
                "at": NOW_US + 1,
                "verifier": "cheap-judge",
                "version": "1",
                "judgement": said,
                "evidence": {},
            }
        )
    with open_book("sqlite:///flatfare.db") as book:
        record(book, Lake("./lake"), events, Teller("test"), now_us=NOW_US)
    lines = [
        json.dumps({"task": f"T-{n}", "output": "done" if n % 2 == 0 else "not done"}) for n in range(120)
    ]
    Path("work.jsonl").write_text("\n".join(lines), encoding="utf-8")


def run(*words: str) -> Result:
    return CliRunner().invoke(root, words)


ADD = ("verifiers", "sample", "add", "weekly", "--share", "60%", "--action", "qa", "--since", "2020-01-01")
STRONG = "{models: [openai/gpt-4o], rubric: It is done., samples: 1}"


def test_a_stronger_verifier_labels_a_share_and_the_judge_is_calibrated_by_it(judge: Judge) -> None:
    added = run(*ADD, "--judge", "cheap-judge", "--to", "model-judge", "--params", STRONG, "--as", "strong")
    assert added.exit_code == 0, added.output
    waiting = [
        json.loads(line)
        for line in run("verifiers", "sample", "drawn", "weekly", "--json").stdout.splitlines()
    ]
    assert 50 < len(waiting) < 95
    assert run("verifiers", "sample", "run", "weekly").stdout.startswith(
        f"weekly: {len(waiting)} without content"
    )
    done = run("verifiers", "sample", "run", "weekly", "--from", "work.jsonl", "--direct", "--json")
    assert done.exit_code == 0, done.output
    counts = json.loads(done.stdout)
    assert counts["pass"] + counts["fail"] == len(waiting) == len(judge.asked)
    found = run("verifiers", "calibrate", "--plan", "weekly", "--by", "action", "--json")
    assert found.exit_code == 0, found.output
    document = json.loads(found.stdout)
    assert (document["judge"], document["truth"]) == ("cheap-judge", "strong")
    assert document["total"]["labels"] == len(waiting)
    assert document["total"]["tasks"] == 120
    assert document["domains"][0]["sensitivity"]["share"] == pytest.approx(0.8, abs=0.15)
    assert run("verifiers", "sample", "run", "weekly", "--from", "work.jsonl", "--direct").stdout == (
        "weekly: nothing waits.\n"
    )


def test_people_label_a_share(judge: Judge) -> None:
    assert run(*ADD, "--judge", "cheap-judge", "--reviewers", "1").exit_code == 0
    asked = json.loads(run("verifiers", "sample", "run", "weekly", "--from", "work.jsonl", "--json").stdout)
    assert asked["asked"] > 50
    sheet = json.loads(run("reviews", "next", "--as", "ann", "--json").stdout)
    assert sheet["waiting"] == asked["asked"]
    assert sheet["review"]["shown"]["output"] in ("done", "not done")
    assert judge.asked == []


def test_plans_are_listed_and_end() -> None:
    assert "No plans" in run("verifiers", "sample", "list").stdout
    assert run(*ADD).exit_code == 0
    (row,) = (json.loads(line) for line in run("verifiers", "sample", "list", "--json").stdout.splitlines())
    assert (row["plan"], row["share"], row["verifier"]) == ("weekly", "0.6", "human-review")
    assert run("verifiers", "sample", "end", "weekly").exit_code == 0
    assert "No plans" in run("verifiers", "sample", "list").stdout
    assert run(*ADD[:-4], "--params", "{}").exit_code != 0
    assert run(*ADD[:3], "other", "--share", "5%", "--to", "model-judge").exit_code != 0  # no rubric
    assert run("verifiers", "calibrate").exit_code != 0


def test_a_verdict_is_put_on_a_task_where_asked(judge: Judge) -> None:
    Path("out.txt").write_text("done", encoding="utf-8")
    words = ("verifiers", "check", "model-judge", "--output", "out.txt", "--params", STRONG, "--direct")
    assert "model-judge" not in run("tasks", "show", "T-0").stdout
    for _ in range(2):
        assert run(*words, "--task", "T-0", "--record").exit_code == 0
    shown = json.loads(run("tasks", "show", "T-0", "--json").stdout)
    assert str(shown).count("'model-judge'") == 2  # judged anew, and both stand
    assert run(*words, "--record").exit_code != 0
