"""``flatfare demo``: public figures in a temporary book, and why tokens are the wrong unit."""

import contextlib
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import textwrap
import webbrowser
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import click

from flatfare.cli.options import book_of, lake_of, pass_settings
from flatfare.cli.output import Field, note, print_table, progress, say
from flatfare.config import Settings
from flatfare.core.errors import BadUsage
from flatfare.core.money import NANO, half_even
from flatfare.prices.book import PriceBook
from flatfare.service import clock, example_firm
from flatfare.service.demo import Story, System, dollars_per_million, load, told
from flatfare.service.importing.run import Stores
from flatfare.service.leaderboard.ranking import Standing
from flatfare.service.leaderboard.reading import showings_in
from flatfare.service.leaderboard.wording import attempt_text, cost_text, interval_text

_WIDTH = 98

_SYSTEMS = (
    Field("model", "model", align="left"),
    Field("harness", "in the harness", align="left"),
    Field("tokens", "tokens $/M"),
    Field("attempt", "per try"),
    Field("rate", "solved"),
    Field("cost", "PER RESOLVED", is_strong=True),
    Field("interval", "95 %"),
)


@click.command()
@click.option("--open", "opens", is_flag=True, help="Then serve the dashboard on this book, and open it.")
@click.option(
    "--keep",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Keep the book in DIR instead of throwing it away.",
)
@pass_settings
def demo(settings: Settings, opens: bool, keep: Path | None) -> None:
    """Load real public data into a temporary book and print what finished work costs.

    The data come with flatfare: the Open Agent Leaderboard, the OpenHands Index and
    Aider's polyglot leaderboard. Nothing is fetched.
    """
    with _place(keep) as folder:
        own = replace(settings, database=str(folder / "flatfare.db"), lake=str(folder / "lake"))
        now_us = clock.now_us()
        with book_of(own, create=True) as book, progress("Loading public data") as advance:
            load(Stores(book, lake_of(own), own), now_us, advance)
        with book_of(own) as book:
            showings = showings_in(book, lake_of(own), now_us)
        tell(told(showings, PriceBook.standard()))
        if opens:
            with book_of(own) as book, progress("Adding an example firm"):
                example_firm.found(Stores(book, lake_of(own), own), now_us)
        _say_next(keep, is_open=opens)
        if opens:
            _serve(replace(own, listen=_address(own.listen)), is_kept=keep is not None)


def tell(story: Story) -> None:
    """Print the story: customer support first, then what it shows, then two more fields of work."""
    n = max(standing.showing.n for standing in story.support.ranked)
    say(click.style("CUSTOMER SUPPORT: what one resolved request costs", bold=True))
    say(
        f"{n} requests a system, airline, retail and telecom; resolved only if the database ends up right.\n"
        "tau2-bench, run by the Open Agent Leaderboard; the simulated customer is not in the cost.\n"
        "Tokens: the maker's list price for a million in and out. 95 %: the doubt about the share solved.\n"
    )
    print_table([_row(system) for system in story.systems], _SYSTEMS)
    say()
    say(click.style("Why tokens are the wrong unit", bold=True))
    for point in (*_lessons(story), *_elsewhere(story)):
        say(textwrap.fill(point, _WIDTH, initial_indent="· ", subsequent_indent="  "))


def _row(system: System) -> dict[str, str]:
    standing = system.standing
    rates = (system.input_rate, system.output_rate)
    return {
        "model": system.model,
        "harness": system.harness,
        "tokens": "/".join(dollars_per_million(rate).removeprefix("$") for rate in rates),
        "attempt": attempt_text(standing),
        "rate": _percent(standing),
        "cost": cost_text(standing),
        "interval": interval_text(standing).removeprefix("$"),
    }


def _lessons(story: Story) -> Iterator[str]:
    """What the table shows, each lesson in a sentence with its figures."""
    same, first, cheap = story.same_model, story.support.ranked[0], story.cheapest_try
    yield (
        f"Same model, same price per token: {same.model} resolves a request for {cost_text(same.cheapest)} "
        f"in one harness and for {cost_text(same.dearest)} in another, {same.factor:.1f} times as much."
    )
    if cheap is not first:
        cheaper = (cheap.cost_per_attempt_nano or 0) / (first.cost_per_attempt_nano or 1)
        dearer = (cheap.cost_per_verified_nano or 0) / (first.cost_per_verified_nano or 1)
        yield (
            f"The cheapest try is not the cheapest result: {cheap.showing.path} takes {attempt_text(cheap)} "
            f"a try, {100 * cheaper:.0f} % of the first line, and costs {dearer:.1f} times as much per "
            "resolved request."
        )
    if story.broken:
        showing = story.broken.showing
        yield (
            f"Cheaper still, at {attempt_text(story.broken)} a try: {showing.path} resolved "
            f"{showing.successes} of {showing.n}."
        )


