"""``flatfare texts``: what was said in calls, where a key asks for it to be stored."""

import os

import click

from flatfare.cli import output
from flatfare.cli.options import book_of, pass_settings, user_name
from flatfare.config import Settings
from flatfare.service import clock
from flatfare.service.access import texts as keeping


@click.group()
def texts() -> None:
    """Prompts and answers that keys made with --store-text have stored: show and erase them.

    Nothing is stored otherwise. What is stored expires by itself while the gateway runs.
    """


@texts.command()
@click.argument("call")
@pass_settings
def show(settings: Settings, call: str) -> None:
    """Print what was said in CALL (an id, as in flatfare-call), as JSON. That you did is on record."""
    store = keeping.text_store(settings, os.environ)
    with book_of(settings) as book:
        output.print_json(keeping.show(book, store, call, at_us=clock.now_us(), by_whom=user_name()))


@texts.command()
@click.option("--subject", metavar="LABEL=VALUE", help="Whose, such as user=alice.")
@click.option("--call", metavar="ID", help="Of this call only.")
@click.option("--reason", metavar="TEXT", help="Why, for the record.")
@pass_settings
def erase(settings: Settings, subject: str | None, call: str | None, reason: str | None) -> None:
    """Erase what is stored of a subject or of one call, for good.

    What calls under way say is stored when they end: for a subject that is active, erase once more then.
    """
    store = keeping.text_store(settings, os.environ)
    with book_of(settings) as book:
        count = keeping.erase(
            book,
            store,
            subject=subject,
            call_id=call,
            at_us=clock.now_us(),
            by_whom=user_name(),
            reason=reason,
        )
    output.say(f"{count} text{'' if count == 1 else 's'} erased.")


@texts.command()
@pass_settings
def expire(settings: Settings) -> None:
    """Erase what has expired, as a gateway that runs does every minute."""
    count = keeping.expire(keeping.text_store(settings, os.environ))
    output.say(f"{count} text{'' if count == 1 else 's'} erased.")
