"""``flatfare serve``: forward, meter and keep every call; change one base URL."""

import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import click

from flatfare.cli import output
from flatfare.cli.options import place_given, settings_now
from flatfare.config import Settings, require_whole
from flatfare.core.errors import BadUsage

WHERE = "Flatfare serves at "
"""How the first line begins; it says the address, and the token of who is at this machine."""


_DEMO = Path("flatfare-demo")
_DEMO_SETTINGS = """\
# A place to try things: flatfare serve --demo. Its calls cost nothing.
database: sqlite:///flatfare.db
lake: ./lake
"""
_DEMO_SAYS = """\
A demo provider answers in place of OpenAI, Anthropic and Gemini: no key is needed, nothing leaves this
machine, and nothing is paid. What is said to have been spent is in a book of its own. In another terminal:

  cd flatfare-demo
  flatfare budgets create --name mine --amount 5.00         # a limit that holds
  for i in $(seq 25); do curl -s http://LISTEN/v1/chat/completions -H 'flatfare-labels: user=ann' \\
      -d '{"model": "gpt-4", "max_tokens": 4000, "messages": [{"role": "user", "content": "Hi"}]}'; echo; done
  flatfare alerts list                                      # lines that were crossed
  flatfare budgets show mine                                # what is left, and who spent it
  flatfare report --by user                                 # the same by label
  flatfare budgets top-up mine 2.50 --expires 7d            # and more, for a week
"""


@click.command()
@click.option(
    "--listen", metavar="HOST:PORT", help="Where to serve; 127.0.0.1:4180 if nothing says otherwise."
)
@click.option(
    "--workers", type=click.IntRange(1, 256), default=1, show_default=True, help="Processes that forward."
)
@click.option(
    "--demo",
    "is_demo",
    is_flag=True,
    help="Answer from a provider of its own, for nothing, with a book in ./flatfare-demo.",
)
def serve(listen: str | None, workers: int, *, is_demo: bool) -> None:
    """Serve the gateway: point your SDK's base URL at it, and every call is metered and kept.

    With nothing configured it serves OpenAI, Anthropic and Gemini on this machine, with the
    keys that the environment holds or the client sends. SIGHUP reads the settings anew,
    SIGTERM finishes the calls under way and ends.

    With --demo no key is needed, nothing leaves this machine and nothing is paid: to try budgets,
    guards and alerts.
    """
    from flatfare import app

    complete = _with_demo(listen or Settings().listen) if is_demo else _as_it_is

    context = click.get_current_context()

    def load() -> Settings:
        with context.scope():
            settings = require_whole(settings_now())
        return complete(settings if listen is None else replace(settings, listen=listen))

    sys.exit(app.serve(load, workers=workers, say=_saying()))


def _as_it_is(settings: Settings) -> Settings:
    return settings


def _with_demo(listen: str) -> Callable[[Settings], Settings]:
    """Serve from ./flatfare-demo, where a settings file makes every command there find its book.

    The demo provider is a process beside the gateway, and ends with it.
    """
    from flatfare.gateway import stand_in

    given = place_given(os.environ)
    if given:
        raise BadUsage(f"--demo has a book of its own: leave out {', '.join(given)}.")
    _DEMO.mkdir(exist_ok=True)
    file = _DEMO / "flatfare.yaml"
    if not file.exists():
        file.write_text(_DEMO_SETTINGS)
    os.chdir(_DEMO)
    server = stand_in.bound()
    address = f"http://127.0.0.1:{server.server_port}"
    life, end = os.pipe()
    if os.fork() == 0:
        os.close(end)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all: this one ends with the others
        stand_in.run(server, life)
        os._exit(0)
    os.close(life)
    server.socket.close()
    output.note(_DEMO_SAYS.replace("LISTEN", listen))
    return lambda settings: stand_in.with_stand_in(settings, address)


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
