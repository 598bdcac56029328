"""The host is never harmed: whatever it gives and whatever fails, nothing is raised, and it is said once."""

import io
import logging
import math
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import flatfare_sdk
from flatfare_sdk import current, guarding, headers, rework, signal, task, verdict, wrap
from flatfare_sdk.recorder import process
from flatfare_sdk.settings import settings as sdk_settings
from tests.sdk.conftest import Told
from tests.sdk.receiver import Receiver, until


class Hostile:
    """Raises whatever is asked of it."""

    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __bool__ = __len__ = __iter__ = __hash__ = __eq__ = __str__  # type: ignore[assignment]

    def __getattr__(self, name: str) -> object:
        raise RuntimeError("no attribute")


class Lying(dict[str, Any]):
    """A mapping whose items raise."""

    def items(self) -> Any:
        raise OSError("closed")


WEIRD: list[Any] = [
    None,
    True,
    -1,
    10**400,
    math.nan,
    math.inf,
    1e-300,
    "",
    " ",
    "x" * 100_000,
    "\x00\n\r\x7f",
    "\ud800",
    "Ü, 𝄞=;",
    b"bytes",
    object(),
    Hostile(),
    Lying(a=1),
    {"": 1, "a b": 2, None: 3, "ok": Hostile(), "x" * 99: 1},
    {f"k{number}": "v" * 600 for number in range(200)},
    [1, {2}],
    {1, "a"},
    Fraction(1, 3),
    lambda: 1,
    Hostile,
    io.StringIO(),
]


@pytest.mark.parametrize("weird", WEIRD, ids=lambda one: type(one).__name__)
def test_whatever_is_given_nothing_is_raised_and_what_arrives_can_be_read(told: Told, weird: Any) -> None:
    with task(weird, id=weird, labels=weird, session=weird, deadline=weird, value=weird, x=weird) as t:
        with t.attempt(weird) as a:
            headers()
            t.verdict(weird, weird, evidence=weird, version=weird, kind=weird, score=weird, cost=weird)
            t.verdict("named", passed=True, evidence=weird, score=weird, version=weird)
            a.close(weird)
        t.signal(weird, weird, source=weird)
        t.rework(weird, weird, by_whom=weird)
        t.close(weird, path=weird)
    verdict(weird, "v", passed=True, evidence=weird)
    signal(weird, "accepted", weird)
    rework(weird, 1, weird)
    assert wrap(weird) is weird
    told()


def test_calls_of_the_wrong_shape_record_nothing(told: Told) -> None:
    t: Any = task("a", "b", "c")  # type: ignore[call-overload]
    with t:
        t.verdict()
        t.verdict(1, 2, 3, 4)
        t.signal()
        t.rework()
        t.signal("accepted", colour="red")
    flatfare_sdk.signal()  # type: ignore[call-arg]
    flatfare_sdk.flush("soon")  # type: ignore[arg-type]
    flatfare_sdk.configure("x")  # type: ignore[misc]
    assert told() == []


def test_a_verdict_needs_evidence_and_a_plain_answer(told: Told, warnings: Callable[[], list[str]]) -> None:
    async def check() -> bool:
        return False

    forgotten = check()
    with task("review") as t:
        t.verdict("tests", passed=True)  # type: ignore[call-arg]
        t.verdict("tests", passed=True, evidence=None)
        t.verdict("tests", passed=forgotten, evidence="x")  # type: ignore[arg-type]
        t.verdict("tests", passed="yes", evidence="x")  # type: ignore[arg-type]
    forgotten.close()
    assert "judged" not in [event["event"] for event in told()]
    assert len(warnings()) == 1
    assert "Task.verdict recorded nothing: TypeError" in warnings()[0]


def test_misuse_is_said_once(told: Told, warnings: Callable[[], list[str]]) -> None:
    for _ in range(50):
        with task("x", value="much") as t:
            t.signal(None)  # type: ignore[arg-type]
    assert len(warnings()) == 2
    assert "value is left out" in warnings()[0]
    assert "a signal has a name" in warnings()[1]