def _elsewhere(story: Story) -> Iterator[str]:
    """The same in coding and in programming exercises."""
    coding, ranked = story.coding, story.exercises.ranked
    spend = f"${half_even(coding.spend_nano, NANO):,}"
    yield (
        f"Coding (OpenHands Index, {coding.paths} systems, {coding.tasks:,} tasks): of {spend} spent, "
        f"{100 * coding.failed_share:.0f} % went into tasks that failed. A price per token counts that "
        "as work."
    )
    yield (
        f"Exercises (Aider polyglot, {len(ranked)} systems of known cost): a solved case costs from "
        f"{cost_text(ranked[0])} ({ranked[0].showing.path}) to {cost_text(ranked[-1])} "
        f"({ranked[-1].showing.path})."
    )


def _percent(standing: Standing) -> str:
    return f"{100 * (standing.success_rate or 0):.0f} %"


def _say_next(keep: Path | None, *, is_open: bool) -> None:
    say()
    say(click.style("Next", bold=True))
    if shutil.which("flatfare") is None:
        folder = os.path.abspath(sysconfig.get_path("scripts"))
        here = os.path.relpath(folder) if folder.startswith(os.getcwd()) else folder
        say(f"  . {here}/activate         so that the shell finds flatfare")
    where = f" --database {keep / 'flatfare.db'} --lake {keep / 'lake'}" if keep else ""
    if where:
        say(f"  flatfare leaderboard --benchmark 'OpenHands Index'{where}")
    elif not is_open:
        say("  make demo OPEN=1             the same in a browser (flatfare demo --open)")
    if not where:
        say("  flatfare demo --keep DIR     keep this book, for flatfare leaderboard and report")
    say("  flatfare import tasks FILE   your own tasks; then flatfare report --by path")


def _serve(settings: Settings, *, is_kept: bool) -> None:
    """Serve gateway and dashboard on the demo's book, in processes of their own, until Ctrl-C."""
    from flatfare.app import TOKEN_VARIABLE

    token = os.environ.get(TOKEN_VARIABLE) or secrets.token_urlsafe(24)
    command = [sys.executable, "-m", "flatfare", "serve", "--listen", settings.listen]
    command += ["--database", settings.database, "--lake", settings.lake]
    environment = {**os.environ, TOKEN_VARIABLE: token}
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment
    ) as server:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the server too: it ends, and then this
        signal.signal(signal.SIGTERM, lambda *_: server.terminate())
        assert server.stderr is not None
        first = server.stderr.readline()
        found = re.match(r"Flatfare serves at (\S+)", first)
        if found is None:
            note(first.rstrip())
        else:
            _announce(f"{found[1]}/?token={token}", is_kept=is_kept)
        for line in server.stderr:
            note(line.rstrip())
    if server.returncode:
        sys.exit(1)


def _announce(address: str, *, is_kept: bool) -> None:
    say()
    say(f"The dashboard: {address}")
    say("The last 30 days are an invented firm's, with teams, budgets, customers and reviews to look at;")
    say("all time, and sources by their names, hold the public data above.")
    say("Ctrl-C ends it." if is_kept else "Ctrl-C ends it and throws the book away.")
    sys.stdout.flush()
    if _has_display() and not webbrowser.open(address):
        note("No browser could be opened here; open that address yourself.")


def _address(wanted: str) -> str:
    """Where to serve: the usual place, or one that is free where something else serves there."""
    host, _, port = wanted.rpartition(":")
    with contextlib.closing(socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)) as tried:
        try:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind((host.strip("[]") or "127.0.0.1", int(port)))
        except OSError:
            return "127.0.0.1:0"
    return wanted


def _has_display() -> bool:
    """Whether a browser could show anything here: elsewhere none is started."""
    return sys.platform in ("darwin", "win32") or bool({"DISPLAY", "WAYLAND_DISPLAY"} & os.environ.keys())


@contextlib.contextmanager
def _place(keep: Path | None) -> Iterator[Path]:
    """Where the book lies: the folder asked for, or one that is gone afterwards."""
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="flatfare-") as folder:
            yield Path(folder)
        return
    if keep.exists() and (not keep.is_dir() or any(keep.iterdir())):
        raise BadUsage(f"{keep} is there already and is not empty: name a new folder.")
    keep.mkdir(parents=True, exist_ok=True)
    yield keep
