"""Writes docs/reference/cli.md: the help of every command, as the command prints it."""

import sys
from pathlib import Path

import click

from flatfare.cli.root import root

PAGE = Path(__file__).parent.parent / "docs" / "reference" / "cli.md"
_WIDTH = 96


def page() -> str:
    """The whole page, as Markdown."""
    parts = [
        "# The command line",
        "Made by `tools/write_cli_reference.py`; a test compares it with what the commands print.",
        *_sections(root, "flatfare"),
    ]
    return "\n\n".join(parts) + "\n"


def _sections(command: click.Command, name: str) -> list[str]:
    context = click.Context(command, info_name=name, max_content_width=_WIDTH, terminal_width=_WIDTH)
    found = [f"## {name}\n\n```\n{command.get_help(context).strip()}\n```"]
    if isinstance(command, click.Group):
        for below in command.list_commands(context):
            child = command.get_command(context, below)
            if child is not None and not child.hidden:
                found += _sections(child, f"{name} {below}")
    return found


if __name__ == "__main__":
    if "--check" in sys.argv:
        sys.exit(PAGE.read_text(encoding="utf-8") != page())
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")
