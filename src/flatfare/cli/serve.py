"""``flatfare serve``: forward, meter and keep every call; change one base URL."""

import os
import sys
from collections.abc import Callable
from dataclasses import replace

import click

from flatfare.cli import output
from flatfare.cli.options import settings_now
from flatfare.config import Settings

WHERE = "Flatfare serves at "
"""How the first line begins; it says the address, and the token of who is at this machine."""


@click.command()
@click.option(
    "--listen", metavar="HOST:PORT", help="Where to serve; 127.0.0.1:4180 if nothing says otherwise."
)
@click.option(
    "--workers", type=click.IntRange(1, 256), default=1, show_default=True, help="Processes that forward."
)
def serve(listen: str | None, workers: int) -> None:
    """Serve the gateway: point your SDK's base URL at it, and every call is metered and kept.

    With nothing configured it serves OpenAI, Anthropic and Gemini on this machine, with the
    keys that the environment holds or the client sends. SIGHUP reads the settings anew,
    SIGTERM finishes the calls under way and ends.
    """
    from flatfare import app

    context = click.get_current_context()

    def load() -> Settings:
        with context.scope():
            settings = settings_now()
        return settings if listen is None else replace(settings, listen=listen)

    sys.exit(app.serve(load, workers=workers, say=_saying()))


def _saying() -> Callable[[str], None]:
    """Says all on stderr, and where it serves on stdout too where that goes to a program."""
    is_read = not sys.stdout.isatty() and not _is_one_place()

    def say(text: str) -> None:
        if is_read and text.startswith(WHERE):
            output.say(text)
        output.note(text)

    return say


def _is_one_place() -> bool:
    """Whether stdout and stderr go to the same file, pipe or terminal."""
    try:
        return os.path.samestat(os.fstat(sys.stdout.fileno()), os.fstat(sys.stderr.fileno()))
    except (OSError, ValueError):  # closed, or no file at all
        return True
