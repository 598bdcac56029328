"""A report drawn into a file: the chart that suits its key, its figures, and plain errors."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from flatfare.cli.root import root
from flatfare.config import Settings
from flatfare.core.errors import BadInput, BadUsage
from tests.builders import book_in

Run = Callable[..., Result]


@pytest.fixture
def run(lively_settings: Settings) -> Run:
    """Runs a command on the firm's book."""

    def command(*words: str) -> Result:
        places = ["--database", lively_settings.database, "--lake", lively_settings.lake]
        return CliRunner().invoke(root, [*words, *places])

    return command


def drawn(run: Run, file: Path, *words: str) -> str:
    """The SVG that a report was drawn as."""
    result = run("report", *words, "--chart", str(file))
    assert result.exit_code == 0, result.output
    return file.read_text(encoding="utf-8")


def test_by_path_it_is_cost_against_success_with_the_frontier(run: Run, tmp_path: Path) -> None:
    text = drawn(run, tmp_path / "a.svg", "--by", "path")
    for said in ("Success rate", "log scale", "deep thought", "the frontier", "95 % intervals"):
        assert said in text


@pytest.mark.parametrize("key", ["day", "week", "month", "quarter"])
def test_by_time_it_is_the_price_of_outcomes_above_that_of_tokens(run: Run, tmp_path: Path, key: str) -> None:
    text = drawn(run, tmp_path / "a.svg", "--by", key)
    assert "Cost per verified outcome" in text
    assert "Price per million tokens" in text
    assert "Success rate" not in text


def test_else_it_is_a_bar_a_group_with_the_figure_of_the_table(run: Run, tmp_path: Path) -> None:
    text = drawn(run, tmp_path / "a.svg", "--by", "team")
    table = run("report", "--by", "team").stdout
    assert "Cost per verified outcome by team" in text
    for team in ("search", "support", "legal"):
        line = next(line for line in table.splitlines() if line.startswith(team))
        figure = line.split("$")[1].split()[0]
        assert f"${figure}" in text, line


def test_spend_is_drawn_where_no_group_has_a_price_per_outcome(run: Run, tmp_path: Path) -> None:
    text = drawn(run, tmp_path / "a.svg", "--by", "purpose,model")
    assert "by purpose, model" in text


def test_a_png_is_one(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "chart.PNG"
    assert run("report", "--chart", str(file)).exit_code == 0
    assert file.read_bytes().startswith(b"\x89PNG\r\n")


def test_json_beside_a_chart_stays_json_alone(run: Run, tmp_path: Path) -> None:
    result = run("report", "--json", "--chart", str(tmp_path / "a.svg"))
    assert result.stdout.startswith("{")
    assert "a.svg" in result.stderr
    assert "a.svg" not in result.stdout


@pytest.mark.parametrize("name", ["chart.jpg", "chart", "svg"])
def test_another_ending_is_refused_with_those_there_are(run: Run, tmp_path: Path, name: str) -> None:
    result = run("report", "--chart", str(tmp_path / name))
    assert isinstance(result.exception, BadUsage)
    assert ".svg or .png" in str(result.exception)
    assert not (tmp_path / name).exists()


def test_turns_have_no_chart(run: Run, tmp_path: Path) -> None:
    result = run("report", "--by", "turn", "--chart", str(tmp_path / "a.svg"))
    assert isinstance(result.exception, BadUsage)


def test_a_folder_that_is_not_there_is_said(run: Run, tmp_path: Path) -> None:
    result = run("report", "--chart", str(tmp_path / "none" / "a.svg"))
    assert isinstance(result.exception, BadInput)
    assert "cannot be written" in str(result.exception)


def test_without_the_drawing_library_it_says_what_to_install(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    result = run("report", "--chart", str(tmp_path / "a.png"))
    assert isinstance(result.exception, BadUsage)
    assert "pip install 'flatfare[charts]'" in str(result.exception)


def test_an_empty_book_draws_nothing(tmp_path: Path) -> None:
    book_in(tmp_path)
    file = tmp_path / "a.svg"
    places = ["--database", f"{tmp_path}/flatfare.db", "--lake", f"{tmp_path}/lake"]
    result = CliRunner().invoke(root, ["report", "--chart", str(file), *places])
    assert result.exit_code == 0
    assert "no task and no call" in result.stderr
    assert not file.exists()
