"""The guide to actions does what it says: from an empty folder to a paid run and an unpaid one."""

import doctest
import json
import re
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from flatfare.cli.actions import _print_advice
from flatfare.cli.root import root
from flatfare.service.actions import advising
from tests.runner.rig import Model, provided
from tests.service.actions.test_advising import steady

GUIDE = (Path(__file__).parent.parent.parent / "docs" / "guides" / "actions.md").read_text()


def flatfare(*words: str, ends: int = 0) -> str:
    result = CliRunner().invoke(root, words)
    assert result.exit_code == ends, result.output
    return result.output


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    found = re.search(r"<<'YAML'\n(.*?)YAML\n", GUIDE, re.DOTALL)
    assert found is not None
    Path("greeting.yaml").write_text(found[1])
    return tmp_path


def test_the_first_ten_minutes(folder: Path) -> None:
    with provided(Model()) as port:
        places = {"openai": {"base_url": f"http://127.0.0.1:{port}/v1"}}
        Path("flatfare.yaml").write_text(json.dumps({"listen": "127.0.0.1:0", "providers": places}))
        for line in re.findall(r"^flatfare (.*)$", GUIDE.partition("`run` prints")[0], re.MULTILINE):
            if "strict.yaml" in line:
                strict = Path("greeting.yaml").read_text().replace("version: 1", "version: 2")
                Path("strict.yaml").write_text(strict.replace("hello|welcome|dear", "salve"))
            said = line.replace("INV-2026", f"INV-{time.gmtime().tm_year}").partition(" #")[0]
            words = re.findall(r"'[^']*'|[^\s']+", said)
            flatfare(*(word.strip("'") for word in words), ends=int("# unpaid" in line))
        assert Path("invoice.pdf").read_bytes().startswith(b"%PDF-")
        statement = flatfare("customers", "statement", "acme", "--json")
        rows = [json.loads(line) for line in flatfare("actions", "runs", "--json").splitlines()]
    assert [(row["customer"], row["ending"]) for row in rows] == [
        ("acme", "failed"),
        ("bolt", "verified"),
        (None, "verified"),
        ("acme", "verified"),
    ]
    kinds = [line["kind"] for line in json.loads(statement)["lines"]]
    assert kinds == ["paid in", "bought", "not charged"]


def test_problems_are_said_as_the_guide_shows_them(folder: Path) -> None:
    text = Path("greeting.yaml").read_text()
    shown = re.findall(r"^greeting\.yaml:\d+: .*$", GUIDE, re.MULTILINE)
    Path("greeting.yaml").write_text(text.replace("input.name", "input.nmae"))
    assert flatfare("actions", "check", "greeting.yaml", ends=1).splitlines()[0] == shown[0]
    Path("greeting.yaml").write_text(text.replace("/text", "/txt"))
    assert flatfare("actions", "check", "greeting.yaml", ends=1).splitlines()[0] == shown[1]


def test_the_figures_of_the_guide_are_computed() -> None:
    plain = GUIDE.replace("```", "")
    test = doctest.DocTestParser().get_doctest(plain, {}, "actions.md", "actions.md", 0)
    assert test.examples
    assert doctest.DocTestRunner().run(test).failed == 0


def test_the_advice_that_the_guide_shows_is_what_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    found = advising.advise("resolve-ticket", steady(300), sales=100, risk_max=0.05, margin=0.3)
    _print_advice(advising.document_of(found), found)
    printed = "\n".join(line.rstrip() for line in capsys.readouterr().out.splitlines())
    assert printed in GUIDE
