"""``flatfare users``: people who sign in to the dashboard, with their roles and what they see."""

import secrets
import sys

import click

from flatfare.cli import output
from flatfare.cli.options import Noun, book_of, format_options, pass_settings, user_name
from flatfare.config import Settings
from flatfare.core import labels
from flatfare.core.errors import BadInput, BadUsage
from flatfare.service import clock
from flatfare.service.access import users as people
from flatfare.store import users as kept

_FIELDS = (
    output.Field("name", "name", "left", is_strong=True),
    output.Field("role", "role", "left"),
    output.Field("scope", "sees", "left"),
    output.Field("signs_in", "signs in", "left"),
    output.Field("state", "state", "left"),
    output.Field("created", "since", "left"),
)
_CSV = ("id", "name", "role", "scope", "signs_in", "state", "created")


@click.group(cls=Noun)
def users() -> None:
    """People who sign in to the dashboard: make, list and change them, and shut them out.

    On this machine alone nobody need sign in: flatfare serve prints an address with a token.
    """


@users.command()
@click.argument("name")
@click.option("--admin", "role", flag_value="admin", help="An administrator, who may do everything.")
@click.option(
    "--role", type=click.Choice(people.ROLES), default="viewer", show_default=True, help="What they may do."
)
@click.option(
    "--scope", multiple=True, metavar="KEY=VALUE", help="Sees only this label, such as team=search."
)
@click.option("--password", help="Asked for on a terminal, made up elsewhere, if not given.")
@click.option("--stdin", "reads", is_flag=True, help="Read the password from the first line of stdin.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@pass_settings
def create(
    settings: Settings,
    name: str,
    role: str,
    scope: tuple[str, ...],
    password: str | None,
    reads: bool,
    as_json: bool,
) -> None:
    """Let NAME sign in. Without a terminal and a password, one is made up and printed once."""
    given = _password(password, reads)
    made_up = None if given is not None else secrets.token_urlsafe(15)
    with book_of(settings, create=True) as book:
        user = people.create(
            book,
            name,
            role=role,
            password=given or made_up,
            scope=_scope(scope),
            at_us=clock.now_us(),
            by_whom=user_name(),
        )
    if as_json:
        output.print_json({**people.document_of(user), "password": made_up})
        return
    output.say(f"{user.name} may sign in, as {user.role}{_seeing(user.scope)}.")
    if made_up is not None:
        output.say(f"The password, shown this once: {made_up}")


@users.command("list")
@format_options
@pass_settings
def list_(settings: Settings, shape: str) -> None:
    """Everybody who may sign in, or once might."""
    with book_of(settings) as book:
        found = [people.document_of(user) for user in kept.all_of(book)]
    output.print_list(
        [_flat(one) for one in found],
        _FIELDS,
        shape,
        nothing="Nobody signs in yet. Make the first: flatfare users create --admin NAME",
        documents=found,
        columns=_CSV,
    )


@users.command()
@click.argument("name")
@click.option("--role", type=click.Choice(people.ROLES), help="Another role.")
@click.option("--scope", multiple=True, metavar="KEY=VALUE", help="Sees only this label from now on.")
@click.option("--sees-everything", is_flag=True, help="Takes every limit of what is seen away.")
@click.option("--password", "asks", is_flag=True, help="Set a new password.")
@click.option("--stdin", "reads", is_flag=True, help="Read the password from the first line of stdin.")
@pass_settings
def change(
    settings: Settings,
    name: str,
    role: str | None,
    scope: tuple[str, ...],
    sees_everything: bool,
    asks: bool,
    reads: bool,
) -> None:
    """Change the role, the password or what NAME sees; NAME has to sign in anew."""
    if scope and sees_everything:
        raise BadUsage("Found --scope and --sees-everything: give one of them.")
    given = _password(None, reads) if asks or reads else None
    made_up = secrets.token_urlsafe(15) if asks and given is None else None
    with book_of(settings) as book:
        user = people.change(
            book,
            name,
            role=role,
            password=given or made_up,
            scope=_scope(scope) if scope else ({} if sees_everything else None),
            at_us=clock.now_us(),
            by_whom=user_name(),
        )
    output.say(f"{user.name} is {user.role}{_seeing(user.scope)}, and has to sign in anew.")
    if made_up is not None:
        output.say(f"The new password, shown this once: {made_up}")


@users.command()
@click.argument("name")
@pass_settings
def disable(settings: Settings, name: str) -> None:
    """Shut NAME out, at once."""
    with book_of(settings) as book:
        people.disable(book, name, at_us=clock.now_us(), by_whom=user_name())
    output.say(f"{name} is shut out.")


@users.command()
@click.argument("name")
@pass_settings
def enable(settings: Settings, name: str) -> None:
    """Let NAME in again."""
    with book_of(settings) as book:
        people.enable(book, name, at_us=clock.now_us(), by_whom=user_name())
    output.say(f"{name} may sign in again.")


def _password(given: str | None, reads: bool) -> str | None:
    if reads:
        line = sys.stdin.readline().rstrip("\r\n")
        if not line:
            raise BadInput("Found no password on stdin: write it in its first line.")
        return line
    if given is not None or not sys.stdin.isatty():
        return given
    return str(click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))


def _scope(pairs: tuple[str, ...]) -> dict[str, str]:
    return labels.parse(",".join(pairs))


def _seeing(scope: tuple[tuple[str, str], ...]) -> str:
    return ", who sees " + ", ".join(f"{key}={value}" for key, value in scope) if scope else ""


def _flat(one: dict[str, object]) -> dict[str, object]:
    scope = one["scope"]
    assert isinstance(scope, list)
    return {**one, "scope": ", ".join(str(part) for part in scope) or None}
