"""``flatfare leaderboard``: what it prints, as tables, data and pages, and how it refuses."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from inline_snapshot import snapshot

from flatfare.cli.root import root
from flatfare.core.errors import BadUsage, NotFound

Run = Callable[..., Result]

BOARD = """benchmark,domain,path,n,successes,total_cost,average_steps
support,retail,large in harness,100,85,54.96,14
support,retail,small in harness,100,80,2.96,15
support,retail,small in harness shortlisted,100,80,2.96,15
support,retail,small in loop,100,76,2.90,15
support,retail,broken,100,3,0.43,0.4
support,retail,few,100,4,1.00,9
support,retail,unrecorded,100,90,,12
support,telecom,large in harness,100,70,60.00,14
support,telecom,small in harness,100,60,3.00,15
"""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "140")

    def call(*arguments: str) -> Result:
        return CliRunner().invoke(root, arguments, catch_exceptions=False)

    return call


@pytest.fixture
def filled(run: Run, tmp_path: Path) -> Run:
    (tmp_path / "board.csv").write_text(BOARD, encoding="utf-8")
    done = run("import", "leaderboard", "board.csv", "--source", "board", "--licence", "MIT")
    assert done.exit_code == 0, done.output
    return run


def trimmed(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.splitlines()).replace("\N{NO-BREAK SPACE}", " ")


def test_the_table_names_ties_as_ranges_and_lists_apart_what_is_not_ranked(filled: Run) -> None:
    shown = filled("leaderboard", "--domain", "retail")
    assert trimmed(shown.stdout) == snapshot("""\
support · retail
                           Per verified                                        Per
Rank     Path                   outcome            95 %  Success     95 %  attempt  Tasks
 1–2  ●  small in harness       $0.0370  $0.0342–0.0416   80.0 %  71–87 %  $0.0296    100
 1–2     small in loop          $0.0382  $0.0348–0.0434   76.0 %  67–83 %  $0.0290    100
   3  ●  large in harness       $0.6466  $0.6060–0.7164   85.0 %  77–91 %  $0.5496    100
● on the frontier: no other is, or may be, both cheaper and verified more often
One more path, whose cost is not wholly known, may be cheaper still.

Not ranked: the cost is not wholly known
            Per verified
Path             outcome  Success  Spent  Tasks
unrecorded             —   90.0 %      —    100  unknown in 100 of 100

Not ranked: fewer than five verified, so only the spend is known
      Per verified
Path       outcome  Success  Spent  Tasks
few              —    4.0 %  $1.00    100

Not ranked: fewer than one step a task, so the set-up was broken
        Per verified
Path         outcome  Success    Spent  Tasks
broken             —    3.0 %  $0.4300    100  0.4 steps a task

Not ranked: the same figures to the last digit, under another name
                              Per verified
