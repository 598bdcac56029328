"""``flatfare adjust``: late labels and links for calls that stand already, sealed or not."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar

import click

from flatfare.cli import output
from flatfare.cli.options import book_of, lake_of, pass_settings, period_options, user_name
from flatfare.config import Settings
from flatfare.core import labels
from flatfare.core.errors import BadUsage
from flatfare.service import adjusting, clock
from flatfare.service.adjusting import Selection
from flatfare.service.costing import repricing
from flatfare.service.costing.pricing import open_price_book

P = ParamSpec("P")
R = TypeVar("R")


@click.group()
def adjust() -> None:
    """Correct calls that stand already; what was written stays, and the change is on record."""


def chosen_calls(command: Callable[P, R]) -> Callable[P, R]:
    """Adds the options that choose calls: by time, column or label."""
    command = click.option(
        "--where",
        "where",
        multiple=True,
        metavar="COLUMN=VALUE",
        help="Such as model=gpt-5, source=import, session=abc or label.team=search. May be repeated.",
    )(command)
    command = click.option("--reason", default="", help="Why, for the record.")(command)
    return period_options(command)


def selection(since: int | None, until: int | None, where: tuple[str, ...]) -> Selection:
    """The calls that the options choose."""
    equal: dict[str, str] = {}
    labelled: dict[str, str] = {}
    for condition in where:
        column, sign, value = condition.partition("=")
        if not sign:
            raise BadUsage(f"Found --where {condition!r}: write COLUMN=VALUE.")
        if column.startswith("label."):
            labelled[column.removeprefix("label.")] = value
        else:
            equal[column] = value
    return Selection(since, until, equal, labelled)


@adjust.command()
@click.argument("new", nargs=-1, required=True, metavar="KEY=VALUE…")
@chosen_calls
@pass_settings
def label(
    settings: Settings,
    new: tuple[str, ...],
    since: int | None,
    until: int | None,
    where: tuple[str, ...],
    reason: str,
) -> None:
    """Give calls labels; ``key=`` takes one away."""
    with book_of(settings) as book:
        count = adjusting.relabel(
            book,
            lake_of(settings),
            selection(since, until, where),
            labels.parse(",".join(new)),
            reason=reason,
            by_whom=user_name(),
            at_us=clock.now_us(),
        )
    output.say(f"Relabelled {_calls(count)}.")


@adjust.command()
@click.argument("task")
@click.option("--source", default="import", help="The source whose task it is.", show_default=True)
@chosen_calls
@pass_settings
def link(
    settings: Settings,
    task: str,
    source: str,
    since: int | None,
    until: int | None,
    where: tuple[str, ...],
    reason: str,
) -> None:
    """Link calls to the task that its source calls TASK."""
    with book_of(settings) as book:
        count = adjusting.link(
            book,
            lake_of(settings),
            selection(since, until, where),
            task,
            source=source,
            reason=reason,
            by_whom=user_name(),
            at_us=clock.now_us(),
        )
    output.say(f"Linked {_calls(count)}.")


@adjust.command()
@chosen_calls
@pass_settings
def reprice(
    settings: Settings, since: int | None, until: int | None, where: tuple[str, ...], reason: str
) -> None:
    """Price calls anew, by what the price book now says of their own moment.

    A call whose price goes by more than is kept of it is left as it is, and counted with why.
    """
    with book_of(settings) as book:
        done = repricing.reprice(
            book,
            lake_of(settings),
            open_price_book(settings),
            selection(since, until, where),
            counts_reported=settings.cost_that_counts == "reported",
            reason=reason,
            by_whom=user_name(),
            at_us=clock.now_us(),
        )
    output.say(f"Priced anew: {_calls(done.changed)} changed.")
    for why, count in sorted(done.left.items(), key=lambda one: (-one[1], one[0])):
        output.say(f"Left as they are: {_calls(count)}, since {why}.")


def _calls(count: int) -> str:
    return f"{count:,} call{'' if count == 1 else 's'}"
