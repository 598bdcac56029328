"""``flatfare apply``: bring budgets and guards to what a file says, after showing what that changes."""

import sys
from pathlib import Path

import click
import yaml

from flatfare.cli import output
from flatfare.cli.options import book_of, pass_settings, user_name
from flatfare.config import Settings
from flatfare.core.errors import BadInput
from flatfare.service import clock
from flatfare.service.budgets import applying


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@click.option("--yes", is_flag=True, help="Do it without asking.")
@click.option("--plan", "only_plan", is_flag=True, help="Show the plan and change nothing.")
@click.option("--prune", is_flag=True, help="Remove budgets and guards that are not in the file.")
@click.option("--reason", metavar="TEXT", help="Why, for the record.")
@pass_settings
def apply(settings: Settings, file: str, yes: bool, only_plan: bool, prune: bool, reason: str | None) -> None:
    """Show what FILE changes, and do it once you agree.

    \b
    budgets:
      search:      {amount: 500, per: month, scope: team=search, thresholds: [75, "90:stop"]}
      each-session: {amount: 2.00, per: lifetime, scope: session=*}
    guards:
      loops:       {kind: calls, at_most: 50, per: session, action: stop}
    """
    try:
        document = yaml.safe_load(Path(file).read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as problem:
        raise BadInput(f"{file} is no YAML: {problem}") from None
    wanted = applying.wanted_in(document, settings.time_zone)
    with book_of(settings, create=True) as book:
        steps = applying.plan(book, wanted, prunes=prune)
        for step in steps:
            output.say(f"{step.what:8} {step.name}: {step.said}")
        if not steps:
            output.say("Nothing to do: all is as the file says.")
            return
        if only_plan:
            return
        if not yes and not (sys.stdin.isatty() and click.confirm("Do this?", err=True)):
            output.note("Nothing was changed. To do it: --yes")
            sys.exit(1)
        applying.carry_out(
            book, steps, at_us=clock.now_us(), by_whom=user_name(), reason=reason or f"apply {file}"
        )
    output.say(f"Done: {len(steps)} changes.")
