"""P5: after kill -9 of any process of the gateway, each request that the provider received has one row."""

import os
import random
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.gateway.rig import Stall, chunked, whole
from tests.gateway.rig_gateway import Gateway
from tests.gateway.rig_load import (
    BODY,
    EVENTS,
    Load,
    answering_soon,
    check_each_has_one_row,
    children,
    load_on,
    settled_rows,
    the,
)
from tests.gateway.rig_pair import STREAMED, Pair, pair, until

FAULTS = Path(__file__).parent / "faults"

AT_ONCE = """
import flatfare.gateway.supervisor as supervisor
supervisor.LIVED_S_MIN = 0.0  # killed processes are started anew without a pause: the test kills many
"""


def kill(gateway: Gateway, role: str, dice: random.Random) -> None:
    """Kill a process of this role, and start the gateway anew where it does not do so itself."""
    now = children(gateway)
    found = now[role] or now["starting"]
    if not found:
        return
    os.kill(dice.choice(found), signal.SIGKILL)
    if role == "supervisor":
        assert gateway.process is not None
        gateway.process.wait(10)
        session = gateway.process.pid
        until(lambda: not gateway.alive(session), 20, "its children do not end after it")
        gateway.start()


def kill_often(both: Pair, kills: int, roles: tuple[str, ...], load: Load, dice: random.Random) -> int:
    """Kill so many processes under load; returns how many calls were in flight at the kills."""
    in_flight = 0
    with both.provider.answers(answering_soon), load.running():
        for _ in range(kills):
            time.sleep(dice.uniform(0.05, 0.4))
            kill(both.gateway, dice.choice(roles), dice)
            in_flight += load.clients
        until(lambda: load.answered[200] > 0, 10)
        time.sleep(0.5)
    return in_flight


@pytest.mark.parametrize("kills", [20, pytest.param(200, marks=pytest.mark.soak)])
def test_no_call_is_lost_whoever_is_killed(tmp_path: Path, kills: int) -> None:
    dice = random.Random(20261121)
    with pair(tmp_path, workers=2, prelude=AT_ONCE) as both:
        both.provider.forget()
        load = load_on(both)
        in_flight = kill_often(both, kills, ("worker", "worker", "bookkeeper"), load, dice)
        rows = settled_rows(both.gateway)
        check_each_has_one_row(both.provider.log, rows, in_flight)
        assert len(both.provider.log) > 10 * kills, load.answered
        assert load.answered[200] > 5 * kills
        proven = {row["labels"] for row in rows if row["delivery"] == "proven"}
        missing = [name for name in load.whole if f'{{"probe":"{name}"}}' not in proven]
        assert not missing, "who got a whole answer has its cost on record"


def test_no_call_is_lost_when_the_supervisor_is_killed(tmp_path: Path) -> None:
    """Its children finish what is under way and end; another start goes on from there."""
    with pair(tmp_path, workers=2) as both:
        both.provider.forget()
        load = load_on(both)
        in_flight = kill_often(both, 4, ("supervisor",), load, random.Random(3))
        check_each_has_one_row(both.provider.log, settled_rows(both.gateway), in_flight)


def test_a_bookkeeper_that_was_started_anew_ends_with_its_supervisor(tmp_path: Path) -> None:
    with pair(tmp_path, prelude=AT_ONCE) as both:
        first = the(both.gateway, "bookkeeper")
        os.kill(first, signal.SIGKILL)
        until(lambda: children(both.gateway)["bookkeeper"] not in ([], [first]), 5)
        time.sleep(0.3)
        session = both.gateway.processes()[0]
        os.kill(session, signal.SIGKILL)
        until(lambda: not set(both.gateway.alive(session)) - {session}, 3, "it lives on")


def test_a_call_cut_by_a_kill_is_estimated(tmp_path: Path) -> None:
    """Its model has a price and it said how long its answer may be: what it costs at most is known."""
    asked = (
        b'{"model": "gpt-4o", "max_tokens": 100, "messages": [{"role": "user", "content": "How many legs?"}]}'
    )
    with pair(tmp_path) as both:
        both.provider.forget()
        both.provider.next((Stall(),))
        with both.opened() as line:
            line.send(both.request(both.secret, asked))
            until(lambda: len(both.provider.log) == 1)
            os.kill(children(both.gateway)["worker"][0], signal.SIGKILL)
            (row,) = both.gateway.new_rows(1)
    assert (row["delivery"], row["cost_state"]) == ("unproven", "estimated")
    assert row["cost_nano"] > 100 * 10_000


def test_a_gateway_that_acknowledges_before_it_writes_is_found_out(tmp_path: Path) -> None:
    """The negative control: the same test fails for a journal that says it has kept what it has not."""
    fault = (FAULTS / "acknowledge_before_writing.py").read_text()
    with pair(tmp_path, workers=1, prelude=AT_ONCE + fault) as both:
        both.provider.forget()
        in_flight = kill_often(both, 5, ("worker",), load_on(both), random.Random(1))
        rows = settled_rows(both.gateway)
        with pytest.raises(AssertionError, match="are lost"):
            check_each_has_one_row(both.provider.log, rows, in_flight)


