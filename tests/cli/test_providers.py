"""``flatfare providers``: credentials go in, and never come out again but to a provider."""

import base64
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from flatfare.cli.root import root
from flatfare.config import load_settings
from flatfare.core.errors import BadInput
from flatfare.service.access.credentials import with_sealed_credentials
from flatfare.store import chains
from flatfare.store.book import open_book

SECRET = "sk-proj-nobody-may-see-this-0123456789"
KEY = base64.b64encode(bytes(range(32))).decode()

Ask = Callable[..., Result]


@pytest.fixture
def ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ask:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("FLATFARE_SECRET_KEY", KEY)
    for name in ("XDG_CONFIG_HOME", "FLATFARE_DATABASE", "OPENAI_API_KEY", "FLATFARE_SECRET_KEY_FILE"):
        monkeypatch.delenv(name, raising=False)

    def ask(*words: str, told: str | None = None) -> Result:
        return CliRunner().invoke(root, ["providers", *words], input=told)

    return ask


def everything(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())


def test_a_credential_is_kept_sealed_and_filled_in(ask: Ask, tmp_path: Path) -> None:
    said = ask("set", "openai", told=f"{SECRET}\n")
    assert (said.exit_code, said.stdout) == (0, "The api_key of openai is kept, sealed.\n")
    assert SECRET not in said.output
    assert SECRET.encode() not in everything(tmp_path)
    (tmp_path / "flatfare.yaml").write_text("providers: {openai: {base_url: 'https://api.openai.com/v1'}}")
    settings = load_settings(environment={})
    with open_book(settings.database) as book:
        filled = with_sealed_credentials(settings, book, {"FLATFARE_SECRET_KEY": KEY})
        assert filled.providers["openai"].api_key == SECRET
        assert SECRET not in repr(filled)


def test_what_the_environment_gives_comes_first(ask: Ask, tmp_path: Path) -> None:
    ask("set", "openai", told=SECRET)
    text = "providers: {openai: {base_url: 'https://api.openai.com/v1', api_key: '${OPENAI_API_KEY}'}}"
    (tmp_path / "flatfare.yaml").write_text(text)
    settings = load_settings(environment={"OPENAI_API_KEY": "sk-environment"})
    with open_book(settings.database) as book:
        filled = with_sealed_credentials(settings, book, {})  # the box is not even opened
    assert filled.providers["openai"].api_key == "sk-environment"


@pytest.mark.parametrize("key", ["", base64.b64encode(bytes(32)).decode()])
def test_without_its_key_it_does_not_open_and_says_so(key: str, ask: Ask, tmp_path: Path) -> None:
    ask("set", "openai", told=SECRET)
    (tmp_path / "flatfare.yaml").write_text("providers: {openai: {base_url: 'https://api.openai.com/v1'}}")
    settings = load_settings(environment={})
    environment = {"HOME": str(tmp_path), "FLATFARE_SECRET_KEY": key}
    with open_book(settings.database) as book, pytest.raises(BadInput, match=r"set FLATFARE_SEC|not open"):
        with_sealed_credentials(settings, book, environment)


def test_each_change_is_on_record_without_the_credential(ask: Ask, tmp_path: Path) -> None:
    ask("set", "openai", told=SECRET)
    ask("set", "bedrock", "--field", "access_key", told="AKIA0")
    assert ask("remove", "openai").exit_code == 0
    with closing(sqlite3.connect(tmp_path / "flatfare.db")) as book:
        found = book.execute(
            "SELECT kind, subject, content FROM chained_records ORDER BY position"
        ).fetchall()
    assert [row[:2] for row in found] == [
        ("credential.set", "openai"),
        ("credential.set", "bedrock"),
        ("credential.removed", "openai"),
    ]
    assert SECRET not in str(found)
    with open_book(f"sqlite:///{tmp_path}/flatfare.db") as opened:
        assert chains.broken_at(opened, chains.ORGANISATION) is None


def test_where_each_credential_comes_from_is_listed(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-environment")
    ask("set", "openai", told=SECRET)
    said = ask("list", "--json")
    rows = {row["provider"]: row for row in map(json.loads, said.stdout.splitlines())}
    assert rows["openai"]["credential"] == "sealed"
    assert rows["openai"]["sealed"] == ["api_key"]
    assert rows["anthropic"]["credential"] == "configuration or environment"
    assert rows["gemini"]["credential"].startswith("none")
    for shape in ("--json", "--csv", "--table"):
        output = ask("list", shape).output
        assert "openai" in output
        assert SECRET not in output
        assert "environment-" not in output


@pytest.mark.parametrize("told", ["", "\n", "two\nlines", "sk-\x00", "é"])
def test_what_is_no_credential_is_refused(told: str, ask: Ask) -> None:
    said = ask("set", "openai", told=told)
    assert said.exit_code != 0
    assert "one line of plain text" in str(said.exception)


def test_removing_what_is_not_there_is_an_error(ask: Ask) -> None:
    ask("set", "openai", told=SECRET)
    said = ask("remove", "mistral")
    assert said.exit_code == 1
    assert "flatfare providers list" in str(said.exception)


def test_the_first_credential_makes_a_key_file(
    ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FLATFARE_SECRET_KEY")
    said = ask("set", "openai", told=SECRET)
    assert "keep a copy of it elsewhere" in said.stderr
    file = tmp_path / ".config" / "flatfare" / "secret.key"
    assert str(file) in said.stderr
    assert file.read_text().strip() not in said.output
    assert "keep a copy" not in ask("set", "openai", told=SECRET).stderr
