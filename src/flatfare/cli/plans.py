"""``flatfare plans``: what customers pay each month beside single sales."""

import click
import yaml

from flatfare.cli import output
from flatfare.cli.options import Noun, book_of, format_options, pass_settings, text_of, user_name
from flatfare.cli.output import Field
from flatfare.config import Settings
from flatfare.core.errors import BadInput
from flatfare.core.moments import iso
from flatfare.core.plan import document_of, plan_of
from flatfare.service import clock
from flatfare.service.invoicing import plans as agreeing
from flatfare.service.invoicing.periods import moment_in


@click.group(cls=Noun)
def plans() -> None:
    """Plans: base fee, included actions, a minimum, calls by the token at cost plus."""


@plans.command()
@click.argument("file")
@click.option("--from", "from_", metavar="TIME", help="From then on, such as 2027-01-01; now if not said.")
@click.option("--reason", metavar="TEXT", help="Why, for the record.")
@pass_settings
def offer(settings: Settings, file: str, from_: str | None, reason: str | None) -> None:
    """Put the plan in FILE (YAML) in force from now on, or a day to come; what was before stays as it was."""
    try:
        document = yaml.safe_load(text_of(file))
    except yaml.YAMLError as problem:
        raise BadInput(f"{file} is no YAML: {problem}") from None
    with book_of(settings, create=True) as book:
        made = agreeing.offer(
            book,
            plan_of(document),
            at_us=clock.now_us(),
            by_whom=user_name(),
            reason=reason,
            from_us=_begin(settings, from_),
        )
    output.say(f"{made.name} version {made.version} is in force{_since(from_)}.")


@plans.command("list")
@format_options
@pass_settings
def list_plans(settings: Settings, shape: str) -> None:
    """List plans, every version."""
    with book_of(settings) as book:
        found = agreeing.listed(book)
    rows = [{**document_of(one.plan), "from": iso(one.from_us), "by_whom": one.by_whom} for one in found]
    if shape != "table":
        output.print_documents(rows, shape)
    elif rows:
        fields = [
            Field(name, name.replace("_", " ").capitalize(), align="left")
            for name in ("plan", "version", "currency", "base_fee", "included", "minimum", "from")
        ]
        output.print_table(rows, fields)
    else:
        output.say("No plans. Make one: flatfare plans offer FILE")


@plans.command()
@click.argument("customer")
@click.argument("plan", required=False)
@click.option("--none", "is_none", is_flag=True, help="End the plan they have.")
@click.option("--from", "from_", metavar="TIME", help="From then on, such as 2027-01-01; now if not said.")
@click.option("--reason", metavar="TEXT", help="Why, for the record.")
@pass_settings
def assign(
    settings: Settings,
    customer: str,
    plan: str | None,
    is_none: bool,
    from_: str | None,
    reason: str | None,
) -> None:
    """Put CUSTOMER on PLAN from now on, or a day to come."""
    if (plan is None) is not is_none:
        raise click.UsageError("Name a plan, or give --none to end the one they have.")
    with book_of(settings) as book:
        agreeing.assign(
            book,
            customer,
            plan,
            at_us=clock.now_us(),
            by_whom=user_name(),
            reason=reason,
            from_us=_begin(settings, from_),
        )
    output.say(f"{customer} has {'no plan' if plan is None else plan}{_since(from_) or ' from now on'}.")


def _begin(settings: Settings, text: str | None) -> int | None:
    """The moment that is meant: a day begins when it does where months do."""
    return None if text is None else moment_in(text, settings.time_zone)


def _since(text: str | None) -> str:
    return "" if text is None else f" from {text} on"
