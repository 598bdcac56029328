"""``flatfare prices``: what it prints, and how it refuses."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from flatfare.cli.prices import prices
from flatfare.core.errors import BadUsage, Conflict, NotFound


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str, **more: object) -> Result:
        return CliRunner().invoke(prices, arguments, catch_exceptions=False, **more)  # type: ignore[arg-type]

    return call


def test_show_names_rate_source_and_day(run) -> None:  # type: ignore[no-untyped-def]
    document = json.loads(run("show", "openai/o3", "--at", "2025-05-01", "--json").stdout)
    (line,) = [row for row in document["rates"] if row["unit"] == "input"]
    assert (line["rate"], line["per"], line["layer"]) == ("10.00", 1_000_000, "reviewed")
    assert line["source"].startswith("https://")
    assert (document["currency"], document["at"]) == ("USD", "2025-05-01T00:00:00Z")


def test_show_reads_conditions(run) -> None:  # type: ignore[no-untyped-def]
    document = json.loads(run("show", "openai/gpt-4.1", "--tier", "batch", "--json").stdout)
    assert {row["unit"]: row["rate"] for row in document["rates"]}["input"] == "1.00"


def test_list_prints_a_line_a_model(run) -> None:  # type: ignore[no-untyped-def]
    rows = [json.loads(line) for line in run("list", "openai", "--json").stdout.splitlines()]
    assert {"provider": "openai", "model": "gpt-4o", "input": "2.50"}.items() <= {
        row["model"]: row for row in rows
    }["gpt-4o"].items()
    assert run("list", "openai", "--like", "gpt-4.1", "--csv").stdout.startswith("provider,model,input,")


def test_an_added_rate_shows_and_adding_it_again_says_so(run) -> None:  # type: ignore[no-untyped-def]
    assert "Added to" in run("add", "openai/gpt-6-mini", "--input", "0.30", "--output", "1.20").stdout
    assert (
        "says that already" in run("add", "openai/gpt-6-mini", "--input", "0.30", "--output", "1.20").stdout
    )
    rows = json.loads(run("show", "openai/gpt-6-mini", "--json").stdout)["rates"]
    assert {row["unit"]: (row["rate"], row["layer"]) for row in rows}["input"] == ("0.30", "own")


def test_a_missing_price_names_the_command(run) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(NotFound, match="Add one: flatfare prices add openai/gpt-6-mini"):
        run("show", "openai/gpt-6-mini")


def test_a_model_in_place_of_a_provider_is_said_with_how_to_find_it(run) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(NotFound, match="A model: flatfare prices list --like gpt-5-mini"):
        run("list", "gpt-5-mini")


def test_the_past_is_not_repriced_by_accident(run) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(Conflict):
        run("add", "openai/gpt-4o", "--input", "2", "--from", "2026-01-01")


@pytest.mark.parametrize(
    "arguments",
    [
        ("show", "gpt-4o"),
        ("add", "openai/x"),
        ("add", "openai/x", "--rate", "input"),
        ("add", "exchange/EUR"),
    ],
)
def test_wrong_use_is_refused(run, arguments: tuple[str, ...]) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(BadUsage):
        run(*arguments)


def test_update_shows_the_difference_and_appends_it(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    source = tmp_path / "newcomer.yaml"
    source.write_text(
        "{provider: newcomer, models: {x: {prices: [{rates: {input: '0.10'}}]}}}", encoding="utf-8"
    )
    first = run("diff", "--from", str(source), "--json")
    assert json.loads(first.stdout)["after"] == "0.10"
    done = run("update", "--from", str(source), "--yes", "--json")
    assert "Appended 1 lines with 1 rates" in done.stderr
    assert "says nothing that the book does not" in run("diff", "--from", str(source)).stderr


def test_exchange_rates_are_added(run) -> None:  # type: ignore[no-untyped-def]
    run("add", "exchange/CNY", "--rate", "0.14", "--from", "2026-11-01")
    run("add", "p/m", "--input", "4", "--currency", "CNY")
    document = json.loads(run("show", "p/m", "--at", "2026-11-20", "--json").stdout)
    assert (document["currency"], document["exchange_rate"]) == ("CNY", "7/50")


def test_history_lists_every_dated_statement(run) -> None:  # type: ignore[no-untyped-def]
    rows = json.loads(run("show", "openai/o3", "--history", "--json").stdout)["history"]
    assert {"until": "2025-06-10", "says": "input 10.00, cache_read 2.50, output 40.00"}.items() <= rows[
        0
    ].items()
    assert "Every statement" in run("show", "deepseek/deepseek-flash", "--history").stdout
