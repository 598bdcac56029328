"""``flatfare seal``: move older calls and tasks from the book into the lake."""

import click

from flatfare.cli import output
from flatfare.cli.options import Moment, book_of, lake_of, pass_settings
from flatfare.config import Settings
from flatfare.core.moments import HOUR_US
from flatfare.service import clock
from flatfare.store import gathering, sealing, sealing_tasks


@click.command()
@click.option(
    "--before", type=Moment(), metavar="TIME", help="What is older than this; an hour ago if not given."
)
@pass_settings
def seal(settings: Settings, before: int | None) -> None:
    """Seal calls of the book, and tasks whose window has closed, into Parquet files of the lake.

    Reports read both, so nothing they print changes.
    """
    now_us = clock.now_us()
    with book_of(settings) as book:
        lake = lake_of(settings)
        before_us = now_us - HOUR_US if before is None else before
        count = sealing.seal_calls(book, lake, before_us=before_us, now_us=now_us, on_wait=_waiting)
        tasks = sealing_tasks.seal_tasks(book, lake, before_us=before_us, now_us=now_us, on_wait=_waiting)
        gathering.gather(book, lake, now_us, on_wait=_waiting)
    output.say(f"Sealed {count:,} rows of calls and {tasks:,} tasks.")


def _waiting(holder: str) -> None:
    output.note(f"Waiting for {holder}, which is writing to the lake …")
