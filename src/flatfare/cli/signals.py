"""``flatfare signals``: other systems that say, by signed webhooks, what became of tasks."""

import os
import sys

import click

from flatfare.cli import output
from flatfare.cli.options import Noun, Span, book_of, bytes_of, format_options, pass_settings, user_name
from flatfare.config import Settings
from flatfare.core.errors import BadInput
from flatfare.core.moments import iso
from flatfare.core.signal_mapping import mapping_of
from flatfare.service import clock
from flatfare.service.access.secret_box import made_box
from flatfare.service.judging import signalling


@click.group(cls=Noun)
def signals() -> None:
    """Signals: what the world says of a task later (reopened, CSAT, chargeback, refund, accepted).

    A source sends signed webhooks to /api/signals/SOURCE; its mapping says what they mean.
    """


_SECRET = click.option(
    "--secret-stdin", is_flag=True, help="Read the secret (whsec_…) that the sender gave you."
)


@signals.command("create-source")
@click.argument("name")
@click.option("--map", "mapping", required=True, metavar="FILE", help="How its messages are read (YAML).")
@click.option("--project", help="Whose tasks it names.")
@_SECRET
@click.option("--json", "is_json", is_flag=True, help="Print JSON.")
@pass_settings
def create_source(
    settings: Settings, name: str, mapping: str, project: str | None, secret_stdin: bool, is_json: bool
) -> None:
    """Let NAME tell of tasks, and print the secret that signs its messages, once."""
    box, file = made_box(os.environ)
    with book_of(settings, create=True) as book:
        secret = signalling.create(
            book,
            box,
            name,
            _document(mapping),
            at_us=clock.now_us(),
            by_whom=user_name(),
            project=project,
            secret=_secret() if secret_stdin else None,
        )
    if file is not None:
        output.note(
            f"A new key was made to seal it: {file}. Keep a copy elsewhere; without it nothing opens."
        )
    _show(name, secret, is_json)


@signals.command()
@click.argument("name")
@click.option(
    "--overlap",
    "overlap_us",
    type=Span(),
    default="1h",
    show_default=True,
    metavar="1h",
    help="How long the former secret is still taken.",
)
@_SECRET
@click.option("--json", "is_json", is_flag=True, help="Print JSON.")
@pass_settings
def rotate(settings: Settings, name: str, overlap_us: int, secret_stdin: bool, is_json: bool) -> None:
    """Give NAME a new secret; the former one is taken for --overlap longer."""
    box, _ = made_box(os.environ)
    with book_of(settings) as book:
        secret = signalling.rotate(
            book,
            box,
            name,
            overlap_us=overlap_us,
            at_us=clock.now_us(),
            by_whom=user_name(),
            secret=_secret() if secret_stdin else None,
        )
    _show(name, secret, is_json)


def _show(name: str, secret: str, is_json: bool) -> None:
    path = f"/api/signals/{name}"
    if is_json:
        output.print_json({"source": name, "path": path, "secret": secret})
    else:
        output.say(secret)
        output.note(f"Have {name} send its webhooks to {path}. Keep the secret now: it is not shown again.")


_LIST = (
    output.Field("source", "source", "left", is_strong=True),
    output.Field("project", "project", "left"),
    output.Field("recorded", "recorded"),
    output.Field("ignored", "ignored"),
    output.Field("refused", "refused"),
    output.Field("last", "last", "left"),
    output.Field("path", "path", "left"),
)


@signals.command("list")
@format_options
@pass_settings
def list_(settings: Settings, shape: str) -> None:
    """List the sources, and what came of their messages; a secret is never shown again."""
    with book_of(settings) as book:
        rows = signalling.listed(book)
    output.print_list(
        rows,
        _LIST,
        shape,
        nothing="No sources of signals. Create one: flatfare signals create-source NAME --map FILE",
    )


_MESSAGES = (
    output.Field("at", "at", "left"),
    output.Field("status", "status", "left", is_strong=True),
    output.Field("signals", "signals"),
    output.Field("id", "message", "left"),
    output.Field("reason", "reason", "left"),
)


@signals.command()
@click.argument("name")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="At most so many.")
@format_options
@pass_settings
def messages(settings: Settings, name: str, limit: int, shape: str) -> None:
    """Say what came of the last messages of NAME. What they said is not kept."""
    with book_of(settings) as book:
        rows = signalling.messages_of(book, name, limit)
    output.print_list(rows, _MESSAGES, shape, nothing="No message came yet.")


@signals.command("map")
@click.argument("name")
@click.argument("file")
@pass_settings
def map_(settings: Settings, name: str, file: str) -> None:
    """Read the messages of NAME by the mapping in FILE from now on."""
    with book_of(settings) as book:
        signalling.remap(book, name, _document(file), at_us=clock.now_us(), by_whom=user_name())
    output.say(f"{name} is read by {file}.")


@signals.command("try")
@click.argument("mapping")
@click.option("--message", required=True, metavar="FILE", help="A message as it would come; - is stdin.")
@click.option("--json", "is_json", is_flag=True, help="Print JSON.")
def try_(mapping: str, message: str, is_json: bool) -> None:
    """Say what a message means by the mapping in the file MAPPING, recording nothing."""
    body = bytes_of(message)
    found = [
        {
            "task": one.task,
            "signal": one.name,
            "value": one.value,
            "at": iso(one.at_us),
        }
        for one in signalling.read_message(mapping_of(_document(mapping)), body)
    ]
    if is_json:
        output.print_json_lines(found)
    elif not found:
        output.say("Nothing: no signal of the mapping means this message.")
    for row in [] if is_json else found:
        told = "" if row["value"] is None else f" {row['value']}"
        output.say(f"{row['signal']}{told} of the task {row['task']}")


@signals.command("remove")
@click.argument("name")
@click.option("--reason", metavar="TEXT", help="Why, for the record.")
@pass_settings
def remove(settings: Settings, name: str, reason: str | None) -> None:
    """Believe NAME no more."""
    with book_of(settings) as book:
        signalling.remove(book, name, at_us=clock.now_us(), by_whom=user_name(), reason=reason)
    output.say(f"{name} is believed no more.")


def _secret() -> str:
    return sys.stdin.readline().strip()


def _document(name: str) -> object:
    import yaml

    try:
        return yaml.safe_load(bytes_of(name))
    except yaml.YAMLError as problem:
        raise BadInput(f"The mapping {name} is no YAML: {problem}") from None
