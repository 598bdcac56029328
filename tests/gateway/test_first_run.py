"""The first minute of a new user: what ``serve`` says with nothing configured, what ``tail`` then shows."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from flatfare.config import Settings
from flatfare.gateway.first_run import welcome, with_usual_providers
from tests.gateway.rig import Provider, ask, asking, whole
from tests.gateway.rig_gateway import ROOT, START_S
from tests.gateway.rig_pair import OPENAI

BODY = json.dumps(
    {"model": "gpt-4o-2024-08-06", "choices": [], "usage": {"prompt_tokens": 1000, "completion_tokens": 50}}
).encode()


def environment(folder: Path) -> dict[str, str]:
    """As on a machine where nothing was ever set."""
    return {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": str(ROOT / "src")}


def flatfare(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "flatfare", *words]
    return subprocess.run(
        command, cwd=folder, env=environment(folder), capture_output=True, text=True, timeout=60, check=True
    )


@contextmanager
def served(folder: Path) -> Iterator[list[str]]:
    """What ``flatfare serve`` prints until it serves."""
    said = folder / "said"
    with said.open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "flatfare", "serve", "--listen", "127.0.0.1:0"],
            cwd=folder,
            env=environment(folder),
            stdout=log,
            stderr=log,
        )
    try:
        deadline = time.monotonic() + START_S
        while "flatfare tail" not in said.read_text():
            assert process.poll() is None, said.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield said.read_text().splitlines()
    finally:
        process.terminate()
        process.wait(30)


def test_with_nothing_configured_it_says_what_to_paste_and_what_to_do_next(tmp_path: Path) -> None:
    with served(tmp_path) as lines:
        address = lines[0].split()[3]
        port = int(address.rpartition(":")[2])
        assert f"  export OPENAI_BASE_URL={address}/v1" in lines
        assert f"  export ANTHROPIC_BASE_URL={address}/anthropic" in lines
        text = "\n".join(lines)
        for next_step in (
            "flatfare keys create --name NAME",
            "flatfare tail",
            "the client's own goes through",
        ):
            assert next_step in text
        assert ask(port, asking("GET", "/readyz")).status == 200


def test_the_first_call_shows_with_its_cost(tmp_path: Path) -> None:
    with Provider() as provider:
        base = provider.url(OPENAI, "/v1")
        settings = {"providers": {"openai": {"base_url": base, "api_key": "sk-x"}}}
        (tmp_path / "flatfare.yaml").write_text(yaml.safe_dump(settings))
        with served(tmp_path) as lines:
            port = int(lines[0].split()[3].rpartition(":")[2])
            provider.next(whole(BODY))
            body = b'{"model":"gpt-4o","messages":[]}'
            assert (
                ask(port, asking("POST", "/v1/chat/completions", body, (), f"localhost:{port}")).status == 200
            )
            deadline = time.monotonic() + 10
            while not (shown := flatfare(tmp_path, "tail", "--once").stdout):
                assert time.monotonic() < deadline
    assert "$0.0030  openai/gpt-4o-2024-08-06  1,000 in 50 out" in shown


@pytest.mark.parametrize(
    ("keys", "is_loopback", "expected"),
    [
        (0, True, "calls from this machine are let in without one"),
        (0, False, "every call is refused until you"),
        (2, True, "Keep one: flatfare providers set openai"),
    ],
)
def test_what_is_missing_is_said_with_how_to_mend_it(keys: int, is_loopback: bool, expected: str) -> None:
    settings = with_usual_providers(Settings(), {})
    lines = welcome(settings, "http://h:1", keys=keys, is_loopback=is_loopback, token="t")
    assert expected in "\n".join(lines)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("listen: 127.0.0.1:99999", "Found listen: '127.0.0.1:99999': expected host:port"),
        ("providers: {own: {dialect: openai, base_url: 5}}", "Found the base_url '5' of provider 'own'"),
        ("providers: {own: {dialect: none, base_url: 'http://a/v1'}}", "Found the provider 'none'; expected"),
        (
            "providers: {own: {dialect: openai, base_url: 'https://a/v1', ca_file: no.pem}}",
            "The certificates no.pem",
        ),
    ],
)
def test_settings_that_cannot_be_served_by_end_the_start(settings: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "flatfare.yaml").write_text(settings)
    command = [sys.executable, "-m", "flatfare", "serve"]
    ended = subprocess.run(
        command, cwd=tmp_path, env=environment(tmp_path), capture_output=True, text=True, timeout=60
    )
    assert ended.returncode in (1, 2)
    assert not ended.stdout
    assert ended.stderr.startswith(f"flatfare: {said}")
