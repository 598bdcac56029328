"""Signals by signed webhooks: believed for their signature, taken once, and turning a task's outcome."""

import base64
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from flatfare.core import webhook
from flatfare.core.errors import BadInput, BadUsage, Conflict, NotAuthorised, NotFound
from flatfare.core.identity import task_id
from flatfare.service.access.secret_box import SecretBox
from flatfare.service.judging import signalling
from flatfare.service.judging.signalling import NotBelieved
from flatfare.service.tasks import defining
from flatfare.service.tasks.recording import Teller, record
from flatfare.store import chains
from flatfare.store.book import Book, open_book
from flatfare.store.lake import Lake

NOW_S = 1_790_000_000
NOW_US = NOW_S * 1_000_000
BOX = SecretBox(bytes(range(32)))
MAPPING = {
    "task": "ticket",
    "signals": [
        {"signal": "reopened", "when": {"type": "reopened"}},
        {"signal": "csat", "when": {"type": "rated"}, "value": "stars"},
    ],
}


class Desk:
    """A source, as it sends its messages."""

    def __init__(self, book: Book, lake: Lake, project: str | None = None) -> None:
        self.book, self.lake = book, lake
        self.secret = signalling.create(
            book, BOX, "desk", MAPPING, at_us=NOW_US, by_whom="test", project=project
        )

    def send(
        self,
        message: Mapping[str, object] | bytes,
        message_id: str = "msg_1",
        *,
        secret: str | None = None,
        sent_s: int = NOW_S,
        now_us: int = NOW_US,
        name: str = "desk",
    ) -> signalling.Received:
        body = message if isinstance(message, bytes) else json.dumps(message).encode()
        headers = webhook.signed(message_id, sent_s, body, [secret or self.secret])
        return signalling.receive(self.book, self.lake, BOX, name, headers, body, now_us=now_us)

    def outcome(self, task: str = "17", project: str | None = None) -> object:
        return self.book.value("SELECT outcome FROM tasks WHERE id = ?", (str(task_id(project, task)),))


@pytest.fixture
def desk(database: str, tmp_path: Path) -> Iterator[Desk]:
    with open_book(database) as book:
        yield Desk(book, Lake(tmp_path / "lake"))


def verify(desk: Desk, task: str = "17") -> None:
    event = {
        "event": "judged",
        "id": str(task_id("verdicts", task)),
        "task": task,
        "at": NOW_US - 1000,
        "verifier": "tests",
        "version": "1",
        "judgement": "pass",
        "evidence": {"seen": True},
    }
    assert record(desk.book, desk.lake, [event], Teller("test"), now_us=NOW_US).recorded == 1


def test_a_signal_turns_the_outcome_of_the_task_it_names(desk: Desk) -> None:
    verify(desk)
    assert desk.outcome() == "verified"
    assert desk.send({"type": "reopened", "ticket": "17"}) == signalling.Received("msg_1", "recorded", 1)
    assert desk.outcome() == "reversed"
    rows = desk.book.rows("SELECT name, value, source, at_us FROM signals")
    assert rows == [("reopened", None, "desk", NOW_US)]


def test_the_same_message_again_changes_nothing(desk: Desk) -> None:
    verify(desk)
    for _ in range(3):
        desk.send({"type": "reopened", "ticket": "17"})
    assert desk.send({"type": "reopened", "ticket": "17"}).status == "known"
    assert desk.book.value("SELECT COUNT(*) FROM signals") == 1
    with pytest.raises(Conflict, match="was taken before"):
        desk.send({"type": "rated", "ticket": "17", "stars": 1})


def test_a_crash_between_recording_and_noting_it_counts_once(desk: Desk) -> None:
    desk.send({"type": "rated", "ticket": "17", "stars": 4})
    desk.book.execute("DELETE FROM signal_messages")
    assert desk.send({"type": "rated", "ticket": "17", "stars": 4}).status == "recorded"
    assert desk.book.value("SELECT COUNT(*) FROM signals") == 1


def test_messages_that_mean_nothing_are_taken_and_forgotten(desk: Desk) -> None:
    assert desk.send({"type": "created", "ticket": "17"}).status == "ignored"
    assert desk.book.value("SELECT COUNT(*) FROM signals") == 0


def test_nobody_is_believed_without_the_secret(desk: Desk) -> None:
    other = signalling.new_secret()
    with pytest.raises(NotBelieved) as wrong:
        desk.send({"type": "reopened", "ticket": "17"}, secret=other)
    with pytest.raises(NotBelieved) as unknown:
        desk.send({"type": "reopened", "ticket": "17"}, name="nobody")
    assert str(wrong.value) == str(unknown.value)
    body = b'{"type": "reopened", "ticket": "17"}'
    headers = webhook.signed("msg_1", NOW_S, body, [desk.secret])
    for changed in (
        {**headers, webhook.ID: "msg_2"},
        {**headers, webhook.TIMESTAMP: str(NOW_S + 1)},
        {name: value for name, value in headers.items() if name != webhook.SIGNATURE},
        {},
    ):
        with pytest.raises(NotBelieved):
            signalling.receive(desk.book, desk.lake, BOX, "desk", changed, body, now_us=NOW_US)
    with pytest.raises(NotBelieved):
        signalling.receive(desk.book, desk.lake, BOX, "desk", headers, body + b" ", now_us=NOW_US)
    assert desk.book.value("SELECT COUNT(*) FROM signals") == 0


