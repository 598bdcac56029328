"""``flatfare completion``: let the shell complete commands, options and their values."""

import os
from pathlib import Path

import click
from click.shell_completion import get_completion_class

from flatfare.cli import output
from flatfare.core.errors import BadUsage

_PROGRAM = "flatfare"
_VARIABLE = "_FLATFARE_COMPLETE"
_WHERE = {
    "bash": "flatfare completion bash >> ~/.bashrc",
    "zsh": "flatfare completion zsh >> ~/.zshrc",
    "fish": "flatfare completion fish > ~/.config/fish/completions/flatfare.fish",
}


@click.command()
@click.argument("shell", type=click.Choice(sorted(_WHERE)), required=False)
def completion(shell: str | None) -> None:
    """Print what SHELL must read to complete flatfare's commands; the shell you are in, if not given."""
    name = shell or Path(os.environ.get("SHELL", "")).name
    found = get_completion_class(name)
    if name not in _WHERE or found is None:
        raise BadUsage(f"Found the shell {name!r}: expected one of {', '.join(sorted(_WHERE))}.")
    root = click.get_current_context().find_root().command
    output.say(found(root, {}, _PROGRAM, _VARIABLE).source())
    output.note(f"To keep it: {_WHERE[name]}")
