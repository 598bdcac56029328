"""Recording into a spool of the test's own, to a receiver of its own."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import flatfare_sdk
from flatfare_sdk import guarding
from flatfare_sdk.recorder import process
from flatfare_sdk.settings import settings
from tests.sdk.receiver import Receiver, receiving

Told = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A server that takes events."""
    with receiving() as found:
        yield found


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    """The folder below which spools lie."""
    return tmp_path / "spool"


@pytest.fixture
def fresh() -> None:
    """What was warned of before is forgotten."""
    guarding._said.clear()


@pytest.fixture(autouse=True)
def nothing_left_behind(tmp_path: Path) -> Iterator[None]:
    """After each test this process records for nobody."""
    yield
    if process._recorder is not None:
        process._recorder.close(1.0)
    process.record_by(settings({"FLATFARE_OFF": "1"}, spool=str(tmp_path / "off")))


@pytest.fixture
def recording(receiver: Receiver, spool: Path, fresh: None) -> Receiver:
    """This process records for the receiver."""
    process.record_by(settings({}, url=receiver.url, spool=str(spool)))
    return receiver


@pytest.fixture
def told(recording: Receiver) -> Told:
    """All that the receiver has been told, once everything has arrived."""

    def all_of_it() -> list[dict[str, Any]]:
        assert flatfare_sdk.flush(10.0, sent=True), flatfare_sdk.status()
        assert recording.refused == []
        return recording.events

    return all_of_it


@pytest.fixture
def warnings(caplog: pytest.LogCaptureFixture, fresh: None) -> Callable[[], list[str]]:
    """What was warned of through logging."""
    caplog.set_level(logging.WARNING, "flatfare")
    return lambda: [record.getMessage() for record in caplog.records if record.name == "flatfare"]
