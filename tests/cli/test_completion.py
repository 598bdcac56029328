"""The shell completes nouns, verbs, options and values."""

import os
import subprocess
import sys

import pytest
from click.testing import CliRunner

from flatfare.cli.root import root


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_for_each_shell(shell: str) -> None:
    result = CliRunner().invoke(root, ["completion", shell])
    assert result.exit_code == 0
    assert "_FLATFARE_COMPLETE" in result.stdout


@pytest.mark.parametrize(
    ("typed", "wanted"),
    [("flatfare rep", "report"), ("flatfare tasks sh", "show"), ("flatfare report --ti", "--time-zone")],
)
def test_what_is_typed_is_completed(typed: str, wanted: str) -> None:
    words = typed.split(" ")
    result = subprocess.run(
        [sys.executable, "-c", "from flatfare.cli import main; main()"],
        env={
            **os.environ,
            "_FLATFARE_COMPLETE": "bash_complete",
            "COMP_WORDS": typed,
            "COMP_CWORD": str(len(words) - 1),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert f"plain,{wanted}" in result.stdout.splitlines()


def test_another_shell_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHELL", "/bin/tcsh")
    result = CliRunner().invoke(root, ["completion"])
    assert result.exit_code != 0
