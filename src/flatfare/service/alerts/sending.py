"""Sends alerts: a signed webhook over HTTP, or a message by way of Apprise.

A webhook goes to the address that was looked at and to no other: one inside the own network
is refused unless allowed, a redirect is not followed, and what it answers is not kept.
"""

import http.client
import ipaddress
import socket
import ssl
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from flatfare import __version__
from flatfare.config import Channel
from flatfare.core import webhook
from flatfare.core.errors import BadInput, BadUsage, FlatfareError, NotAuthorised
from flatfare.core.identity import derived
from flatfare.core.moments import iso
from flatfare.service.alerts import weekly
from flatfare.store.alerts import Alert

if TYPE_CHECKING:
    from apprise import Apprise

TIMEOUT_S = 10.0
_TOLD_MAX = 20
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


Page = Callable[[Mapping[str, object]], bytes]
"""Makes a PDF of the weekly report's document; ``BadUsage`` where what makes it is not installed."""


class NotTaken(FlatfareError):
    """A channel has not taken a message; it may take it later."""


def send(channel: Channel, alerts: Sequence[Alert], *, page: Page | None = None) -> None:
    """Tell a channel of alerts, in one message. ``NotTaken`` where it was not confirmed.

    A weekly report goes with its ``page``, where the channel takes files.
    """
    if channel.url.startswith(("http://", "https://")):
        _send_webhook(channel, alerts)
    elif alerts[0].kind == weekly.KIND:
        _send_report(channel, alerts[0], page)
    else:
        _send_by_apprise(channel, alerts)


def document_of(alert: Alert) -> dict[str, object]:
    """An alert as webhooks carry it: type, timestamp, data (Standard Webhooks)."""
    return {
        "type": alert.kind,
        "timestamp": iso(alert.at_us),
        "data": {"id": alert.id, "subject": alert.subject, "message": alert.said, **alert.content},
    }


def message_id(alerts: Sequence[Alert]) -> str:
    """The same for the same alerts, however often they are sent."""
    if len(alerts) == 1:
        return alerts[0].id.replace(".", "_")
    return str(derived("digest", "alerts", "/".join(alert.id for alert in alerts)))


def _send_webhook(channel: Channel, alerts: Sequence[Alert]) -> None:
    if len(alerts) == 1:
        document = document_of(alerts[0])
    else:
        digest = [document_of(alert) for alert in alerts]
        document = {"type": "digest", "timestamp": iso(alerts[-1].at_us), "data": {"alerts": digest}}
    body = msgspec.json.encode(document)
    headers = {"Content-Type": "application/json", "User-Agent": f"flatfare/{__version__}"}
    if channel.secret is not None:
        headers |= webhook.signed(message_id(alerts), int(time.time()), body, [channel.secret])
    status = post(channel.url, body, headers, allow_private=channel.allow_private)
    if not 200 <= status < 300:
        raise NotTaken(f"The channel {channel.name!r} answered {status}: expected 200 to 299.")


def check_reachable(url: str, *, allow_private: bool) -> None:
    """``BadInput`` for what is no address of a webhook, ``NotAuthorised`` for one inside the own network."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        # what follows the scheme may hold a credential, and is not repeated
        raise BadInput(
            f"Found a webhook of {parts.scheme!r}: write an address like https://example.com/hook."
        )
    try:
        _address(parts.hostname, parts.port or 443, allow_private=allow_private)
    except NotTaken as problem:
        raise BadInput(str(problem)) from None


def post(url: str, body: bytes, headers: dict[str, str], *, allow_private: bool) -> int:
    """POST to an address outside and give the status of its answer; ``NotTaken`` where there is none.

    ``NotAuthorised`` for an address inside the own network that is not allowed. The name is
    looked up once, and what was looked at is what is connected to.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    is_tls = parts.scheme == "https"
    place = _address(host, parts.port or (443 if is_tls else 80), allow_private=allow_private)
    connection = _Connection(host, place, tls=ssl.create_default_context() if is_tls else None)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request("POST", target, body, headers)
        answer = connection.getresponse()
        return answer.status
    except (OSError, http.client.HTTPException) as problem:
        raise NotTaken(f"{host} could not be told: {str(problem) or type(problem).__name__}.") from None
    finally:
        connection.close()


class _Connection(http.client.HTTPConnection):
    """A connection to an address that was chosen, under the name that was asked for."""

    def __init__(self, host: str, place: tuple[str, int], *, tls: ssl.SSLContext | None) -> None:
        super().__init__(host, place[1], timeout=TIMEOUT_S)
        self._place = place
        self._tls = tls
        self.default_port = 443 if tls is not None else 80

    def connect(self) -> None:
        sock = socket.create_connection(self._place, TIMEOUT_S)
        self.sock = sock if self._tls is None else self._tls.wrap_socket(sock, server_hostname=self.host)


def _address(host: str, port: int, *, allow_private: bool) -> tuple[str, int]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as problem:
        raise NotTaken(f"{host} could not be found: {problem.strerror or problem}.") from None
    addresses = [str(place[0]) for *_, place in found]
    outside = [one for one in addresses if allow_private or _is_outside(one)]
    if not outside:
        raise NotAuthorised(
            f"{host} is an address inside the own network, which a webhook may not reach. Where it is meant: "
            "allow_private: true."
        )
    return outside[0], port


def _is_outside(address: str) -> bool:
    found = ipaddress.ip_address(address.partition("%")[0])
    inner = _within(found) if isinstance(found, ipaddress.IPv6Address) else None
    return (inner or found).is_global and not found.is_multicast


def _within(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that one of IPv6 stands for: mapped, 6to4 (RFC 3056), or through NAT64 (RFC 6052)."""
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour


def _send_report(channel: Channel, alert: Alert, page: Page | None) -> None:
    """The weekly report as text, and as a page where there is one: without it the figures still come."""
    teller = _apprise_of(channel)
    body = "\n".join(weekly.lines_of(alert.content))
    with tempfile.TemporaryDirectory(prefix="flatfare-weekly-") as folder:
        attached: list[str] = []
        if page is not None:
            try:
                made = page(alert.content)
            except BadUsage as problem:
                body += f"\n\n{problem}"
            else:
                file = Path(folder) / f"flatfare-{alert.subject}.pdf"
                file.write_bytes(made)
                attached = [str(file)]
        if not teller.notify(title=f"Flatfare: {alert.said}", body=body, attach=attached or None):
            raise NotTaken(f"The channel {channel.name!r} has not taken the weekly report.")


def _apprise_of(channel: Channel) -> "Apprise":
    try:
        import apprise
    except ImportError:
        raise BadUsage(
            f"The channel {channel.name!r} is not a webhook: it takes Apprise. pip install 'flatfare[alerts]'"
        ) from None
    teller = apprise.Apprise()
    if not teller.add(str(channel.url)):
        raise BadUsage(
            f"The url of the channel {channel.name!r} is none that Apprise knows: see its list of services."
        )
    return teller


def _send_by_apprise(channel: Channel, alerts: Sequence[Alert]) -> None:
    teller = _apprise_of(channel)
    title = "Flatfare: " + (alerts[0].said if len(alerts) == 1 else f"{len(alerts)} alerts")
    body = "\n".join(f"{iso(alert.at_us)}  {alert.said}" for alert in alerts[:_TOLD_MAX])
    if len(alerts) > _TOLD_MAX:
        body += f"\nand {len(alerts) - _TOLD_MAX} more: flatfare alerts list"
    if not teller.notify(title=title, body=body):
        raise NotTaken(f"The channel {channel.name!r} has not taken the message.")
