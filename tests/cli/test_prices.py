"""``flatfare prices``: what it prints, and how it refuses."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from flatfare.cli.prices import prices
from flatfare.cli.root import root
from flatfare.core.errors import BadUsage, Conflict, NotFound
from flatfare.store.book import open_book
from flatfare.store.lake import Lake
from flatfare.store.reading import opened
from tests.store.rows import call, place, write


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


def version_of(run, *model: str) -> str:  # type: ignore[no-untyped-def]
    return str(json.loads(run("show", *model, "--json").stdout)["version"])


def test_a_version_is_looked_up_as_the_price_book_has_it(run) -> None:  # type: ignore[no-untyped-def]
    version = version_of(run, "openai/gpt-4.1", "--tier", "batch")
    document = json.loads(run("version", version, "--json").stdout)
    assert (document["version"], document["kept_at"]) == (version, None)
    assert {row["unit"]: row["rate"] for row in document["rates"]}["input"] == "1.00"
    shown = run("version", version).stdout
    assert f"Version {version}. Not kept here: as the price book has them." in shown
    assert run("version", version, "--csv").stdout.startswith(
        "version,provider,model,currency,unit,rate,per,"
    )


def test_own_prices_have_a_version_of_their_own(run) -> None:  # type: ignore[no-untyped-def]
    before = version_of(run, "openai/gpt-4o")
    run("add", "openai/gpt-4o", "--input", "2", "--output", "8")
    after = version_of(run, "openai/gpt-4o")
    assert ":own:" in after
    rows = [json.loads(line) for line in run("version", before, after, "--json").stdout.splitlines()]
    inputs = [rate["rate"] for row in rows for rate in row["rates"] if rate["unit"] == "input"]
    assert inputs == ["2.50", "2.00"]


def test_prices_that_are_not_here_are_said_not_to_be(run) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(NotFound, match="This installation does not have the prices openai/gpt-4o@2020"):
        run("version", "openai/gpt-4o@2020-01-01:own:0123456789ab")
    with pytest.raises(BadUsage, match="where a version of prices was expected"):
        run("version", "gpt-4o")


def test_what_calls_were_costed_with_is_kept_over_a_correction(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """A call stays explained where the price book says something else of its day by now."""
    assert "No prices are kept yet" in run("version").stderr
    run("add", "p/m", "--input", "2", "--output", "8", "--from", "2026-01-01")
    calls = tmp_path / "calls.csv"
    calls.write_text(
        "id,time,provider,model,input_tokens,output_tokens\n"
        "1,2026-06-01T00:00:00Z,p,m,1000,100\n2,2026-06-01T00:00:00Z,p,nobody-s,1000,100\n",
        encoding="utf-8",
    )
    CliRunner().invoke(root, ["import", "calls", str(calls)], catch_exceptions=False)
    (kept,) = [json.loads(line) for line in run("version", "--json").stdout.splitlines()]
    with open_book(f"sqlite:///{tmp_path}/flatfare.db") as book:
        lake = Lake(tmp_path / "lake")
        with opened(book, lake, "calls") as engine:
            rows = engine.execute(
                "SELECT cost_nano, price_version FROM calls ORDER BY external_id"
            ).fetchall()
    assert rows == [(2_800_000, kept["version"]), (None, None)]
    run("add", "p/m", "--input", "3", "--output", "9", "--from", "2026-01-01", "--correct")
    assert version_of(run, "p/m", "--at", "2026-06-01") != kept["version"]
    document = json.loads(run("version", kept["version"], "--json").stdout)
    assert [row["rate"] for row in document["rates"]] == ["2.00", "8.00"]
    assert document["kept_at"] == kept["kept_at"]


def test_calls_that_cannot_be_priced_anew_are_counted_with_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    book, _ = place(tmp_path)
    several = "openai/gpt-5@always:shipped:0123456789ab,openai/gpt-image-1@always:shipped:0123456789ab"
    write(book, [call(0, model="gpt-5"), *(call(number, price_version=several) for number in (1, 2))])
    book.close()
    done = CliRunner().invoke(root, ["adjust", "reprice", "--since", "2020-01-01"])
    first, second = done.stdout.splitlines()
    assert first == "Priced anew: 1 call changed."
    assert second.startswith("Left as they are: 2 calls, since several models served them, and a call keeps")
