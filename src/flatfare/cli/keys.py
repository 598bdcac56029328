"""``flatfare keys``: credentials for clients of the gateway, and what each may do."""

from collections.abc import Callable
from dataclasses import replace
from typing import ParamSpec, TypeVar

import click

from flatfare.cli import output
from flatfare.cli.options import (
    Amount,
    Expiry,
    Noun,
    Span,
    book_of,
    format_options,
    pass_settings,
    reading_options,
    user_name,
)
from flatfare.config import Settings
from flatfare.core import labels
from flatfare.core.budget import Budget, Scope, Window
from flatfare.core.errors import BadInput, BadUsage
from flatfare.core.guard import EFFORTS, Guard
from flatfare.service import clock
from flatfare.service.access import keys as issuing
from flatfare.service.access.keys import Issued, Terms
from flatfare.service.budgets import budgeting, guarding
from flatfare.store.book import Book
from flatfare.store.text_terms import TextTerms

P = ParamSpec("P")
R = TypeVar("R")


@click.group(cls=Noun)
def keys() -> None:
    """Keys that clients use at the gateway: create, list, rotate, disable and revoke them.

    The gateway takes notice of a change within a second.
    """


def changing(command: Callable[P, R]) -> Callable[P, R]:
    """Adds what every change takes: the key meant, and why."""
    command = click.option("--reason", metavar="TEXT", help="Why, for the record.")(command)
    return click.argument("key")(command)


@keys.command()
@click.option("--name", required=True, help="What to call it, such as the service that will use it.")
@click.option(
    "--label", "label", multiple=True, metavar="KEY=VALUE", help="Goes on every call; wins over a request's."
)
@click.option("--project", help="The project it belongs to.")
@click.option(
    "--expires", "expires_at_us", type=Expiry(), metavar="90d", help="In so long, or at a time. Never if not."
)
@click.option(
    "--allow-model", "models", multiple=True, metavar="PATTERN", help="Only these, such as 'gpt-5*'."
)
@click.option("--allow-provider", "providers", multiple=True, metavar="PATTERN", help="Only these.")
@click.option("--requests-per-minute", type=click.IntRange(1), metavar="N", help="Calls begun in a minute.")
@click.option("--tokens-per-minute", type=click.IntRange(1), metavar="N", help="Tokens used in a minute.")
@click.option("--concurrent", type=click.IntRange(1), metavar="N", help="Calls at one time.")
@click.option("--store-text", is_flag=True, help="Store what its calls say; see flatfare texts.")
@click.option("--keep", "keep_us", type=Span(), metavar="30d", help="Erase what is stored when it is older.")
@click.option("--subject", metavar="LABEL", help="The label that says whom a text is about, such as user.")
@click.option("--budget", type=Amount(), metavar="5.00", help="What it may spend, in dollars; never more.")
@click.option(
    "--per",
    default="lifetime",
    show_default=True,
    metavar="WINDOW",
    help="Of its budget: day, month and the like.",
)
@click.option(
    "--max-output-tokens", type=click.IntRange(1), metavar="N", help="Longer answers are cut down to this."
)
@click.option("--max-effort", type=click.Choice(EFFORTS), help="More thinking than this is brought down.")
@click.option("--reason", metavar="TEXT", help="Why, for the record.")
@format_options
@pass_settings
def create(
    settings: Settings,
    name: str,
    label: tuple[str, ...],
    project: str | None,
    expires_at_us: int | None,
    models: tuple[str, ...],
    providers: tuple[str, ...],
    requests_per_minute: int | None,
    tokens_per_minute: int | None,
    concurrent: int | None,
    store_text: bool,
    keep_us: int | None,
    subject: str | None,
    budget: int | None,
    per: str,
    max_output_tokens: int | None,
    max_effort: str | None,
    reason: str | None,
    shape: str,
) -> None:
    """Create a key and print it, once."""
    with reading_options():
        limit = (
            None
            if budget is None
            else Budget("", name, Scope("organisation"), budget, Window.of(per, settings.time_zone))
        )
        terms = Terms(
            name=name,
            project=project,
            labels=_labels(label),
            allowed_models=models,
            allowed_providers=providers,
            requests_per_minute=requests_per_minute,
            tokens_per_minute=tokens_per_minute,
            concurrent=concurrent,
            expires_at_us=expires_at_us,
            texts=_text_terms(store_text, keep_us, subject),
        )
    with book_of(settings, create=True) as book:
        issued = issuing.create(
            book,
            terms,
            at_us=clock.now_us(),
            by_whom=user_name(),
            reason=reason,
            together_with=lambda key: _limit(
                book, key.id, limit, _caps(name, key.id, max_output_tokens, max_effort)
            ),
        )
    _show_issued(issued, shape)


def _limit(book: Book, key_id: str, limit: Budget | None, caps: list[Guard]) -> None:
    """Give a key that is being made its budget and its guards."""
    if limit is not None:
        wanted = replace(limit, scope=Scope("key", key_id))
        budgeting.agreed(book, wanted, at_us=clock.now_us(), by_whom=user_name())
    for guard in caps:
        guarding.agreed(book, guard, at_us=clock.now_us(), by_whom=user_name())


