"""``flatfare providers``: what the gateway reaches, and the credentials that it keeps sealed."""

import os
import sys

import click

from flatfare.cli import output
from flatfare.cli.options import Noun, book_of, format_options, pass_settings, user_name
from flatfare.config import Settings
from flatfare.gateway.first_run import with_usual_providers
from flatfare.service import clock
from flatfare.service.access import credentials
from flatfare.service.access.secret_box import made_box

_FIELDS = (
    output.Field("provider", "provider", "left", is_strong=True),
    output.Field("dialect", "dialect", "left"),
    output.Field("base_url", "address", "left"),
    output.Field("credential", "credential", "left"),
    output.Field("set", "sealed on", "left"),
)


@click.group(cls=Noun)
def providers() -> None:
    """Providers that the gateway reaches, and their credentials.

    A credential comes from flatfare.yaml or the environment, or is kept here, sealed with
    the key of FLATFARE_SECRET_KEY (32 bytes in base64) or of a key file.
    """


@providers.command("set")
@click.argument("provider")
@click.option(
    "--field",
    type=click.Choice(credentials.FIELDS),
    default="api_key",
    show_default=True,
    help="Which secret; AWS has an access_key and a secret_key.",
)
@pass_settings
def set_(settings: Settings, provider: str, field: str) -> None:
    """Keep a credential of PROVIDER, asked for at the terminal or read from standard input.

    It is sealed at once and never shown again. A gateway that runs takes it at the next
    SIGHUP or start.
    """
    if sys.stdin.isatty():
        secret = click.prompt(f"{field} of {provider}", hide_input=True, err=True)
    else:
        secret = sys.stdin.read()
    box, made = made_box(os.environ)
    with book_of(settings, create=True) as book:
        credentials.set_credential(
            book, box, provider, field, secret.strip(), at_us=clock.now_us(), by_whom=user_name()
        )
    if made is not None:
        output.note(f"A new key is in {made}: keep a copy of it elsewhere; without it nothing here opens.")
    output.say(f"The {field} of {provider} is kept, sealed.")
    if provider not in with_usual_providers(settings, os.environ).providers:
        output.note(f"{provider} is not configured yet: add it below providers: in flatfare.yaml.")


@providers.command()
@click.argument("provider")
@pass_settings
def remove(settings: Settings, provider: str) -> None:
    """Forget what is kept of PROVIDER here."""
    with book_of(settings) as book:
        count = credentials.remove_credential(book, provider, at_us=clock.now_us(), by_whom=user_name())
    output.say(f"{count} secret{'s' if count > 1 else ''} of {provider} removed.")


@providers.command("list")
@format_options
@pass_settings
def list_(settings: Settings, shape: str) -> None:
    """List the providers and where the credential of each comes from; never a credential."""
    with book_of(settings, create=True) as book:
        rows = credentials.listed(with_usual_providers(settings, os.environ), book)
    flat = [{**row, "sealed": " ".join(map(str, row["sealed"]))} for row in rows]  # type: ignore[call-overload]
    columns = ["provider", "dialect", "base_url", "credential", "sealed", "set"]
    output.print_list(
        flat, _FIELDS, shape, nothing="No providers are configured.", documents=rows, columns=columns
    )
