"""Alerts: raised once, told to each channel at least once, after the quiet, never to a private address."""

import base64
import json
import socket
import threading
from collections.abc import Iterator, Sequence
from datetime import datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from flatfare.config import Channel, Secret, Settings
from flatfare.core import webhook
from flatfare.core.errors import BadUsage, NotAuthorised
from flatfare.core.moments import micros_of
from flatfare.service.alerts.alerting import FIRST_RETRY_S, GIVEN_UP_S, raise_alert, tell
from flatfare.service.alerts.sending import NotTaken, post, send
from flatfare.store import alerts
from flatfare.store.alerts import Alert
from flatfare.store.book import Book, open_book

SECRET = "whsec_" + base64.b64encode(b"a secret of thirty-two bytes here").decode()
NOON_US = micros_of(datetime(2026, 11, 21, 12, tzinfo=ZoneInfo("UTC")))


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    with open_book(str(tmp_path / "book.db")) as book:
        yield book


def alert(name: str = "a1", kind: str = "budget.crossed", at_us: int = NOON_US) -> Alert:
    return Alert(
        name, kind, "team-a", f"The budget team-a has crossed 90 % ({name}).", {"share": "0.9"}, at_us
    )


def settings(*channels: Channel) -> Settings:
    return Settings(alerts={channel.name: channel for channel in channels})


def channel(name: str = "ops", url: str = "https://hooks.example/x", **more: object) -> Channel:
    return Channel(name, Secret(url), **more)  # type: ignore[arg-type]


class Teller:
    """Takes what is sent, or fails as often as told."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.sent: list[tuple[str, list[str]]] = []

    def __call__(self, channel: Channel, alerts: Sequence[Alert]) -> None:
        if self.failures:
            self.failures -= 1
            raise NotTaken("no")
        self.sent.append((channel.name, [one.id for one in alerts]))


def raised(book: Book, one: Alert, all_settings: Settings) -> bool:
    with book.writing():
        return raise_alert(book, one, all_settings)


def test_an_alert_is_told_once_to_each_channel_that_wants_it(book: Book) -> None:
    asked = settings(channel("ops"), channel("money", kinds=("budget.*",)), channel("keys", kinds=("key.*",)))
    assert raised(book, alert(), asked)
    assert not raised(book, alert(), asked)
    teller = Teller()
    for _ in range(3):
        tell(book, asked, teller, now_us=lambda: NOON_US)
    assert sorted(teller.sent) == [("money", ["a1"]), ("ops", ["a1"])]


def test_what_is_raised_in_a_transaction_that_fails_was_never_raised(book: Book) -> None:
    def change() -> None:
        with book.writing():
            raise_alert(book, alert(), settings(channel()))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        change()
    assert alerts.latest(book, 10) == []


def test_a_channel_that_fails_is_told_again_later_and_later(book: Book) -> None:
    asked, teller, now_us = settings(channel()), Teller(failures=3), [NOON_US]
    raised(book, alert(), asked)
    waits = []
    while not teller.sent:
        tell(book, asked, teller, now_us=lambda: now_us[0])
        due_us = alerts.latest(book, 1)[0][1][0].due_at_us
        waits.append((due_us - now_us[0]) // 1_000_000)
        now_us[0] = due_us
    assert waits[:3] == [FIRST_RETRY_S, 2 * FIRST_RETRY_S, 4 * FIRST_RETRY_S]
    assert teller.sent == [("ops", ["a1"])]
    assert alerts.latest(book, 1)[0][1][0].delivered_at_us is not None


def test_what_nobody_takes_for_days_is_given_up_and_said(book: Book) -> None:
    asked = settings(channel())
    raised(book, alert(), asked)
    late_us = NOON_US + (GIVEN_UP_S + 1) * 1_000_000
    told = tell(book, asked, Teller(failures=9), now_us=lambda: late_us)
    assert (told.failed, told.given_up) == (1, 1)
    assert [(one.given_up_at_us, one.problem) for one in alerts.latest(book, 1)[0][1]] == [(late_us, "no")]


def test_who_is_killed_while_telling_leaves_it_to_be_told_again(book: Book) -> None:
    asked = settings(channel())
    raised(book, alert(), asked)

    def killed(channel: Channel, alerts: Sequence[Alert]) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tell(book, asked, killed, now_us=lambda: NOON_US)
    teller = Teller()
    tell(book, asked, teller, now_us=lambda: NOON_US + 60_000_000)
    assert teller.sent == []  # it is still claimed
    tell(book, asked, teller, now_us=lambda: NOON_US + 121_000_000)
    assert teller.sent == [("ops", ["a1"])]


def test_in_quiet_hours_nobody_is_told(book: Book) -> None:
    night_us = micros_of(datetime(2026, 11, 21, 23, tzinfo=ZoneInfo("UTC")))
    morning_us = micros_of(datetime(2026, 11, 22, 7, tzinfo=ZoneInfo("UTC")))
    asked, teller = settings(channel(quiet="22:00-07:00")), Teller()
    raised(book, alert(at_us=night_us), asked)
    tell(book, asked, teller, now_us=lambda: morning_us - 1)
    assert teller.sent == []
    tell(book, asked, teller, now_us=lambda: morning_us)
    assert teller.sent == [("ops", ["a1"])]


def test_a_digest_gathers_what_came_into_one_message(book: Book) -> None:
    asked, teller = settings(channel(digest="hourly")), Teller()
    for number in range(3):
        raised(book, alert(f"a{number}", at_us=NOON_US + number), asked)
    tell(book, asked, teller, now_us=lambda: NOON_US + 3_599_000_000)
    assert teller.sent == []
    tell(book, asked, teller, now_us=lambda: NOON_US + 3_600_000_000)
    assert teller.sent == [("ops", ["a0", "a1", "a2"])]


class Receiver(BaseHTTPRequestHandler):
    """Keeps what it is sent."""

    status = 204

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.seen.append((dict(self.headers), body))  # type: ignore[attr-defined]
        self.send_response(self.status)
        self.send_header("Location", "http://127.0.0.1:1/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing is printed."""