def test_an_old_message_is_not_taken(desk: Desk) -> None:
    with pytest.raises(NotBelieved, match="sent before"):
        desk.send({"type": "reopened", "ticket": "17"}, now_us=NOW_US + 301 * 1_000_000)


def test_senders_from_before_the_standard_are_understood(desk: Desk) -> None:
    body = b'{"type": "reopened", "ticket": "17"}'
    signed = webhook.signed("msg_1", NOW_S, body, [desk.secret])
    headers = {name.replace("webhook", "svix"): value for name, value in signed.items()}
    assert signalling.receive(desk.book, desk.lake, BOX, "desk", headers, body, now_us=NOW_US).signals == 1


def test_a_message_that_cannot_be_read_can_be_sent_again_once_it_can(desk: Desk) -> None:
    message = {"type": "reopened", "case": "17"}
    with pytest.raises(BadInput, match="nothing at 'ticket'"):
        desk.send(message)
    (told,) = signalling.messages_of(desk.book, "desk", 10)
    assert (told["status"], told["signals"]) == ("refused", 0)
    signalling.remap(desk.book, "desk", {**MAPPING, "task": "case"}, at_us=NOW_US, by_whom="test")
    assert desk.send(message).status == "recorded"
    for body in (b"{", b"\xff", b"[" * 10_000):
        with pytest.raises(BadInput):
            desk.send(body, "msg_9")


def test_a_former_secret_is_taken_for_a_while(desk: Desk) -> None:
    former = desk.secret
    desk.secret = signalling.rotate(
        desk.book, BOX, "desk", overlap_us=60_000_000, at_us=NOW_US, by_whom="test"
    )
    assert desk.send({"type": "created"}, secret=former).status == "ignored"
    assert desk.send({"type": "created"}, "msg_2").status == "ignored"
    with pytest.raises(NotBelieved):
        desk.send({"type": "created"}, "msg_3", secret=former, now_us=NOW_US + 60_000_000)


def test_a_source_names_tasks_of_its_own_project_only(database: str, tmp_path: Path) -> None:
    with open_book(database) as book:
        desk = Desk(book, Lake(tmp_path / "lake"), project="shop")
        desk.send({"type": "reopened", "ticket": str(task_id(None, "17"))})
        desk.send({"type": "rated", "ticket": "17", "stars": 5}, "msg_2")
        found = {str(task) for (task,) in book.rows("SELECT task_id FROM signals")}
    assert found == {str(task_id("shop", "17")), str(task_id("shop", str(task_id(None, "17"))))}


def test_a_removed_source_is_nobody_and_may_come_back(desk: Desk) -> None:
    signalling.remove(desk.book, "desk", at_us=NOW_US, by_whom="test", reason="contract ended")
    with pytest.raises(NotBelieved):
        desk.send({"type": "reopened", "ticket": "17"})
    with pytest.raises(NotFound):
        signalling.found(desk.book, "desk")
    desk.secret = signalling.create(desk.book, BOX, "desk", MAPPING, at_us=NOW_US, by_whom="test")
    assert desk.send({"type": "reopened", "ticket": "17"}).status == "recorded"
    assert chains.broken_at(desk.book, chains.ORGANISATION) is None


def test_no_secret_is_kept_open_or_shown(desk: Desk) -> None:
    kept = str(desk.book.rows("SELECT * FROM signal_sources"))
    kept += str(desk.book.rows("SELECT content FROM chained_records"))
    assert desk.secret not in kept
    assert base64.b64decode(desk.secret.removeprefix("whsec_")).hex() not in kept
    assert desk.secret not in str(signalling.listed(desk.book))
    body = b"{}"
    headers = webhook.signed("m", NOW_S, body, [desk.secret])
    with pytest.raises(BadUsage, match="FLATFARE_SECRET_KEY"):
        signalling.receive(desk.book, desk.lake, None, "desk", headers, body, now_us=NOW_US)


@pytest.mark.parametrize(
    ("name", "mapping", "secret"),
    [("Desk!", MAPPING, None), ("desk2", {}, None), ("desk2", MAPPING, "whsec_short")],
)
def test_what_is_no_source_is_refused(desk: Desk, name: str, mapping: object, secret: str | None) -> None:
    with pytest.raises((BadInput, NotAuthorised)):
        signalling.create(desk.book, BOX, name, mapping, at_us=NOW_US, by_whom="test", secret=secret)
    with pytest.raises(Conflict):
        signalling.create(desk.book, BOX, "desk", MAPPING, at_us=NOW_US, by_whom="test")


def test_what_a_value_means_is_stated_by_the_definition_of_the_action(desk: Desk) -> None:
    terms = {"action": "support", "window": "72h", "signals": {"csat": {"below": 3, "says": "fail"}}}
    defining.define(desk.book, defining.of_document(terms), by_whom="test", at_us=NOW_US - 5000)
    for number, stars in enumerate((5, 2)):
        task = f"T-{number}"
        opened = {
            "event": "opened",
            "id": str(task_id("opened", task)),
            "task": task,
            "at": NOW_US - 2000,
            "name": "support",
        }
        record(desk.book, desk.lake, [opened], Teller("test"), now_us=NOW_US)
        verify(desk, task)
        desk.send({"type": "rated", "ticket": task, "stars": stars}, f"msg_{number}")
    assert (desk.outcome("T-0"), desk.outcome("T-1")) == ("verified", "reversed")