Path                               outcome  Success  Spent  Tasks
small in harness shortlisted       $0.0370   80.0 %  $2.96    100  same as small in harness\
""")


def test_json_and_csv_say_the_same_to_the_nano_dollar(filled: Run) -> None:
    document = json.loads(filled("leaderboard", "--json").stdout)
    rows = list(csv.DictReader(io.StringIO(filled("leaderboard", "--csv").stdout)))
    paths = [path for board in document["boards"] for path in board["paths"]]
    assert [row["path"] for row in rows] == [path["path"] for path in paths]
    assert [row["cost_per_verified_outcome"] or None for row in rows] == [
        path["cost_per_verified_outcome"] for path in paths
    ]
    (small,) = [row for row in rows if (row["path"], row["domain"]) == ("small in harness", "retail")]
    assert (small["cost_per_verified_outcome"], small["cost_per_attempt"]) == ("0.037000000", "0.029600000")


def test_a_handoff_cost_turns_the_order(filled: Run) -> None:
    rows = csv.DictReader(
        io.StringIO(filled("leaderboard", "--domain", "telecom", "--handoff-cost", "$5", "--csv").stdout)
    )
    # 70 verified: $60 and thirty failures at $5 each; 60 verified: $3 and forty
    assert [(row["path"], row["cost_per_verified_outcome"]) for row in rows] == [
        ("large in harness", "3.000000000"),
        ("small in harness", "3.383333333"),
    ]


def test_domains_are_ranked_together_when_asked(filled: Run) -> None:
    boards = json.loads(filled("leaderboard", "--pool", "--json").stdout)["boards"]
    assert [board["domain"] for board in boards] == [None, "retail", "telecom"]
    assert [(path["path"], path["tasks"]) for path in boards[0]["paths"]] == [
        ("small in harness", 200),
        ("large in harness", 200),
    ]


def test_own_tasks_stand_beside_published_boards(filled: Run, tmp_path: Path) -> None:
    tasks = ["task,path,success,cost,benchmark,domain"]
    tasks += [f"{at},mine,{at % 2},0.01,support,retail" for at in range(40)]
    (tmp_path / "tasks.csv").write_text("\n".join(tasks), encoding="utf-8")
    done = filled("import", "tasks", "tasks.csv", "--source", "our own", "--at", "2026-11-01")
    assert done.exit_code == 0, done.output
    document = json.loads(filled("leaderboard", "--domain", "retail", "--json").stdout)
    (mine,) = [path for path in document["boards"][0]["paths"] if path["path"] == "mine"]
    assert (mine["tasks"], mine["verified"], mine["cost_per_verified_outcome"]) == (40, 20, "0.020000000")
    assert (mine["source"], mine["interval_from"], mine["failed_share"]) == (
        "our own",
        "costs and counts",
        0.5,
    )


def test_a_period_leaves_out_what_was_opened_outside_it(filled: Run, tmp_path: Path) -> None:
    for day in ("2026-10-01", "2026-11-01"):
        rows = [f"{day}-{at},mine,1,0.01,support,retail" for at in range(20)]
        (tmp_path / f"{day}.csv").write_text(
            "\n".join(["task,path,success,cost,benchmark,domain", *rows]), encoding="utf-8"
        )
        filled("import", "tasks", f"{day}.csv", "--at", day)
    shown = filled("leaderboard", "--domain", "retail", "--since", "2026-11-01", "--json")
    assert [(path["path"], path["tasks"]) for path in json.loads(shown.stdout)["boards"][0]["paths"]] == [
        ("mine", 20)
    ]


def test_the_site_is_written_and_named(filled: Run, tmp_path: Path) -> None:
    pytest.importorskip("vl_convert", reason="needs the charts extra")
    done = filled("leaderboard", "--html", "site")
    assert done.exit_code == 0
    assert "site/index.html" in done.stderr
    assert {file.name for file in (tmp_path / "site").glob("*.html")} >= {"index.html", "support.html"}
    assert "MIT" in (tmp_path / "site" / "sources.html").read_text(encoding="utf-8")


def test_a_full_folder_of_somebody_else_is_refused(filled: Run, tmp_path: Path) -> None:
    pytest.importorskip("vl_convert", reason="needs the charts extra")
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "thesis.txt").write_text("years", encoding="utf-8")
    with pytest.raises(BadUsage, match=r"thesis\.txt"):
        filled("leaderboard", "--html", "site")


def test_an_empty_book_is_told_how_to_fill_it(filled: Run, run: Run, tmp_path: Path) -> None:
    (tmp_path / "plain.csv").write_text("task,path,success\n1,a,1\n", encoding="utf-8")
    run("import", "tasks", "plain.csv", "--at", "2026-11-01", "--database", "other.db", "--lake", "other")
    with pytest.raises(NotFound, match=r"label\.benchmark"):
        run("leaderboard", "--database", "other.db", "--lake", "other")


def test_an_unknown_benchmark_is_told_with_the_known(filled: Run) -> None:
    with pytest.raises(NotFound, match="Did you mean 'support'"):
        filled("leaderboard", "--benchmark", "suport")


@pytest.mark.parametrize(("cost", "said"), [("€5", "an amount in USD"), ("-5", "from 0 up")])
def test_a_handoff_cost_that_is_none_is_refused(filled: Run, cost: str, said: str) -> None:
    refused = filled("leaderboard", "--handoff-cost", cost)
    assert refused.exit_code == 2
    assert "--handoff-cost" in refused.stderr
    assert said in refused.stderr