def test_everything_killed_at_once_and_started_again(tmp_path: Path) -> None:
    """As when the machine's memory is gone: all processes end together."""
    with pair(tmp_path, workers=2) as both:
        both.provider.forget()
        load = load_on(both)
        with both.provider.answers(answering_soon), load.running():
            for _ in range(3):
                time.sleep(0.4)
                both.gateway.kill()
                both.gateway.start()
            time.sleep(0.3)
        check_each_has_one_row(both.provider.log, settled_rows(both.gateway), 3 * load.clients)


def test_a_graceful_stop_loses_nothing_and_finishes_streams(tmp_path: Path) -> None:
    with pair(tmp_path, workers=2) as both:
        both.provider.forget()
        load = load_on(both)
        with both.provider.answers(answering_soon), load.running():
            time.sleep(0.5)
            both.gateway.stop()
        check_each_has_one_row(both.provider.log, both.gateway.rows(), 0)
        rows = both.gateway.rows()
        assert {row["delivery"] for row in rows} == {"proven"}
        assert {row["status"] for row in rows} == {"ok"}
        assert both.gateway.open_calls() == 0


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Pair]:
    with pair(tmp_path, prelude=(FAULTS / "disk_full.py").read_text()) as both:
        yield both


def test_a_full_disk_refuses_calls_and_sends_nothing(small: Pair) -> None:
    """The table: journal cannot be written → 503, nothing sent; it goes on when there is room again."""
    full = small.gateway.folder / "disk-full"
    assert small.through(whole(BODY)).status == 200
    small.provider.forget()
    full.touch()
    seen = [small.through(None) for _ in range(3)]
    assert [one.status for one in seen] == [503] * 3
    assert small.provider.log == []
    assert small.ready() == 503
    full.unlink()
    until(lambda: small.through(whole(BODY)).status == 200, 5)
    until(lambda: small.ready() == 200, 5)
    rows = settled_rows(small.gateway)
    assert len([row for row in rows if row["status"] == "ok"]) == 1 + len(small.provider.log)
    assert all(row["cost_nano"] == 0 for row in rows if row["status"] != "ok")


def test_a_disk_that_fills_during_a_call_does_not_lose_it(small: Pair) -> None:
    """The intent stands; the result waits in memory until there is room."""
    full = small.gateway.folder / "disk-full"
    small.provider.forget()
    small.provider.next(chunked(EVENTS[:2] + [b": wait\n\n"] * 3 + EVENTS[2:]))
    with small.opened() as line:
        line.send(small.request(small.secret, STREAMED))
        line.receive(until=lambda body: len(body) > 0)
        full.touch()
        time.sleep(0.6)
        full.unlink()
        until(lambda: len(small.gateway.rows()) == 1, 10)
    (row,) = settled_rows(small.gateway)
    assert (row["delivery"], row["cost_state"]) == ("proven", "measured")


def test_the_setting_that_forwards_without_a_journal_says_so(tmp_path: Path) -> None:
    fault = (FAULTS / "disk_full.py").read_text()
    with pair(tmp_path, prelude=fault, on_journal_failure="forward") as both:
        assert b"may be lost" in both.gateway.log or b"forward" in both.gateway.log
        assert both.status_document()["calls_may_be_lost"] is True
        full = both.gateway.folder / "disk-full"
        full.touch()
        seen = both.through(whole(BODY))
        assert (seen.status, seen.body) == (200, BODY)
        full.unlink()
        assert both.row(seen)["cost_state"] == "measured"


def test_a_locked_book_keeps_no_call_waiting(tmp_path: Path) -> None:
    """Somebody holds the book for five seconds: calls go through from the journal, and are booked later."""
    with pair(tmp_path) as both:
        both.provider.forget()
        with closing(sqlite3.connect(both.gateway.book, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            started = time.monotonic()
            slowest = 0.0
            while time.monotonic() - started < 5.0:
                asked = time.monotonic()
                assert both.through(whole(BODY)).status == 200
                slowest = max(slowest, time.monotonic() - asked)
                time.sleep(0.05)
            other.execute("ROLLBACK")
        assert slowest < 1.0
        rows = settled_rows(both.gateway)
        assert len(rows) == len(both.provider.log) > 20
        assert {row["delivery"] for row in rows} == {"proven"}


def test_a_book_that_is_away_keeps_no_call_waiting(tmp_path: Path) -> None:
    with pair(tmp_path) as both:
        both.provider.forget()
        book, away = both.gateway.book, tmp_path / "away"
        away.mkdir()
        parts = [book, book.with_name(book.name + "-wal"), book.with_name(book.name + "-shm")]
        for part in parts:
            if part.exists():
                part.rename(away / part.name)
        for _ in range(5):
            assert both.through(whole(BODY)).status == 200
        book.unlink(missing_ok=True)
        for part in parts:
            if (away / part.name).exists():
                (away / part.name).rename(part)
        until(lambda: len(both.gateway.rows()) == 5, 20, "the calls are not booked when the book is back")