def _caps(name: str, key_id: str, output: int | None, effort: str | None) -> list[Guard]:
    """The guards that hold a key's answers and its models' thinking within bounds."""
    wanted = (("output", None if output is None else str(output)), ("effort", effort))
    return [
        guarding.guard_of(f"{name} {kind}", {"kind": kind, "at_most": limit, "scope": f"key={key_id}"})
        for kind, limit in wanted
        if limit is not None
    ]


@keys.command()
@changing
@click.option(
    "--overlap",
    "overlap_us",
    type=Span(),
    default="1h",
    show_default=True,
    metavar="1h",
    help="How long the former secret is still let in.",
)
@format_options
@pass_settings
def rotate(settings: Settings, key: str, reason: str | None, overlap_us: int, shape: str) -> None:
    """Give KEY (its id or name) a new secret and print it, once."""
    with book_of(settings) as book:
        issued = issuing.rotate(
            book, key, overlap_us=overlap_us, at_us=clock.now_us(), by_whom=user_name(), reason=reason
        )
    _show_issued(issued, shape)


@keys.command()
@changing
@pass_settings
def revoke(settings: Settings, key: str, reason: str | None) -> None:
    """Shut KEY (its id or name) off for good."""
    with book_of(settings) as book:
        changed = issuing.revoke(book, key, at_us=clock.now_us(), by_whom=user_name(), reason=reason)
    output.say(f"{changed.name} ({changed.id}) is revoked.")


@keys.command()
@changing
@pass_settings
def disable(settings: Settings, key: str, reason: str | None) -> None:
    """Shut KEY (its id or name) off until it is enabled again."""
    with book_of(settings) as book:
        changed = issuing.disable(book, key, at_us=clock.now_us(), by_whom=user_name(), reason=reason)
    output.say(f"{changed.name} ({changed.id}) is disabled. To undo: flatfare keys enable {changed.id}")


@keys.command()
@changing
@pass_settings
def enable(settings: Settings, key: str, reason: str | None) -> None:
    """Let KEY (its id or name) in again."""
    with book_of(settings) as book:
        changed = issuing.enable(book, key, at_us=clock.now_us(), by_whom=user_name(), reason=reason)
    output.say(f"{changed.name} ({changed.id}) is enabled.")


_FIELDS = (
    output.Field("id", "id", "left"),
    output.Field("name", "name", "left", is_strong=True),
    output.Field("begins", "begins", "left", gives_way=1),
    output.Field("state", "state", "left"),
    output.Field("project", "project", "left"),
    output.Field("labels", "labels", "left"),
    output.Field("models", "models", "left"),
    output.Field("providers", "providers", "left"),
    output.Field("limits", "limits", "left"),
    output.Field("expires", "expires", "left"),
    output.Field("created", "created", "left"),
)


@keys.command("list")
@click.option("--all", "with_ended", is_flag=True, help="Those that were revoked or have expired too.")
@format_options
@pass_settings
def list_(settings: Settings, with_ended: bool, shape: str) -> None:
    """List the keys; a secret is never shown again."""
    with book_of(settings) as book:
        rows = issuing.listed(book, at_us=clock.now_us(), with_ended=with_ended)
    output.print_list(
        [_flat(row) for row in rows],
        _FIELDS,
        shape,
        nothing="No keys yet. Create one: flatfare keys create --name NAME",
        documents=rows,
    )


def _flat(row: dict[str, object]) -> dict[str, object]:
    """The row in columns of text."""
    labelled, secrets = row["labels"], row["secrets"]
    models, providers = row["allowed_models"], row["allowed_providers"]
    assert isinstance(labelled, dict)
    assert isinstance(secrets, list)
    assert isinstance(models, list)
    assert isinstance(providers, list)
    limits = [
        f"{row[name]} {words}"
        for name, words in (
            ("requests_per_minute", "requests/min"),
            ("tokens_per_minute", "tokens/min"),
            ("concurrent", "at a time"),
        )
        if row[name] is not None
    ]
    return {
        **row,
        "begins": ", ".join(f"{secret['begins']}…" for secret in secrets),
        "labels": ",".join(f"{name}={value}" for name, value in labelled.items()),
        "models": ", ".join(models),
        "providers": ", ".join(providers),
        "limits": ", ".join(limits),
    }


def _text_terms(store_text: bool, keep_us: int | None, subject: str | None) -> TextTerms | None:
    if not store_text:
        if keep_us is not None or subject is not None:
            raise BadUsage("--keep and --subject say what becomes of stored text: add --store-text.")
        return None
    if keep_us is None:
        raise BadUsage("Say how long to store text, such as --keep 30d: nothing is stored for ever.")
    return TextTerms(keep_us, subject)


def _labels(given: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in given:
        name, sign, value = text.partition("=")
        if not sign:
            raise BadInput(f"Found {text!r} where a label was expected: write key=value.")
        found[name.strip()] = value.strip()
    return labels.checked(found)


def _show_issued(issued: Issued, shape: str) -> None:
    if shape == "json":
        output.print_json({"id": issued.key.id, "key": issued.secret})
    elif shape == "csv":
        output.print_csv([{"id": issued.key.id, "key": issued.secret}], ["id", "key"])
    else:
        output.say(issued.secret)
        output.note(f"The key {issued.key.name} ({issued.key.id}). Keep it now: it is not shown again.")
