"""``flatfare guards``: how far a task, session or key may go, and who went past it."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar

import click

from flatfare.cli import output
from flatfare.cli.options import Noun, book_of, format_options, pass_settings, user_name
from flatfare.config import Settings
from flatfare.core.errors import BadUsage
from flatfare.core.guard import KINDS
from flatfare.service import clock
from flatfare.service.budgets import guarding

P = ParamSpec("P")
R = TypeVar("R")


@click.group(cls=Noun)
def guards() -> None:
    """Guards against runaway agents: limits per task and session, loops, storms, effort, dear models.

    Each can watch, alert, throttle or stop; a refusal names the guard. See docs/guides/guards.md.
    """


def terms_options(command: Callable[P, R]) -> Callable[P, R]:
    """Adds the terms of a guard that may be changed later."""
    for option in reversed(
        (
            click.option(
                "--at-most",
                "--at",
                "at_most",
                metavar="LIMIT",
                help="50, 2.00 (dollars), 30m, low (an effort), or the percent of a budget.",
            ),
            click.option(
                "--action", help="watch, alert, throttle or stop; cap (output, effort); downgrade (models)."
            ),
            click.option("--scope", metavar="KEY=VALUE", help="Only calls with this: team=search, key=NAME."),
            click.option("--within", metavar="10m", help="Of repeat and retries: how far back to look."),
            click.option("--every", metavar="10s", help="Throttled, one call may go every so often."),
            click.option(
                "--least",
                type=click.IntRange(1),
                metavar="N",
                help="Of context and retries: so many calls first.",
            ),
            click.option(
                "--factor", type=click.IntRange(1), metavar="N", help="Of retries: times the usual rate."
            ),
            click.option("--budget", metavar="NAME", help="Of models: whose share counts; else the fullest."),
            click.option(
                "--model", "models", multiple=True, metavar="PATTERN", help="Still allowed, to stop."
            ),
            click.option("--instead", multiple=True, metavar="PATTERN=MODEL", help="What to downgrade to."),
            click.option("--contact", metavar="TEXT", help="Whom to ask; a refusal says so."),
            click.option("--reason", metavar="TEXT", help="Why, for the record."),
        )
    ):
        command = option(command)
    return command


@guards.command()
@click.option("--name", required=True, help="What to call it; a refusal names it.")
@click.option("--kind", type=click.Choice(list(KINDS)), required=True, help="What it looks at.")
@click.option("--per", metavar="KEY", help="Whose: session, task, key, project, organisation or a label.")
@terms_options
@format_options
@pass_settings
def create(settings: Settings, /, name: str, shape: str, reason: str | None, **terms: object) -> None:
    """Create a guard."""
    wanted = guarding.guard_of(name, _terms(terms))
    with book_of(settings, create=True) as book:
        made = guarding.create(book, wanted, at_us=clock.now_us(), by_whom=user_name(), reason=reason)
        document = guarding.document_of(book, made)
    if shape == "json":
        output.print_json(document)
    else:
        output.say(f"{made.name} ({made.id}): {guarding.said_of(made)}.")
    if made.kind == "cost" and made.action == "stop":
        output.note(
            "It stops the next call: those under way may still pass it. Where that must not be: "
            f"flatfare budgets create --name {made.name} --scope '{made.per}=*' --per lifetime --amount …"
        )


@guards.command()
@click.argument("guard")
@terms_options
@pass_settings
def change(settings: Settings, /, guard: str, reason: str | None, **terms: object) -> None:
    """Change GUARD (its id or name). Its kind and whose it is stay."""
    changes = _terms(terms)
    if not changes:
        raise BadUsage("Nothing to change: give --at-most or another term.")
    with book_of(settings) as book:
        changed = guarding.change(
            book, guard, changes, at_us=clock.now_us(), by_whom=user_name(), reason=reason
        )
    output.say(f"{changed.name} ({changed.id}): {guarding.said_of(changed)}.")


@guards.command()
@click.argument("guard")
@click.option("--reason", metavar="TEXT", help="Why, for the record.")
@pass_settings
def remove(settings: Settings, guard: str, reason: str | None) -> None:
    """End GUARD: it concerns nobody any more."""
    with book_of(settings) as book:
        removed = guarding.remove(book, guard, at_us=clock.now_us(), by_whom=user_name(), reason=reason)
    output.say(f"{removed.name} ({removed.id}) is removed.")


_FIELDS = (
    output.Field("name", "name", "left", is_strong=True),
    output.Field("kind", "kind", "left"),
    output.Field("at_most", "at most"),
    output.Field("per", "per", "left"),
    output.Field("scope", "scope", "left"),
    output.Field("action", "action", "left"),
    output.Field("hits", "calls past it"),
    output.Field("subjects_hit", "of"),
)
_PAST = (
    output.Field("subject", "subject", "left", is_strong=True),
    output.Field("hits", "calls past it"),
    output.Field("value", "at"),
    output.Field("calls", "calls"),
    output.Field("tokens", "tokens"),
    output.Field("cost", "cost"),
    output.Field("last", "last", "left"),
    output.Field("last_call", "last call", "left"),
)


@guards.command("list")
@format_options
@pass_settings
def list_(settings: Settings, shape: str) -> None:
    """List the guards, with how often calls went past each."""
    with book_of(settings, create=True) as book:
        documents = guarding.listed(book)
    output.print_list(
        documents,
        _FIELDS,
        shape,
        nothing="No guards yet. Create one: flatfare guards create --name loops --kind calls --at-most 50",
        columns=["id", *(field.key for field in _FIELDS)],
    )


@guards.command()
@click.argument("guard")
@format_options
@pass_settings
def show(settings: Settings, guard: str, shape: str) -> None:
    """Show GUARD (its id or name): terms, and who went past it."""
    with book_of(settings) as book:
        document = guarding.document_of(book, guarding.one_of(book, guard))
        found = guarding.one_of(book, guard)
    past = document["past"]
    assert isinstance(past, list)
    if shape == "json":
        output.print_json(document)
    elif shape == "csv":
        output.print_csv(past, [field.key for field in _PAST])
    else:
        output.say(f"{found.name} ({found.id}): {guarding.said_of(found)}.")
        if past:
            output.print_table(past, _PAST)
        else:
            output.say("Nobody went past it.")


def _terms(given: dict[str, object]) -> dict[str, object]:
    """The terms that were given, as a guard takes them."""
    terms = {name: value for name, value in given.items() if value not in (None, ())}
    models, instead = terms.pop("models", ()), terms.pop("instead", ())
    if models:
        terms["models"] = models
    if instead:
        assert isinstance(instead, tuple)
        pairs = [str(text).partition("=") for text in instead]
        if not all(sign and pattern and model for pattern, sign, model in pairs):
            raise BadUsage("Write --instead 'gpt-4o=gpt-4o-mini': a pattern, and what takes its place.")
        terms["instead"] = {pattern: model for pattern, _, model in pairs}
    return terms
