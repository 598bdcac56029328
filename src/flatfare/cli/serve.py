"""``flatfare serve``: forward, meter and keep every call; change one base URL."""

import sys
from dataclasses import replace

import click

from flatfare.cli import output
from flatfare.cli.options import settings_now
from flatfare.config import Settings


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

    sys.exit(app.serve(load, workers=workers, say=output.note))
