"""Events reach the server once it can be reached, each once, whatever it answers until then."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import flatfare_sdk
from flatfare_sdk import answers, sender, task
from flatfare_sdk.answers import Backoff
from flatfare_sdk.delivery import batches
from flatfare_sdk.recorder import process
from flatfare_sdk.settings import settings
from tests.sdk.conftest import Told
from tests.sdk.receiver import Answer, Receiver, receiving, until


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "DELAY_S_MIN", 0.01)
    monkeypatch.setattr(answers, "DELAY_S_MAX", 0.05)


def work(times: int = 1) -> None:
    for _ in range(times):
        with task("x"):
            pass


def test_events_arrive_within_a_second_without_being_asked_for(recording: Receiver, spool: Path) -> None:
    work()
    assert until(lambda: len(recording.events) == 4, 2.0)
    assert until(lambda: not list(spool.rglob("*.events")))


def test_the_key_goes_along(receiver: Receiver, spool: Path, fresh: None) -> None:
    process.record_by(settings({}, url=receiver.url, key="ff_key", spool=str(spool)))
    work()
    assert flatfare_sdk.flush(5.0, sent=True)
    assert set(receiver.keys) == {"Bearer ff_key"}


@pytest.mark.parametrize("status", [429, 500, 503, 401, 403, 404, 405, 302])
def test_what_is_not_taken_is_sent_again_until_it_is(
    recording: Receiver, impatient: None, status: int, warnings: Callable[[], list[str]]
) -> None:
    recording.answer = lambda events: (status, b'{"error": {"message": "not now"}}')
    work()
    assert until(lambda: recording.requests >= 3)
    assert flatfare_sdk.status().sent == 0
    assert any("not now" in text for text in warnings())
    recording.answer = lambda events: None
    assert until(lambda: len(recording.events) == 4)
    assert until(lambda: flatfare_sdk.status().sent == 4)


@pytest.mark.parametrize("body", [b"<html>welcome</html>", b"[]", b"{}", b""])
def test_an_answer_that_is_not_flatfare_s_own_is_none(
    recording: Receiver, impatient: None, body: bytes
) -> None:
    recording.answer = lambda events: (200, body)
    work()
    assert until(lambda: recording.requests >= 2)
    assert flatfare_sdk.status().sent == 0
    recording.answer = lambda events: None
    assert until(lambda: len(recording.events) == 4)


def test_an_answer_that_got_lost_leads_to_no_second_record(recording: Receiver, impatient: None) -> None:
    kept: list[Any] = []

    def lose(events: list[Any]) -> Answer | None:
        if not kept:
            kept.append(recording._record(events))
            return 502, b""
        return None

    recording.answer = lose
    work(5)
    assert until(lambda: flatfare_sdk.status().sent == 20)
    assert len(recording.events) == 20


def test_one_event_that_cannot_be_read_holds_up_no_other(
    recording: Receiver, spool: Path, warnings: Callable[[], list[str]]
) -> None:
    recording.answer = lambda events: (
        (400, b'{"error": {"message": "unreadable"}}')
        if any(one.get("name") == "bad" for one in events)
        else None
    )
    work(2)
    with task("bad"):
        pass
    work(2)
    assert until(lambda: len(recording.events) == 19)
    assert until(lambda: flatfare_sdk.status().refused == 1)
    assert until(lambda: any(file.stat().st_size for file in spool.rglob("refused.log")))
    (aside,) = spool.rglob("refused.log")
    assert json.loads(aside.read_text())["name"] == "bad"
    assert until(lambda: any("unreadable" in text for text in warnings()))


def test_a_refused_event_is_set_aside_with_its_reason(
    recording: Receiver, warnings: Callable[[], list[str]]
) -> None:
    process.recorder().put(b'{"event":"closed","id":"no-uuid","task":"t","at":1}\n')
    work()
    assert until(lambda: len(recording.events) == 4)
    assert until(lambda: flatfare_sdk.status().refused == 1)
    assert until(lambda: any("expected a UUID" in text for text in warnings()))


def test_a_connection_that_was_closed_meanwhile_is_made_anew(recording: Receiver, spool: Path) -> None:
    with receiving() as server:
        process.record_by(settings({}, url=server.url, spool=str(spool)))
        work()
        assert flatfare_sdk.flush(5.0, sent=True)
        port = int(server.url.rpartition(":")[2])
    with receiving(port) as server:
        work()
        assert flatfare_sdk.flush(5.0, sent=True)
        assert len(server.events) == 4


def test_flush_says_whether_it_was_sent(told: Told, recording: Receiver) -> None:
    recording.answer = lambda events: (503, b"{}")
    work()
    assert flatfare_sdk.flush(5.0)
    assert not flatfare_sdk.flush(5.0, sent=True)
    recording.answer = lambda events: None
    assert flatfare_sdk.flush(5.0, sent=True)
    assert len(recording.events) == 4


def test_a_path_before_ours_is_kept() -> None:
    connection = sender.Connection("https://example.com/flatfare/", None)
    assert connection._path == "/flatfare/api/events"
    connection.close()


def test_batches_are_bounded_by_number_and_size() -> None:
    assert [len(batch) for batch in batches([b"x"] * 12_000)] == [5_000, 5_000, 2_000]
    assert [len(batch) for batch in batches([b"x" * 800_000] * 5)] == [2, 1, 2]
    assert list(batches([])) == []


def test_the_time_between_tries_doubles_up_to_a_minute_and_takes_advice() -> None:
    backoff = Backoff()
    waits = []
    for _ in range(12):
        backoff.failed(100.0, 0.0)
        waits.append(backoff.next_try - 100.0)
    assert 0.25 <= waits[0] <= 0.5
    assert 30.0 <= waits[-1] <= 60.0
    backoff.failed(100.0, 90.0)
    assert backoff.next_try == 190.0
    backoff.succeeded()
    assert backoff.is_up


def test_a_file_that_cannot_be_taken_away_is_not_sent_without_end(
    recording: Receiver, monkeypatch: pytest.MonkeyPatch, warnings: Callable[[], list[str]]
) -> None:
    def refuse(path: str) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "unlink", refuse)
    work()
    assert until(lambda: any("PermissionError" in text for text in warnings()))
    time.sleep(0.3)
    assert recording.requests <= 3
    assert len(recording.events) == 4
