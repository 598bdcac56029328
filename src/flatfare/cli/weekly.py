"""``flatfare weekly``: the last week against the one before, to read, to print, or to send."""

from collections.abc import Mapping
from pathlib import Path

import click

from flatfare.cli import output
from flatfare.cli.options import book_of, format_options, lake_of, pass_settings
from flatfare.config import Settings, require_whole
from flatfare.core.errors import BadInput, BadUsage
from flatfare.core.moments import iso
from flatfare.service import clock
from flatfare.service.alerts import alerting, sending
from flatfare.service.alerts import weekly as reporting
from flatfare.store import alerts
from flatfare.store.book import Book

_FIELDS = (
    output.Field("name", "", "left"),
    output.Field("now", "this week", is_strong=True),
    output.Field("beside", "", "left"),
    output.Field("before", "week before"),
    output.Field("change", "change"),
)


@click.command()
@click.option("--week", metavar="WEEK", help="Such as 2026-W46.  [default: the last whole one]")
@click.option(
    "--send", "is_sent", is_flag=True, help="Send it to the channels of weekly_report that lack it."
)
@click.option(
    "--pdf", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Write it as a page."
)
@format_options
@pass_settings
def weekly(settings: Settings, week: str | None, is_sent: bool, pdf: Path | None, shape: str) -> None:
    """Show the last whole week against the one before.

    What a verified outcome cost, what was verified and spent, the path whose failures cost most,
    budgets close to their limit. flatfare serve sends it each week where flatfare.yaml has
    weekly_report: {channels: [ops], day: monday, hour: 8}.
    """
    if is_sent and settings.weekly_report is None:
        raise BadUsage(
            "Nobody is named to send the weekly report to. In flatfare.yaml: "
            "weekly_report: {channels: [ops], day: monday, hour: 8}"
        )
    now_us = clock.now_us()
    with book_of(settings) as book:
        asked = reporting.week_of(settings, week, now_us)
        if asked.until_us > now_us:
            raise BadUsage(f"The week {asked.name} is not over yet: it ends {iso(asked.until_us)}.")
        document = reporting.weekly(book, lake_of(settings), settings, asked, now_us=now_us)
        if pdf is not None:
            _write(pdf, document)
        if is_sent:
            _send(book, require_whole(settings), document, now_us)
    _show(document, shape)


def _show(document: Mapping[str, object], shape: str) -> None:
    figures = document["figures"]
    assert isinstance(figures, list)
    if shape == "json":
        output.print_json(document)
    elif shape == "csv":
        output.print_csv(figures, [field.key for field in _FIELDS])
    elif document["is_empty"]:
        output.note("The book holds no task and no call yet. Import some: flatfare import tasks FILE")
    else:
        output.say(f"{document['title']} ({document['time_zone']})\n")
        output.print_table(figures, _FIELDS)
        for line in reporting.notes_of(document):
            output.say(line)


def _write(file: Path, document: Mapping[str, object]) -> None:
    from flatfare.web.weekly_page import page  # the dashboard's charts: only who prints waits for them

    made = page(document)
    try:
        file.write_bytes(made)
    except OSError as problem:
        raise BadInput(f"The page {file} cannot be written: {problem.strerror or problem}.") from None
    output.note(f"The page is in {file}.")


def _send(book: Book, settings: Settings, document: Mapping[str, object], now_us: int) -> None:
    """Send it now to whoever has not had it, quiet hours or not; what fails is tried again later."""
    from flatfare.web.weekly_page import page

    assert settings.weekly_report is not None
    alert = reporting.alert_of(document, now_us)
    had = alerts.owed_to(book, alert.id)
    channels = settings.weekly_report.channels
    with book.writing():
        alerts.insert(book, alert)
        for name in channels:
            alerts.insert_delivery(book, alert.id, alerting.channel_named(settings, name).name, now_us)
    alerting.tell(
        book,
        settings,
        lambda channel, batch: sending.send(channel, batch, page=page),
        now_us=clock.now_us,
    )
    after = alerts.owed_to(book, alert.id)
    for name in channels:
        before, one = had.get(name), after[name]
        if before is not None and before.delivered_at_us is not None:
            output.note(f"{name} had it already, at {iso(before.delivered_at_us)}.")
        elif one.delivered_at_us is not None:
            output.note(f"Sent to {name}.")
        else:
            output.complain(f"Not sent to {name}: {one.problem or 'it is due later'} It is tried again.")
