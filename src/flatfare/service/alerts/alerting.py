"""Alerts: something happened that somebody should know; each channel is told once, at least.

An alert is raised in the transaction of what it tells of. Who tells the channels may be
killed at any moment: what was not confirmed is told again, under the same id.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from zoneinfo import ZoneInfo

from flatfare.config import Channel, Settings
from flatfare.core.errors import FlatfareError, NotFound
from flatfare.core.moments import MICROSECONDS
from flatfare.core.quiet import Quiet, digest_at
from flatfare.store import alerts
from flatfare.store.alerts import Alert, Delivery
from flatfare.store.book import Book

CLAIM_US = 120 * MICROSECONDS
"""Whoever has taken a delivery has so long to tell of it, before somebody else takes it."""

MESSAGES = 5
"""So many are taken at one time: each may wait for its channel, and none longer than it is claimed for."""

DIGEST = 50
FIRST_RETRY_S, RETRY_S_MAX = 5, 3600
GIVEN_UP_S = 3 * 86_400
"""What a channel has not taken for so long is given up; ``flatfare doctor`` says so."""

Send = Callable[[Channel, Sequence[Alert]], None]
"""Tells a channel of alerts in one message; raises ``FlatfareError`` where it was not taken."""


@dataclass(frozen=True, slots=True)
class Told:
    """What one round of telling did."""

    delivered: int = 0
    failed: int = 0
    given_up: int = 0


def raise_alert(book: Book, alert: Alert, settings: Settings) -> bool:
    """Owe every channel that wants it this alert, in the transaction that is open.

    False where an alert of the same id was raised before: then nothing is owed twice.
    """
    if not alerts.insert(book, alert):
        return False
    for channel in settings.alerts.values():
        if wants(channel, alert.kind):
            alerts.insert_delivery(book, alert.id, channel.name, due_at(channel, alert.at_us, settings))
    return True


def wants(channel: Channel, kind: str) -> bool:
    """The channel is told of alerts of this kind."""
    return not channel.kinds or any(fnmatchcase(kind, pattern) for pattern in channel.kinds)


def due_at(channel: Channel, at_us: int, settings: Settings) -> int:
    """When the channel is to be told of what happened at a moment: now, with the digest, after the quiet."""
    zone = ZoneInfo(settings.time_zone)
    due_us = at_us if channel.digest is None else digest_at(at_us, channel.digest, zone)
    return after_quiet(channel, due_us, settings)


def after_quiet(channel: Channel, at_us: int, settings: Settings) -> int:
    """The moment itself, or the end of the channel's quiet hours where it lies in them."""
    zone = ZoneInfo(settings.time_zone)
    return at_us if channel.quiet is None else Quiet.of(channel.quiet).over_at(at_us, zone)


def tell(
    book: Book,
    settings: Settings,
    send: Send,
    *,
    now_us: Callable[[], int],
    channels: Iterable[str] | None = None,
    by: str | None = None,
) -> Told:
    """Tell these channels, or all, what is due; returns once nothing more is. ``by`` is who tells."""
    told = Told()
    for name in settings.alerts if channels is None else channels:
        limit = MESSAGES if settings.alerts[name].digest is None else DIGEST
        while True:
            at_us = now_us()
            until_us = at_us + CLAIM_US
            found = alerts.claim(book, now_us=at_us, until_us=until_us, channels=(name,), limit=limit, by=by)
            if not found:
                break
            for channel, batch in _messages(found, settings.alerts):
                told = _tell_one(book, channel, batch, send, now_us, told)
    return told


def _messages(
    found: Iterable[Delivery], channels: Mapping[str, Channel]
) -> Iterable[tuple[Channel, list[Delivery]]]:
    """What goes out together: a digest's in one message, everything else, and each report, by itself."""
    digests: dict[str, list[Delivery]] = {}
    for one in found:
        channel = channels[one.channel]
        if channel.digest is None or one.alert.kind.startswith("report."):
            yield channel, [one]
        else:
            digests.setdefault(channel.name, []).append(one)
    for name, batch in digests.items():
        yield channels[name], batch


def _tell_one(
    book: Book,
    channel: Channel,
    batch: list[Delivery],
    send: Send,
    now_us: Callable[[], int],
    told: Told,
) -> Told:
    try:
        send(channel, [one.alert for one in batch])
    except FlatfareError as problem:
        at_us = now_us()
        given_up = 0
        with book.writing():
            for one in batch:
                due_us = _again_at(one, at_us)
                given_up += due_us is None
                alerts.set_failed(book, one, str(problem), due_us, at_us)
        return Told(told.delivered, told.failed + len(batch), told.given_up + given_up)
    with book.writing():
        for one in batch:
            alerts.set_delivered(book, one, now_us())
    return Told(told.delivered + len(batch), told.failed, told.given_up)


def _again_at(one: Delivery, at_us: int) -> int | None:
    """When to try again; None where it was tried long enough."""
    if at_us - one.alert.at_us > GIVEN_UP_S * MICROSECONDS:
        return None
    wait_s: int = min(FIRST_RETRY_S << min(one.tries, 20), RETRY_S_MAX)
    return at_us + wait_s * MICROSECONDS


def channel_named(settings: Settings, name: str) -> Channel:
    """The channel of that name; ``NotFound`` names those there are."""
    found = settings.alerts.get(name)
    if found is None:
        known = ", ".join(settings.alerts) or "none"
        raise NotFound(
            f"There is no alert channel {name!r}. Configured: {known}. Add it to flatfare.yaml: "
            f"alerts: {{{name}: {{url: …}}}}"
        )
    return found
