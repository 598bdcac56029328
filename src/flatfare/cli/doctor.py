"""``flatfare doctor``: does everything that is kept agree with itself?"""

import os
import sys
from contextlib import suppress
from dataclasses import replace

import click

from flatfare.cli import output
from flatfare.cli.options import book_of, format_options, lake_of, pass_settings
from flatfare.config import Provider, Settings
from flatfare.core.errors import BadInput
from flatfare.gateway.first_run import with_usual_providers
from flatfare.gateway.routes import upstream_of
from flatfare.service import doctoring
from flatfare.service.budgets.tier_advice import advice
from flatfare.service.costing.terms_of_others import idle_terms
from flatfare.service.doctoring import Examination

_FIELDS = (
    output.Field("severity", "", "left", is_strong=True),
    output.Field("check", "check", "left"),
    output.Field("what", "found", "left"),
    output.Field("todo", "what to do", "left"),
)


@click.command()
@click.option("--quick", is_flag=True, help="Trust the content of sealed files that have the right size.")
@click.option(
    "--repair",
    is_flag=True,
    help="Remove files that a killed writer of this book left, and that it does not list.",
)
@click.option(
    "--set-aside",
    "sets_aside",
    is_flag=True,
    help="Move files of which the book does not know to the folder set-aside of the lake.",
)
@format_options
@pass_settings
def doctor(settings: Settings, quick: bool, repair: bool, sets_aside: bool, shape: str) -> None:
    """Check counts, checksums and sums; list what costs are unknown, and why.

    Ends with exit code 1 if any figure is in doubt.
    """
    lake = lake_of(settings)
    with book_of(settings) as book:
        if repair:
            removed = doctoring.remove_leftovers(book, lake)
            output.note(f"Removed {len(removed)} files that killed writers left.")
        if sets_aside:
            moved = doctoring.set_aside(book, lake)
            output.note(f"Moved {len(moved)} files aside, to the folder set-aside in {lake.folder}.")
        examination = doctoring.examine(book, lake, quick=quick)
        if examination.is_sound:
            advised = (*idle_terms(settings), *advice(book, lake, _leaving_the_tier(settings)))
            examination = replace(examination, findings=(*examination.findings, *advised))
    rows = [
        {"severity": found.severity, "check": found.check, "what": found.what, "todo": found.todo}
        for found in examination.findings
    ]
    if shape == "json":
        output.print_json(_document(examination, rows))
    elif shape == "csv":
        output.print_csv(rows, [field.key for field in _FIELDS])
    else:
        if rows:
            output.print_table(rows, _FIELDS)
        output.say(_verdict(examination))
    sys.exit(0 if examination.is_sound else 1)


def _leaving_the_tier(settings: Settings) -> dict[str, str]:
    """Providers of which nobody has said the tier of what names none, by the name whose prices apply.

    Where two have the same, a call does not say to which it went.
    """
    found: dict[str, list[Provider]] = {}
    for provider in with_usual_providers(settings, os.environ).providers.values():
        with suppress(BadInput):  # flatfare serve says what is wrong with it
            found.setdefault(upstream_of(provider).priced_as, []).append(provider)
    return {
        priced_as: named[0].name
        for priced_as, named in found.items()
        if len(named) == 1 and named[0].default_tier is None
    }


def _document(examination: Examination, rows: list[dict[str, str]]) -> dict[str, object]:
    return {
        "is_sound": examination.is_sound,
        "segments": examination.segments,
        "calls": examination.calls,
        "tasks": examination.tasks,
        "verdicts": examination.verdicts,
        "findings": rows,
    }


def _verdict(examination: Examination) -> str:
    looked = (
        f"{examination.segments} sealed files, {examination.calls:,} calls, {examination.tasks:,} tasks, "
        f"{examination.verdicts:,} verdicts"
    )
    if examination.is_sound:
        return f"Sound: {looked}; counts, checksums and sums agree."
    return f"NOT SOUND: looked at {looked}; see the errors above."
