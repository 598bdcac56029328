"""A credential that is kept sealed reaches the provider and nobody else, and is changed while calls go on."""

import base64
import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.gateway.rig import Provider, whole
from tests.gateway.rig_gateway import ROOT, Gateway
from tests.gateway.rig_pair import ASKED, CHAT, OPENAI, until

KEY = base64.b64encode(bytes(range(32))).decode()
FIRST, SECOND = "sk-first-nobody-may-see-this", "sk-second-nobody-may-see-this"


def kept(folder: Path, secret: str) -> str:
    """``flatfare providers set openai``, told this; returns what it printed."""
    ran = subprocess.run(
        [sys.executable, "-m", "flatfare", "--config", "flatfare.yaml", "providers", "set", "openai"],
        input=secret,
        cwd=folder,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "PYTHONPATH": str(ROOT / "src"),
            "FLATFARE_SECRET_KEY": KEY,
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return ran.stdout + ran.stderr


def test_a_sealed_credential_is_used_and_replaced_without_a_stop(tmp_path: Path) -> None:
    with Provider() as provider, provider.answers(lambda _: whole(b"{}")):
        settings = {"providers": {"openai": {"base_url": provider.url(OPENAI, "/v1")}}}
        own = {"FLATFARE_SECRET_KEY": KEY, "HOME": str(tmp_path)}
        gateway = Gateway(tmp_path, settings, workers=2, environment=own)
        (tmp_path / "flatfare.yaml").write_text(f"database: sqlite:///{gateway.book}\n")
        said = kept(tmp_path, FIRST)
        secret = gateway.issue().secret
        with gateway:
            assert gateway.ask(secret, "POST", CHAT, ASKED).status == 200
            assert provider.log[-1].header("authorization") == f"Bearer {FIRST}"
            said += kept(tmp_path, SECOND)
            assert gateway.process is not None
            os.kill(gateway.process.pid, signal.SIGHUP)

            def is_replaced() -> bool:
                assert gateway.ask(secret, "POST", CHAT, ASKED).status == 200
                used = [request.header("authorization") for request in provider.log[-10:]]
                return used == [f"Bearer {SECOND}"] * 10

            until(is_replaced, 10)
        written = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
        for credential in (FIRST, SECOND):
            assert credential not in said
            assert credential.encode() not in written


def test_without_the_key_to_it_the_start_says_what_to_do(tmp_path: Path) -> None:
    with Provider() as provider:
        book = tmp_path / "flatfare.db"
        config = tmp_path / "flatfare.yaml"
        config.write_text(f"database: sqlite:///{book}\n")
        kept(tmp_path, FIRST)
        base = provider.url(OPENAI, "/v1")
        config.write_text(
            f"database: sqlite:///{book}\nlisten: 127.0.0.1:0\n"
            f"providers: {{openai: {{base_url: '{base}'}}}}\n"
        )
        started = subprocess.run(
            [sys.executable, "-m", "flatfare", "serve"],
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": str(ROOT / "src")},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert started.returncode != 0
    assert "set FLATFARE_SECRET_KEY" in started.stderr
    assert FIRST not in started.stderr
