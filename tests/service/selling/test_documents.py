"""The ledger's page and the guide say what the product does."""

import re
import shlex
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from flatfare.cli.root import root
from flatfare.core.action_price import parse_price
from flatfare.core.ledger import Kind, Verb

DOCS = Path(__file__).parents[3] / "docs"
PAGE = (DOCS / "ledger.md").read_text(encoding="utf-8")
GUIDE = (DOCS / "guides" / "selling.md").read_text(encoding="utf-8")


def rows_under(title: str) -> list[list[str]]:
    """The rows of the first table under a title, cell by cell."""
    section = PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0]
    rows = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in row] for row in rows]


def test_the_page_names_every_account_and_no_other() -> None:
    assert [row[0].strip("`") for row in rows_under("Accounts")] == sorted(Kind, key=list(Kind).index)
    assert all(len(row) == 5 and all(row) for row in rows_under("Accounts"))


def test_the_page_names_every_entry_and_no_other() -> None:
    assert {row[0].strip("`") for row in rows_under("Entries")} == set(Verb)


def test_the_commands_of_the_guide_run_as_they_stand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    block = re.search(r"```\n(.*?)```", GUIDE, re.DOTALL)
    assert block is not None
    for line in block[1].splitlines():
        program, *words = shlex.split(line, comments=True)
        assert program == "flatfare"
        result = CliRunner().invoke(root, words)
        assert result.exit_code == 0, (line, result.output, result.exception)


def test_the_prices_of_the_guide_are_prices() -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", GUIDE, re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        parse_price(yaml.safe_load(block)["price"])
