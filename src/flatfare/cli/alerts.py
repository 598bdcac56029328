"""``flatfare alerts``: what was told to whom, and whether a channel works."""

import json
from typing import Any

import click

from flatfare.cli import output
from flatfare.cli.options import Noun, book_of, format_options, pass_settings, period_options
from flatfare.config import Settings, require_whole
from flatfare.core.moments import iso
from flatfare.service import clock
from flatfare.service.alerts import alerting
from flatfare.service.alerts.sending import send
from flatfare.store import alerts as kept
from flatfare.store.alerts import Alert, Delivery


@click.group(cls=Noun)
def alerts() -> None:
    """Alerts: budgets that cross a line, guards that act, costs that are not known.

    Channels stand in flatfare.yaml below ``alerts``; ``flatfare serve`` tells them.
    """


_FIELDS = (
    output.Field("time", "time", "left"),
    output.Field("kind", "kind", "left"),
    output.Field("message", "message", "left", is_strong=True),
    output.Field("told", "told", "left"),
)


@alerts.command("list")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="Alerts to show.")
@period_options
@format_options
@pass_settings
def list_(settings: Settings, limit: int, since: int | None, until: int | None, shape: str) -> None:
    """List the last alerts, the newest first, and which channels have been told."""
    with book_of(settings, create=True) as book:
        found = kept.latest(book, limit, since_us=since, until_us=until)
    rows = [_row(alert, deliveries) for alert, deliveries in found]
    output.print_list(
        [_flat(row) for row in rows],
        _FIELDS,
        shape,
        nothing="No alerts yet. They come from budgets: flatfare budgets create --help",
        documents=rows,
        columns=["id", *(field.key for field in _FIELDS)],
    )


_CHANNEL_FIELDS = (
    output.Field("channel", "channel", "left", is_strong=True),
    output.Field("by", "by", "left"),
    output.Field("kinds", "kinds", "left"),
    output.Field("quiet", "quiet", "left"),
    output.Field("digest", "digest", "left"),
)


@alerts.command()
@format_options
@pass_settings
def channels(settings: Settings, shape: str) -> None:
    """List the channels that are configured; an address may hold a credential and is not shown."""
    rows: list[dict[str, Any]] = [
        {
            "channel": one.name,
            "by": one.url.partition("://")[0],
            "is_signed": one.secret is not None,
            "kinds": list(one.kinds) or ["*"],
            "quiet": one.quiet,
            "digest": one.digest,
        }
        for one in settings.alerts.values()
    ]
    output.print_list(
        [{**row, "kinds": ", ".join(row["kinds"])} for row in rows],
        _CHANNEL_FIELDS,
        shape,
        nothing="No channels yet. In flatfare.yaml: alerts: {ops: {url: 'https://…', secret: whsec_…}}",
        documents=rows,
    )


@alerts.command()
@click.argument("channel")
@pass_settings
def test(settings: Settings, channel: str) -> None:
    """Send a test to CHANNEL, at once and whatever its quiet hours are."""
    found = alerting.channel_named(require_whole(settings), channel)
    now_us = clock.now_us()
    alert = Alert(
        f"test-{now_us}", "test", channel, f"This is a test of the channel {channel!r}.", {}, now_us
    )
    send(found, [alert])
    output.say(f"The channel {channel!r} has taken the test.")


def _row(alert: Alert, deliveries: list[Delivery]) -> dict[str, object]:
    return {
        "id": alert.id,
        "time": iso(alert.at_us),
        "kind": alert.kind,
        "subject": alert.subject,
        "message": alert.said,
        "data": dict(alert.content),
        "deliveries": [
            {
                "channel": one.channel,
                "state": _state(one),
                "tries": one.tries,
                "delivered": iso(one.delivered_at_us),
                "due": iso(one.due_at_us) if _state(one) in ("waiting", "failing") else None,
                "problem": one.problem,
            }
            for one in deliveries
        ],
    }


def _state(one: Delivery) -> str:
    if one.delivered_at_us is not None:
        return "delivered"
    if one.given_up_at_us is not None:
        return "given up"
    return "failing" if one.tries else "waiting"


def _flat(row: dict[str, object]) -> dict[str, object]:
    deliveries = row["deliveries"]
    assert isinstance(deliveries, list)
    told = ", ".join(f"{one['channel']}: {one['state']}" for one in deliveries)
    return {**row, "told": told, "data": json.dumps(row["data"])}
