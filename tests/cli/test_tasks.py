"""Tasks at the command line: one that only calls name is listed, told and judged like any other."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from flatfare.cli.root import root
from flatfare.store.book import open_book
from tests.builders import call, id_of, write_calls

CALLS = """time,provider,model,cost,task,team
2026-11-01T10:00:00Z,openai,gpt-4o,0.25,T-1,search
2026-11-01T10:01:00Z,openai,gpt-4o,0.50,T-1,search
2026-11-02T10:00:00Z,openai,gpt-4o,0.125,T-2,law
"""


@pytest.fixture
def book(tmp_path: Path) -> list[str]:
    given = ["--database", f"sqlite:///{tmp_path}/b.db", "--lake", str(tmp_path / "lake")]
    (tmp_path / "calls.csv").write_text(CALLS, encoding="utf-8")
    assert CliRunner().invoke(root, ["import", "calls", str(tmp_path / "calls.csv"), *given]).exit_code == 0
    return given


def listed(book: list[str], *more: str) -> list[dict[str, object]]:
    told = CliRunner().invoke(root, ["tasks", "list", "--json", *more, *book])
    assert told.exit_code == 0, told.output
    return [json.loads(line) for line in told.stdout.splitlines()]


def test_a_task_that_only_calls_name_is_listed_open_with_what_they_cost(book: list[str]) -> None:
    found = {row["opened_at"]: row for row in listed(book)}
    first = found["2026-11-01T10:00:00Z"]
    assert (first["state"], first["calls"], first["labels"]) == ("open", 2, {"team": "search"})
    assert first["cost"]["amount"] == "0.750000000"  # type: ignore[index]
    assert [row["calls"] for row in listed(book, "--filter", "team=law")] == [1]
    assert [row["calls"] for row in listed(book, "--since", "2026-11-02")] == [1]


def test_it_is_shown_by_its_name_and_judged_and_then_it_is_one_task_still(book: list[str]) -> None:
    shown = CliRunner().invoke(root, ["tasks", "show", "T-1", "--json", *book])
    assert shown.exit_code == 0, shown.output
    story = json.loads(shown.stdout)
    assert (story["external_id"], len(story["calls"]), story["outcome"]) == ("T-1", 2, "open")
    judged = CliRunner().invoke(root, ["tasks", "judge", "T-1", "pass", "--evidence", "read it", *book])
    assert judged.exit_code == 0, judged.output
    rows = {str(row["external_id"]): row for row in listed(book)}
    assert len(rows) == 2
    assert rows["T-1"]["cost"]["amount"] == "0.750000000"  # type: ignore[index]
    assert rows["T-1"]["outcome"] == "verified"


def test_spend_of_which_nothing_is_known_is_unknown_and_never_zero(book: list[str], tmp_path: Path) -> None:
    rows = (
        "time,provider,model,input_tokens,output_tokens,team\n2026-11-03T10:00:00Z,nobody,none-1,10,5,free\n"
    )
    (tmp_path / "more.csv").write_text(rows, encoding="utf-8")
    assert CliRunner().invoke(root, ["import", "calls", str(tmp_path / "more.csv"), *book]).exit_code == 0
    told = json.loads(CliRunner().invoke(root, ["report", "--by", "team", "--json", *book]).stdout)
    by_team = {row["team"]: (row["spend"], row["spend_is_at_least"]) for row in told["rows"]}
    assert by_team == {
        "search": ("0.750000000", False),
        "law": ("0.125000000", False),
        "free": (None, True),
    }
    assert (told["total"]["spend"], told["total"]["spend_is_at_least"]) == ("0.875000000", True)
    lines = CliRunner().invoke(root, ["report", "--by", "team", "--csv", *book]).stdout.splitlines()
    header, free = lines[0].split(","), next(line.split(",") for line in lines if line.startswith("free,"))
    assert (free[header.index("spend")], free[header.index("spend_is_at_least")]) == ("", "true")


def test_each_call_says_by_which_prices_it_was_costed(book: list[str], tmp_path: Path) -> None:
    rows = (
        "time,provider,model,input_tokens,output_tokens,task\n2026-11-03T10:00:00Z,openai,gpt-4o,10,5,T-9\n"
    )
    (tmp_path / "more.csv").write_text(rows, encoding="utf-8")
    assert CliRunner().invoke(root, ["import", "calls", str(tmp_path / "more.csv"), *book]).exit_code == 0
    story = json.loads(CliRunner().invoke(root, ["tasks", "show", "T-9", "--json", *book]).stdout)
    (call,) = story["calls"]
    assert call["price_version"].startswith("openai/gpt-4o@")
    assert (
        f"prices {call['price_version']}" in CliRunner().invoke(root, ["tasks", "show", "T-9", *book]).stdout
    )
    given = json.loads(CliRunner().invoke(root, ["tasks", "show", "T-1", "--json", *book]).stdout)
    assert {(call["cost_basis"], call["price_version"]) for call in given["calls"]} == {("reported", None)}
    assert "prices" not in CliRunner().invoke(root, ["tasks", "show", "T-1", *book]).stdout


def test_a_call_computed_before_prices_were_written_down_says_so(book: list[str], tmp_path: Path) -> None:
    with open_book(f"sqlite:///{tmp_path}/b.db") as opened:
        write_calls(
            opened,
            [call("old", "old task", 5, cost_basis="computed", reported_nano=None, computed_nano=5)],
        )
    shown = CliRunner().invoke(root, ["tasks", "show", id_of("old task"), *book])
    assert "prices not recorded" in shown.stdout