@pytest.fixture
def receiver() -> Iterator[HTTPServer]:
    server = HTTPServer(("127.0.0.1", 0), Receiver)
    server.seen = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def url(server: HTTPServer) -> str:
    return f"http://127.0.0.1:{server.server_port}/hook?a=b"


def test_a_webhook_is_signed_and_says_what_happened(receiver: HTTPServer) -> None:
    send(channel(url=url(receiver), secret=Secret(SECRET), allow_private=True), [alert()])
    (headers, body) = receiver.seen[0]  # type: ignore[attr-defined]
    lower = {name.lower(): value for name, value in headers.items()}
    assert webhook.check(lower, body, [SECRET], now_s=int(lower["webhook-timestamp"])) == "a1"
    assert json.loads(body) == {
        "type": "budget.crossed",
        "timestamp": "2026-11-21T12:00:00Z",
        "data": {
            "id": "a1",
            "subject": "team-a",
            "message": "The budget team-a has crossed 90 % (a1).",
            "share": "0.9",
        },
    }


def test_the_same_alerts_have_the_same_id_however_often_they_are_sent(receiver: HTTPServer) -> None:
    ops = channel(url=url(receiver), secret=Secret(SECRET), allow_private=True)
    for _ in range(2):
        send(ops, [alert("a1"), alert("a2")])
    ids = {headers["webhook-id"] for headers, _ in receiver.seen}  # type: ignore[attr-defined]
    assert len(ids) == 1


@pytest.mark.parametrize("status", [302, 404, 500])
def test_what_is_not_confirmed_is_not_taken_and_a_redirect_is_not_followed(
    receiver: HTTPServer, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setattr(Receiver, "status", status)
    with pytest.raises(NotTaken, match=f"'ops' answered {status}"):
        send(channel(url=url(receiver), allow_private=True), [alert()])


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "10.0.0.1",
        "169.254.169.254",
        "192.168.1.1",
        "[::1]",
        "[::ffff:10.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::1]",
        "0.0.0.0",
    ],
)
def test_an_address_inside_the_own_network_is_refused_unless_allowed(host: str) -> None:
    with pytest.raises(NotAuthorised, match="inside the own network"):
        post(f"http://{host}:9/x", b"{}", {}, allow_private=False)


def test_a_name_that_leads_elsewhere_when_asked_again_leads_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name server that says a public address to who checks, and a private one to who connects."""
    answers = iter(["93.184.215.14", "127.0.0.1", "127.0.0.1"])
    connected: list[str] = []

    def looked_up(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), port))]

    def refused(place: tuple[str, int], *_: object) -> socket.socket:
        connected.append(place[0])
        raise ConnectionRefusedError("nobody there")

    monkeypatch.setattr(socket, "getaddrinfo", looked_up)
    monkeypatch.setattr(socket, "create_connection", refused)
    with pytest.raises(NotTaken):
        post("http://hooks.example.com/x", b"{}", {}, allow_private=False)
    assert connected == ["93.184.215.14"]
    with pytest.raises(NotAuthorised, match="inside the own network"):
        post("http://hooks.example.com/x", b"{}", {}, allow_private=False)


def test_who_is_not_there_has_not_taken_it() -> None:
    with pytest.raises(NotTaken, match=r"127\.0\.0\.1 could not be told"):
        post("http://127.0.0.1:1/x", b"{}", {}, allow_private=True)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # it imports what Python is about to drop
def test_other_channels_go_by_apprise(receiver: HTTPServer) -> None:
    pytest.importorskip("apprise", reason="needs apprise, of the extra 'alerts'")
    ops = channel(url=url(receiver).replace("http://", "json://").partition("?")[0])
    send(ops, [alert()])
    _, body = receiver.seen[0]  # type: ignore[attr-defined]
    assert "crossed 90 %" in json.loads(body)["message"]
    with pytest.raises(BadUsage, match="none that Apprise knows"):
        send(channel(url="nonsense://x"), [alert()])
