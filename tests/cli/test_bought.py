"""Bought outcomes on the command line: a statement in, what it was, and a dispute out."""

import csv
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from flatfare.cli.root import root
from flatfare.core.errors import FlatfareError

STATEMENT = """id,conversation_id,date,amount
1,C1,2025-09-01,0.99
2,C1,2025-09-02,0.99
3,C2,2025-09-02,0.99
4,=C3,2025-09-02,0.99
"""
TICKETS = "conversation_id,closed_at,times_reopened\nC1,2025-09-01,0\nC2,2025-09-02,1\n=C3,2025-09-02,0\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s.csv").write_text(STATEMENT)
    (tmp_path / "t.csv").write_text(TICKETS)
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(root, arguments, catch_exceptions=True)


def test_a_statement_comes_in_and_is_told_apart(folder: Path) -> None:
    brought = run("import", "bought", "s.csv", "--vendor", "zendesk", "--tickets", "t.csv")
    assert (
        brought.stdout
        == "s.csv: 3 conversations read, 3 new, 0 known, 0 rejected, 4 new lines, 1 verdicts.\n"
    )
    (told,) = json.loads(run("bought", "report", "--json").stdout)
    assert (told["billed"], told["vendor"], told["conversations"]) == ("3.960000000", "zendesk", 3)
    assert {state: one["lines"] for state, one in told["bought"].items() if one["lines"]} == {
        "assumed": 2,
        "reopened": 1,
        "duplicate": 1,
    }
    assert told["cost_per_verified_outcome"] is None
    assert told["list_price"]["amount"] == "1.500000000"
    table = run("bought", "report")
    assert "never" not in table.stdout
    assert "what a verified outcome costs is not known: none was verified." in table.stdout
    assert run("bought", "report", "--csv").stdout.splitlines()[0] == "vendor,state,lines,amount"


def test_a_dispute_is_written_as_csv_and_as_json(folder: Path) -> None:
    run("import", "bought", "s.csv", "--vendor", "zendesk", "--tickets", "t.csv")
    said = run("bought", "dispute", "--out", "d.csv", "--include-assumed").stdout
    assert said == "d.csv: 4 of 4 lines disputed, $3.96 claimed.\n"
    with (folder / "d.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["statement_line"], row["reason"], row["claimed"]) for row in rows] == [
        ("2", "assumed", "0.990000000"),
        ("3", "duplicate", "0.990000000"),
        ("4", "reopened", "0.990000000"),
        ("5", "assumed", "0.990000000"),
    ]
    assert rows[3]["conversation"] == "'=C3"  # no formula of theirs runs in our spreadsheet
    assert "signal:reopened" in rows[2]["evidence"]
    run("bought", "dispute", "--out", "d.json")
    assert json.loads((folder / "d.json").read_text())["claimed"] == "1.980000000"


def test_a_statement_that_cannot_be_read_keeps_no_other_out(folder: Path) -> None:
    result = run("import", "bought", "none.csv", "s.csv", "--vendor", "zendesk")
    assert result.exit_code == 1
    assert "flatfare: There is no file none.csv." in result.stderr
    assert result.stdout.startswith("s.csv: ")


def test_what_cannot_be_is_told(folder: Path) -> None:
    nothing = run("bought", "report", "--database", "sqlite:///o.db")
    assert isinstance(nothing.exception, FlatfareError)
    run("import", "bought", "s.csv", "--vendor", "zendesk")
    run("import", "bought", "s.csv", "--vendor", "sierra")
    for arguments, said in (
        (("dispute", "--out", "d.txt"), "ends in .csv or .json"),
        (("dispute", "--out", "d.csv"), "say which with --vendor"),
        (("report", "--vendor", "hubspot"), "no statement of hubspot"),
    ):
        result = run("bought", *arguments)
        assert isinstance(result.exception, FlatfareError)
        assert said in str(result.exception)


def test_the_vendors_that_facts_are_known_of(folder: Path) -> None:
    lines = run("bought", "vendors", "--json").stdout.splitlines()
    told = {one["key"]: one for one in map(json.loads, lines)}
    assert told["intercom-fin"]["price"] == "0.990000000"
    assert told["servicenow"]["price"] is None
    assert all(one["source"] and one["checked"] for one in told.values())
