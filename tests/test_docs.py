"""The documents are true: links lead somewhere, and what is generated is up to date."""

import doctest
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
_LINK = re.compile(r"\]\((?!https?://|mailto:|#)([^)#\s]+)")


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_every_link_within_the_documents_leads_somewhere(page: Path) -> None:
    for target in _LINK.findall(page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{page.name} links to {target}, which is not there"


def test_the_reference_of_the_command_line_is_what_the_commands_print() -> None:
    result = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "write_cli_reference.py"), "--check"],
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, (
        "Run tools/write_cli_reference.py: a command's help has changed." + result.stderr
    )


def test_every_decision_is_on_the_list() -> None:
    folder = ROOT / "docs" / "decisions"
    listed = set(_LINK.findall((folder / "README.md").read_text(encoding="utf-8")))
    assert {page.name for page in folder.glob("*.md")} - {"README.md"} == listed


def test_the_worked_examples_are_right() -> None:
    """Every figure is computed; the text around the sums repeats them."""
    page = ROOT / "docs" / "worked-examples.md"
    result = doctest.testfile(str(page), module_relative=False, parser=_Fenced(), report=True)
    assert result.attempted > 20
    assert result.failed == 0


class _Fenced(doctest.DocTestParser):
    """Reads the examples of a page; a fence that closes is no output."""

    def parse(self, string: str, name: str = "<string>") -> list[str | doctest.Example]:
        return super().parse(re.sub(r"(?m)^```.*$", "", string), name)