def test_a_log_that_cannot_be_written_harms_nobody(told: Told) -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    stream.close()

    class Raising(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise OSError("the disk is full")

    log = logging.getLogger("flatfare")
    raising = Raising()
    log.addHandler(handler)
    log.addHandler(raising)
    try:
        task("x", value="much")
        signal(None, "a")  # type: ignore[arg-type]
    finally:
        log.removeHandler(handler)
        log.removeHandler(raising)


def test_a_problem_without_words_is_said_all_the_same() -> None:
    class Silent(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    assert guarding.problem_text(Silent()) == "Silent"


@given(
    name=st.text(max_size=600),
    labels=st.dictionaries(st.text(max_size=70), st.text(max_size=600), max_size=70),
    value=st.one_of(st.text(max_size=50), st.floats(), st.integers(), st.decimals()),
    evidence=st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=10,
    ),
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_label_and_number_makes_events_that_the_server_reads(
    told: Told, name: str, labels: dict[str, str], value: object, evidence: object
) -> None:
    with task(name, id=name, labels=labels, value=value, session=name) as t:
        t.verdict(name, passed=True, evidence=evidence, score=value, cost=value)
        t.signal(name, value)
        t.rework(value, value)
        headers()
    told()  # which looks that nothing was refused


@pytest.fixture
def broken_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a network like no other")

    monkeypatch.setattr(socket, "create_connection", fail)


def test_a_network_that_fails_as_none_does_harms_nobody(
    broken_network: None, recording: Receiver, warnings: Callable[[], list[str]]
) -> None:
    with task("x"):
        pass
    assert flatfare_sdk.flush()
    assert until(lambda: any("ZeroDivisionError" in text for text in warnings()))
    assert recording.requests == 0
    assert flatfare_sdk.status().spooled == 4


def test_an_unusable_address_or_key_is_said_and_what_came_is_kept(
    spool: Path, warnings: Callable[[], list[str]]
) -> None:
    for url, key in (("not an address", "k"), ("http://127.0.0.1:1", "a\nb"), ("ftp://x", None)):
        process.record_by(sdk_settings({}, url=url, key=key, spool=str(spool)))
        task("x").open().close()
        assert flatfare_sdk.flush(5.0)
        assert not flatfare_sdk.flush(2.0, sent=True)
    assert len(list(spool.rglob("*.events"))) == 3
    assert "expected one like http://127.0.0.1:4180" in "".join(warnings())


@pytest.mark.skipif(os.geteuid() != 0, reason="needs the right to make a file that nobody may write")
def test_without_a_spool_events_are_sent_from_memory(
    receiver: Receiver, tmp_path: Path, warnings: Callable[[], list[str]]
) -> None:
    blocked = tmp_path / "spool"
    blocked.write_text("a file where the folder should be")
    process.record_by(sdk_settings({}, url=receiver.url, spool=str(blocked)))
    with task("x"):
        pass
    assert flatfare_sdk.flush(5.0, sent=True)
    assert receiver.names() == ["opened", "attempt_started", "attempt_ended", "closed"]
    assert "no spool in" in warnings()[0]


def test_no_more_is_held_in_memory_than_fits_and_what_is_lost_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, warnings: Callable[[], list[str]]
) -> None:
    from flatfare_sdk import delivery

    monkeypatch.setattr(delivery, "HELD_BYTES_MAX", 10_000)
    (tmp_path / "spool").write_text("no folder")
    process.record_by(sdk_settings({}, url="http://127.0.0.1:1", spool=str(tmp_path / "spool")))
    for _ in range(50):
        task("x", padding="p" * 400).open().close()
        flatfare_sdk.flush(5.0)
    assert until(lambda: flatfare_sdk.status().lost > 20)
    assert any("events are lost" in text for text in warnings())


def test_a_queue_that_nobody_empties_is_bounded(
    recording: Receiver, monkeypatch: pytest.MonkeyPatch, warnings: Callable[[], list[str]]
) -> None:
    from flatfare_sdk import recorder

    monkeypatch.setattr(recorder, "QUEUE_MAX", 10)
    now = process.recorder()
    now._is_idle = False  # as where the thread is kept from running: nobody is called
    for _ in range(30):
        now.put(b"{}\n")
    assert flatfare_sdk.status().lost >= 20
    assert any("come faster than" in text for text in warnings())


def test_switched_off_it_records_nothing_and_starts_nothing(spool: Path) -> None:
    process.record_by(sdk_settings({"FLATFARE_OFF": "1"}, spool=str(spool)))
    with task("x") as t:
        t.signal("accepted")
    assert flatfare_sdk.flush()
    assert flatfare_sdk.status() == (0, 0, 0, 0, 0)
    assert not spool.exists()


def test_it_imports_the_standard_library_alone() -> None:
    probe = (
        "import sys; before = set(sys.modules); import flatfare_sdk\n"
        "new = {name.split('.')[0] for name in set(sys.modules) - before}\n"
        "print(new - set(sys.stdlib_module_names) - {'flatfare_sdk'}, 'http' in new, 'inspect' in new)"
    )
    result = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, env=_bare())
    assert result.stdout.strip() == "set() False False", result.stderr


def _bare() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(flatfare_sdk.__file__).parent.parent)}


def test_importing_it_starts_no_thread_and_touches_no_file(tmp_path: Path) -> None:
    probe = "import threading, flatfare_sdk; print(threading.active_count())"
    environment = {**_bare(), "FLATFARE_SPOOL": str(tmp_path / "spool")}
    result = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, env=environment)
    assert result.stdout.strip() == "1", result.stderr
    assert not (tmp_path / "spool").exists()


@pytest.fixture
def slow(recording: Receiver) -> Iterator[Receiver]:
    recording.delay_s = 5.0
    yield recording
    recording.delay_s = 0.0


def test_a_server_that_is_slow_slows_nobody(slow: Receiver) -> None:
    started = time.monotonic()
    for _ in range(200):
        with task("x") as t:
            t.verdict("v", passed=True, evidence="e")
    assert time.monotonic() - started < 2.0
    assert flatfare_sdk.flush(2.0)
    assert flatfare_sdk.status().spooled == 1000


def test_current_without_a_task_takes_everything() -> None:
    nobody = current()
    nobody.verdict("v", passed=True, evidence="e")
    nobody.close()
    assert headers() == {}
