"""The documents are true: links lead somewhere, commands and settings exist, Python in them runs."""

import doctest
import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
import yaml

from flatfare.cli.root import root
from flatfare.config import KNOWN, Settings, load_settings
from tests.documents import PAGES, ROOT, Command, blocks, commands
from tests.runner.rig import Model, provided

_LINK = re.compile(r"\]\((?!https?://|mailto:)([^)#\s]*)(?:#([^)\s]+))?\)")
_GENERATED = {"reference", "dialects", "verifiers"}
WRITTEN = [
    page for page in PAGES if page.parent.name not in _GENERATED and page.name != "CHANGELOG.md"
]  # what has changed may name what is gone


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_every_link_within_the_documents_leads_somewhere(page: Path) -> None:
    for target, heading in _LINK.findall(page.read_text(encoding="utf-8")):
        place = page.parent / target if target else page
        assert place.exists(), f"{page.name} links to {target}, which is not there"
        if heading and place.suffix == ".md":
            assert heading in _headings(place), f"{page.name} links to {target}#{heading}: no such heading"


def _headings(page: Path) -> set[str]:
    """Headings as a link names them."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", WRITTEN, ids=[str(page.relative_to(ROOT)) for page in WRITTEN])
def test_every_command_and_option_that_a_page_shows_exists(page: Path) -> None:
    for command in commands(page):
        _check(command)


def test_a_page_s_commands_are_found_and_looked_at() -> None:
    assert sum(1 for page in WRITTEN for _ in commands(page)) > 200
    for words in (("repot",), ("report", "--bye", "x"), ("keys", "crate")):
        with pytest.raises(AssertionError, match=words[-2] if words[-1] == "x" else words[-1]):
            _check(Command(ROOT / "README.md", words))


def _check(shown: Command) -> None:
    """Each word that names a command or an option names one that there is."""
    command: click.Command = root
    everywhere = {name: option for option in root.params for name in option.opts}
    is_value = False
    for word in shown.words:
        if is_value:
            is_value = False
        elif word.startswith("--"):
            name, _, value = word.partition("=")
            takes = [*command.params, *_of_the_list(command)]
            options = {name: one for one in takes for name in [*one.opts, *one.secondary_opts]}
            option = options.get(name) or everywhere.get(name)
            assert option or name == "--help", f"{shown}: there is no {name}"
            is_value = not value and isinstance(option, click.Option) and not option.is_flag
        elif isinstance(command, click.Group):
            below = [command.get_command(click.Context(command), name) for name in word.split("|")]
            assert all(below), f"{shown}: there is no command {word}"
            command = below[0]  # type: ignore[assignment]


def _of_the_list(command: click.Command) -> list[click.Parameter]:
    """A noun alone lists what there is, and takes what its list takes."""
    listing = command.commands.get("list") if isinstance(command, click.Group) else None
    return listing.params if listing else []


def _settings_shown() -> list[tuple[str, str]]:
    """Blocks that are a flatfare.yaml, or a part of one."""
    found = [(page, block) for page in WRITTEN for block in blocks(page, "yaml")]
    return [
        (str(page.relative_to(ROOT)), block) for page, block in found if set(yaml.safe_load(block)) <= KNOWN
    ]


@pytest.mark.parametrize(("page", "block"), _settings_shown())
def test_settings_that_a_page_shows_are_settings(page: str, block: str, tmp_path: Path) -> None:
    (tmp_path / "flatfare.yaml").write_text(block)
    environment = dict.fromkeys(re.findall(r"\$\{(\w+)\}", block), "https://example.org/x")
    load_settings(tmp_path / "flatfare.yaml", environment)


def test_settings_are_shown_somewhere() -> None:
    assert {"docs/guides/production.md", "docs/guides/budgets.md"} <= {page for page, _ in _settings_shown()}


def test_every_setting_is_listed_and_nothing_else() -> None:
    text = (ROOT / "docs" / "settings.md").read_text().partition("## Environment")[0]
    named = re.findall(r"^\| ([^|]+) \|", text, re.MULTILINE)
    assert {name for cell in named for name in re.findall(r"`(\w+)`", cell)} == KNOWN


def test_every_variable_of_the_environment_is_listed() -> None:
    sources = [*(ROOT / "src").rglob("*.py"), *(ROOT / "sdk" / "src").rglob("*.py")]
    read = {name for source in sources for name in re.findall(r"\"(FLATFARE_[A-Z_]+)\"", source.read_text())}
    text = (ROOT / "docs" / "settings.md").read_text()
    assert read - set(re.findall(r"FLATFARE_[A-Z_]+", text)) == set()


def test_the_table_of_settings_names_settings_and_their_defaults() -> None:
    text = (ROOT / "docs" / "guides" / "gateway.md").read_text()
    rows = re.findall(r"^\| `((?:limits|timeouts|retries|policies)\.\w+)` \| ([^|]+) \|", text, re.MULTILINE)
    assert len(rows) > 15
    for name, default in rows:
        group, _, key = name.partition(".")
        value = _written(getattr(getattr(Settings(), group), key))
        assert default.strip().strip("`") == value, f"{name} is {value}"


def _written(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value).lower()


_README = """
contract = "x"

def ask(client, rung, contract):
    return rung

def complete(answer):
    return answer == "gpt-4o"
"""
PROGRAMS = {
    "README.md": _README,
    "sdk/README.md": "def check(answer): return True\n",
    "docs/costing.md": "",
    "docs/guides/sdk.md": "",
    "docs/adding-a-provider.md": "",
}
"""Pages whose Python runs as one program, and what it takes for granted."""


@pytest.mark.parametrize("page", PROGRAMS)
def test_the_python_of_a_page_runs(page: str, tmp_path: Path) -> None:
    program = "\n".join([PROGRAMS[page], *blocks(ROOT / page, "python")])
    (tmp_path / "response.json").write_text(_ANSWER)
    with provided(Model()) as port:
        here = f"http://127.0.0.1:{port}"
        own = {"OPENAI_BASE_URL": f"{here}/v1", "OPENAI_API_KEY": "x", "FLATFARE_OFF": "1"}
        program = program.replace("http://127.0.0.1:4180", here).replace("[...]", _SAID)
        result = subprocess.run(
            [sys.executable, "-c", program],
            cwd=tmp_path,
            env={**os.environ, **own},
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert result.returncode == 0, result.stderr


def test_the_cost_that_the_readme_prints_is_right(tmp_path: Path) -> None:
    import flatfare

    for page in ("README.md", "docs/costing.md"):
        assert "Cost('$0.0087', measured)" in (ROOT / page).read_text()
    metered = flatfare.meter(_ANSWER.encode(), provider="openai", endpoint="chat.completions")
    assert repr(metered.cost) == "Cost('$0.0087', measured)"


_SAID = '[{"role": "user", "content": "x"}]'
_ANSWER = """{
  "object": "chat.completion", "model": "gpt-4o-2024-08-06", "created": 1750000000, "choices": [],
  "usage": {
    "prompt_tokens": 2000, "completion_tokens": 500, "prompt_tokens_details": {"cached_tokens": 1024}
  }
}"""


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
    listed = {target for target, _ in _LINK.findall((folder / "README.md").read_text(encoding="utf-8"))}
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
