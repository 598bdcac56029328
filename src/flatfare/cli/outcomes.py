"""``flatfare outcomes``: what makes a task of each kind verified, what silence and signals mean."""

import time
from pathlib import Path

import click
import yaml

from flatfare.cli import output
from flatfare.cli.options import book_of, pass_settings, user_name
from flatfare.cli.output import Field
from flatfare.config import Settings
from flatfare.core.errors import BadInput, NotFound
from flatfare.service import defining

_FIELDS = (
    Field("action", "Action", align="left"),
    Field("version", "Version"),
    Field("verified_when", "Verified when", align="left"),
    Field("verifiers", "Verifiers", align="left"),
    Field("window", "Window"),
    Field("silence", "Silence", align="left"),
    Field("in_force_from", "In force from", align="left"),
)


@click.group()
def outcomes() -> None:
    """Outcomes: the truth of tasks, and the definitions they are judged by."""


@outcomes.command()
@click.argument("file")
@click.option("--reason", metavar="TEXT", help="Why, for the record.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@pass_settings
def define(settings: Settings, file: str, reason: str | None, as_json: bool) -> None:
    """Put the definitions in FILE (YAML) in force for tasks that are opened from now on.

    A file holds one definition, or a list of them. The one that is in force already changes nothing.
    """
    given = [defining.of_document(document) for document in _documents(file)]
    with book_of(settings, create=True) as book:
        made = [
            defining.define(book, one, by_whom=user_name(), at_us=time.time_ns() // 1000, reason=reason)
            for one in given
        ]
    if as_json:
        output.print_json([defining.document_of(one) for one in made])
        return
    for one in made:
        output.say(f"{one.action} version {one.version} is in force for tasks opened from now on.")


@outcomes.command()
@click.argument("action", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print a line of JSON for each version.")
@pass_settings
def definitions(settings: Settings, action: str | None, as_json: bool) -> None:
    """List the definitions of ACTION, or of all, every version."""
    with book_of(settings) as book:
        found = [defining.shown(version) for version in defining.listed(book, action)]
    if action is not None and not found:
        raise NotFound(
            f"There is no definition of {action!r}: its tasks are verified when every verifier that spoke "
            "says pass. Make one: flatfare outcomes define FILE"
        )
    if as_json:
        output.print_json_lines(found)
    elif found:
        output.print_table([_row(one) for one in found], _FIELDS)
    else:
        output.say("No definitions: a task is verified when every verifier that spoke says pass.")


def _documents(file: str) -> list[object]:
    try:
        found = yaml.safe_load(Path(file).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as problem:
        raise BadInput(f"{file} cannot be read: {getattr(problem, 'strerror', None) or problem}.") from None
    except yaml.YAMLError as problem:
        raise BadInput(f"{file} is no YAML: {problem}") from None
    return found if isinstance(found, list) else [found]


def _row(shown: dict[str, object]) -> dict[str, object]:
    verifiers = shown["verifiers"]
    assert isinstance(verifiers, list)
    names = ", ".join(
        one if isinstance(one, str) else f"{one['name']} ({one['weight']})" for one in verifiers
    )
    return {**shown, "verifiers": names or "all that spoke"}
