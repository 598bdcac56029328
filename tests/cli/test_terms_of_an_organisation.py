"""Terms for one organisation, from the command that adds them to every cost that goes by them."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from flatfare.cli.root import root
from flatfare.core.errors import BadInput, BadUsage
from tests.cli.test_meter import KNOWN

AT_LIST_PRICE, AT_HALF = "0.008720000", "0.004360000"
HALF = ("prices", "add", "openai/*", "--times", "0.5", "--units", "all", "--organisation", "acme")
SINCE = ("--from", "2025-01-01", "--correct")
CALLS = "id,timestamp,provider,model,prompt_tokens,completion_tokens\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "answer.json").write_text(json.dumps(KNOWN), encoding="utf-8")
    (tmp_path / "calls.csv").write_text(CALLS + "a,2026-01-01T00:00:00Z,openai,gpt-4o,2000,500\n")
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(root, arguments, catch_exceptions=False)


def of(folder: Path, organisation: str) -> None:
    (folder / "flatfare.yaml").write_text(f"organisation: {organisation}\n")


def metered() -> str:
    return str(
        json.loads(run("meter", "answer.json", "--provider", "openai", "--json").stdout)["cost"]["amount"]
    )


def reported() -> str:
    return str(json.loads(run("report", "--since", "2026-01-01", "--json").stdout)["rows"][0]["spend"])


def test_the_meter_goes_by_the_terms_of_its_own_organisation_alone(folder: Path) -> None:
    of(folder, "acme")
    assert metered() == AT_LIST_PRICE
    assert run(*HALF, *SINCE).exit_code == 0
    assert metered() == AT_HALF
    of(folder, "other")
    assert metered() == AT_LIST_PRICE


def test_own_rates_for_nobody_in_particular_hold_for_everybody(folder: Path) -> None:
    assert run(*HALF[:-2], *SINCE).exit_code == 0
    assert metered() == AT_HALF
    of(folder, "acme")
    assert metered() == AT_HALF


def test_an_import_and_a_new_pricing_go_by_them(folder: Path) -> None:
    run("import", "calls", "calls.csv")
    assert reported() == "0.010000000"
    of(folder, "acme")
    run(*HALF, *SINCE)
    assert reported() == "0.010000000"  # the past keeps its price until somebody asks
    run("adjust", "reprice", "--since", "2026-01-01", "--reason", "negotiated")
    assert reported() == "0.005000000"
    (folder / "more.csv").write_text((folder / "calls.csv").read_text().replace("\na,", "\nb,"))
    run("import", "calls", "more.csv")
    assert reported() == "0.010000000"


@pytest.mark.parametrize("named", ["", "organisation: other\n"])
def test_terms_that_would_hold_for_no_call_are_refused_and_not_written(folder: Path, named: str) -> None:
    (folder / "flatfare.yaml").write_text(named)
    with pytest.raises(BadUsage, match=r"hold for no call here\. Leave .* flatfare.yaml: organisation: acme"):
        run(*HALF)
    assert not (folder / "flatfare.prices.jsonl").exists()


def test_what_is_the_same_for_every_organisation_is_not_said_for_one(folder: Path) -> None:
    of(folder, "acme")
    with pytest.raises(BadUsage, match="leave --organisation out"):
        run("prices", "add", "exchange/EUR", "--rate", "1.08", "--organisation", "acme")
    for said in (("--free",), ("--same-as", "openai/gpt-4o")):
        with pytest.raises(BadInput, match="leave it out"):
            run("prices", "add", "local/llama", *said, "--organisation", "acme")


def test_the_history_says_whose_terms_they_are(folder: Path) -> None:
    of(folder, "acme")
    run(*HALF)
    rows = json.loads(run("prices", "show", "openai/gpt-4o", "--history", "--json").stdout)["history"]
    assert [row["when"] for row in rows if row["layer"] == "own"] == ["organisation acme"]


def warnings() -> list[str]:
    findings = json.loads(run("doctor", "--json").stdout)["findings"]
    return [one["what"] for one in findings if one["check"] == "prices"]


def test_the_doctor_tells_of_terms_that_hold_for_no_call(folder: Path) -> None:
    run("import", "calls", "calls.csv")
    of(folder, "acme")
    run(*HALF)
    assert warnings() == []
    (folder / "flatfare.yaml").write_text("")
    (said,) = warnings()
    assert said.startswith("1 rates or terms in flatfare.prices.jsonl are for acme, and the settings name no")
    of(folder, "Acme")
    assert "the settings name 'Acme': no call here" in warnings()[0]
