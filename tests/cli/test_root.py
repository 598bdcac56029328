"""The command line's frame: every noun is found, explained, and takes the options that work everywhere."""

import json
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from flatfare.cli.output import print_document
from flatfare.cli.root import _brief, root

COMMANDS = root.list_commands(click.Context(root))


def every_command(
    group: click.Group, trail: tuple[str, ...] = ()
) -> list[tuple[tuple[str, ...], click.Command]]:
    found: list[tuple[tuple[str, ...], click.Command]] = []
    for name in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), name)
        assert command is not None
        found.append(((*trail, name), command))
        if isinstance(command, click.Group):
            found += every_command(command, (*trail, name))
    return found


ALL = every_command(root)


@pytest.mark.parametrize("name", COMMANDS)
def test_each_noun_says_in_one_line_what_it_does(name: str) -> None:
    assert len(_brief(name)) > 10, (
        f"cli/{name}.py begins with a line like: ``flatfare {name}``: what it does."
    )


@pytest.mark.parametrize(("trail", "command"), ALL, ids=[" ".join(trail) for trail, _ in ALL])
def test_each_command_is_documented_and_takes_the_options_that_work_everywhere(
    trail: tuple[str, ...], command: click.Command
) -> None:
    assert command.help, f"flatfare {' '.join(trail)} has no help"
    names = {option for param in command.params for option in param.opts}
    assert {"--config", "--database", "--lake"} <= names
    for param in command.params:
        if isinstance(param, click.Option) and not param.hidden:
            assert param.help, f"{param.opts} of flatfare {' '.join(trail)} has no help"


SHOWN = (
    "actions",
    "audit",
    "budgets",
    "commitments",
    "customers",
    "invoices",
    "packs",
    "prices",
    "verifiers",
)


@pytest.mark.parametrize("noun", SHOWN)
def test_a_noun_alone_shows_what_there_is(noun: str, tmp_path: Path) -> None:
    given = ["--database", f"sqlite:///{tmp_path}/b.db", "--lake", str(tmp_path / "lake")]
    CliRunner().invoke(root, ["budgets", "list", *given])  # makes the book
    told = CliRunner().invoke(root, [noun, "--json", *given])
    assert told.exit_code == 0, told.output
    text = told.stdout.strip()
    documents = [json.loads(text)] if noun == "audit" else [json.loads(line) for line in text.splitlines()]
    assert bool(documents) == (noun in ("audit", "prices", "verifiers"))
    assert CliRunner().invoke(root, [*given, noun, "--csv"]).exit_code == 0
    assert CliRunner().invoke(root, [noun, "--help"]).output.startswith("Usage:")


def test_the_summary_is_data_too_without_a_command(tmp_path: Path) -> None:
    given = ["--database", f"sqlite:///{tmp_path}/none.db"]
    assert json.loads(CliRunner().invoke(root, ["--json", *given]).stdout)["is_empty"] is True
    assert CliRunner().invoke(root, [*given, "--csv"]).stdout.splitlines()[0] == "is_empty,next"


READS_ALONE = {
    "actions check",
    "actions price",
    "actions receipt",
    "actions show",
    "audit verify",
    "estimate",
} | {
    *("meter", "outcomes definitions", "plans list", "reviews agreement", "reviews show", "tasks show"),
    *("bought vendors", "summary", "verifiers check", "verifiers calibrate", "actions diff"),
    *("disputes show", "ledger sale", "ledger verify"),
}


@pytest.mark.parametrize("words", sorted(READS_ALONE))
def test_what_is_read_comes_as_json_and_as_csv(words: str) -> None:
    [command] = [command for trail, command in ALL if " ".join(trail) == words]
    assert {"--json", "--csv"} <= {option for param in command.params for option in param.opts}


def test_a_document_as_csv_is_a_row_with_a_dotted_column_for_what_is_nested(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_document({"cost": {"amount": "1.00", "reason": None}, "notes": ["a", "b"]}, "csv")
    assert capsys.readouterr().out == 'cost.amount,cost.reason,notes\n1.00,,"[""a"", ""b""]"\n'


def test_a_misspelt_command_is_guessed() -> None:
    result = CliRunner().invoke(root, ["docter"])
    assert result.exit_code == 2
    assert "Did you mean 'doctor'?" in result.output


def test_the_book_can_be_named_before_and_behind_the_command(tmp_path: Path) -> None:
    for arguments in (["--database", "x.db", "seal"], ["seal", "--database", "x.db"]):
        result = subprocess.run(
            [sys.executable, "-m", "flatfare", *arguments], cwd=tmp_path, capture_output=True, text=True
        )
        assert result.returncode == 1
        assert "no book at x.db" in result.stderr


def test_settings_that_are_wrong_are_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "flatfare.yaml").write_text("datbase: x\n", encoding="utf-8")
    result = subprocess.run(
        [sys.executable, "-m", "flatfare", "seal"], cwd=tmp_path, capture_output=True, text=True
    )
    assert result.returncode == 1
    assert result.stderr.startswith("flatfare: The configuration flatfare.yaml sets 'datbase'")


def test_help_needs_no_heavy_module() -> None:
    probe = (
        "import sys; sys.argv = ['flatfare', '--help']\n"
        "from flatfare.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'duckdb', 'rich', 'yaml', 'genai_prices', 'msgspec', 'jinja2'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    result = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_what_a_group_s_commands_do_is_said_in_whole_sentences() -> None:
    printed = CliRunner().invoke(root, ["import", "--help"]).output
    assert "..." not in printed.partition("Commands:")[2]
    assert "One row a task: path, labels, outcome, and its cost if that is all there is" in " ".join(
        printed.split()
    )


@pytest.mark.parametrize(
    "words", ["alerts list", "disputes list", "invoices list", "ledger entries", "report"]
)
def test_a_list_of_moments_takes_a_period(words: str) -> None:
    [command] = [command for trail, command in ALL if " ".join(trail) == words]
    assert {"--since", "--until"} <= {option for param in command.params for option in param.opts}


EUROS = (
    ("commitments", "add", "seats", "--kind", "seat", "--from", "2026-01-01", "--amount", "€20"),
    ("tasks", "rework", "T-1", "5", "--rate", "€60"),
    ("report", "--handoff-cost", "€5"),
    ("import", "tasks", "tasks.csv", "--rework-rate", "€60"),
    ("budgets", "create", "--name", "all", "--amount", "€5"),
)


@pytest.mark.parametrize("words", EUROS, ids=[" ".join(words[:2]) for words in EUROS])
def test_an_amount_in_another_currency_is_not_taken_for_dollars(
    words: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / "tasks.csv").write_text("task\nT-1\n", encoding="utf-8")
    files = [str(tmp_path / word) if word == "tasks.csv" else word for word in words]
    told = CliRunner().invoke(root, [*files, "--database", f"sqlite:///{tmp_path}/b.db"])
    assert told.exit_code == 2
    assert "an amount in USD was expected" in told.output
