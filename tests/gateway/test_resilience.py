"""What goes on when something fails, changes or grows: circuits, tries, reloads, many streams at once."""

import asyncio
import json
import os
import random
import signal
import time
from collections.abc import Coroutine
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from flatfare.config import Provider, Retries, Secret
from flatfare.core.budget import Budget, Scope, Window
from flatfare.gateway.circuits import FAILURES, PAUSE_S, PAUSE_S_MAX, Circuit
from flatfare.gateway.server import serving
from flatfare.service.budgets import budgeting
from flatfare.store.book import open_book
from tests.gateway import rig, upstreams
from tests.gateway.rig import Pause, chunked, whole
from tests.gateway.rig_gateway import START_S
from tests.gateway.rig_load import BODY
from tests.gateway.rig_pair import CHAT, STREAMED, pair, until
from tests.gateway.upstreams import ANSWER_NANO, CHUNKS, Asked, ask, both, rows, settings_for, upstream


def run(coroutine: Coroutine[Any, Any, None], within_s: float = 30) -> None:
    asyncio.run(asyncio.wait_for(coroutine, within_s))


def test_a_provider_that_is_away_holds_back_no_other(tmp_path: Path) -> None:
    async def test() -> None:
        async with upstream() as there:
            base = f"http://127.0.0.1:{there.port}/v1"
            providers = {
                "openai": Provider("openai", base, "openai", Secret("k")),
                "away": Provider("away", "http://127.0.0.1:1/v1", "openai", Secret("k")),
            }
            async with serving(settings_for(tmp_path, 1, providers=providers)) as gateway:
                statuses = [
                    (await ask(gateway, path="/p/away/chat/completions")).status for _ in range(FAILURES + 1)
                ]
                assert statuses == [502] * FAILURES + [503]
                assert (await ask(gateway)).status == 200
                ready = await ask(gateway, b"", path="/readyz", method="GET")
                assert b'"held_back":["away"]' in ready.body

    run(test())


def test_a_provider_that_is_back_is_used_again() -> None:
    """After each pause one call goes ahead; the pause doubles up to a bound, and one answer ends it."""
    circuit = Circuit()
    now, pause = 100.0, PAUSE_S
    for _ in range(FAILURES):
        assert circuit.wait_s(now) is None
        circuit.failed(now)
    for _ in range(10):
        assert circuit.wait_s(now) == pytest.approx(pause)
        now += pause
        assert circuit.wait_s(now) is None, "one goes ahead"
        assert circuit.wait_s(now) is not None, "and the others wait for how it fares"
        circuit.failed(now)
        pause = min(pause * 2, PAUSE_S_MAX)
    circuit.succeeded()
    assert not circuit.is_open
    assert circuit.wait_s(now) is None


def test_tries_wait_longer_each_time_and_never_all_as_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Doubling with jitter, as the provider says where it does, and never beyond the bound."""
    drawn: list[tuple[float, float]] = []

    def draw(low: float, high: float) -> float:
        drawn.append((low, high))
        return low

    monkeypatch.setattr(random, "uniform", draw)
    moments: list[float] = []
    said = {"retry-after": ""}

    async def busy(asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        moments.append(time.monotonic())
        own = f"Retry-After: {said['retry-after']}\r\n" if said["retry-after"] else ""
        writer.write(f"HTTP/1.1 429 Too Many Requests\r\n{own}Content-Length: 0\r\n\r\n".encode())

    async def test() -> None:
        retries = Retries(times=3, first_delay_s=0.1, delay_s_max=0.3)
        async with both(tmp_path, retries=retries) as (gateway, provider):
            provider.script = busy
            assert (await ask(gateway)).status == 429
            gaps = [after - before for before, after in pairwise(moments)]
            for gap, expected in zip(
                gaps, (0.05, 0.1, 0.15), strict=True
            ):  # half of 0.1, 0.2 and at most 0.3
                assert expected <= gap < expected + 0.05
            assert drawn == [(0.5, 1.0)] * 3
            moments.clear()
            said["retry-after"] = "3600"
            assert (await ask(gateway)).status == 429
            assert 0.29 <= moments[1] - moments[0] < 3
            booked = await rows(gateway)
            assert len({row["id"] for row in booked}) == 8
            assert {row["http_status"] for row in booked} == {429}

    run(test())


def test_each_try_has_its_own_time(tmp_path: Path) -> None:
    """What the first took, and the pause after it, are not the second's, nor the gateway's."""

    async def slow_then_quick(
        asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if not times:
            times.append(time.monotonic())
            await asyncio.sleep(0.6)
            writer.write(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
            return
        writer.write(upstreams.whole())

    times: list[float] = []

    async def test() -> None:
        retries = Retries(times=1, first_delay_s=0.4, delay_s_max=0.4, statuses=(503,))
        async with both(tmp_path, retries=retries) as (gateway, provider):
            provider.script = slow_then_quick
            assert (await ask(gateway)).status == 200
            first, second = await rows(gateway)
            told = [json.loads(str(row["traits"])) for row in (first, second)]
            assert (first["http_status"], second["http_status"]) == (503, 200)
            assert int(str(first["duration_ms"])) >= 600
            assert int(str(second["duration_ms"])) < 600
            assert all(one["added_us"] < 500_000 for one in told)
            assert [one.get("try") for one in told] == [None, 2]
            lines = (await ask(gateway, b"", path="/metrics", method="GET")).body.decode().splitlines()
            figures = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
            assert (
                figures["flatfare_added_seconds_count"] == figures["flatfare_provider_seconds_count"] == "2"
            )
            assert float(figures["flatfare_added_seconds_sum"]) < 0.6

    run(test())


@pytest.mark.parametrize("workers", [1, 2])
def test_settings_are_read_anew_without_dropping_a_stream(workers: int, tmp_path: Path) -> None:
    """SIGHUP while a stream runs: it goes on to its end, and the calls to come have the new settings."""
    pieces = [step for chunk in CHUNKS for step in (chunk.replace(b"NULL", b""), Pause(0.4))]
    with pair(tmp_path, workers=workers) as both:
        both.provider.next(chunked(pieces))
        with both.opened(10) as line:
            line.send(both.request(both.secret, STREAMED))
            until(lambda: len(both.provider.log) == 1)
            file = both.gateway.folder / "flatfare.yaml"
            settings = yaml.safe_load(file.read_text())
            settings["providers"]["second"] = {**settings["providers"]["openai"], "dialect": "openai"}
            file.write_text(yaml.safe_dump(settings))
            assert both.gateway.process is not None
            os.kill(both.gateway.process.pid, signal.SIGHUP)

            def is_known() -> bool:
                both.provider.next(whole(b"{}"))
                target = "/p/second/v1/chat/completions"
                return both.gateway.ask(both.secret, "POST", target, b"{}").status == 200

            until(is_known, 5)
            seen = line.receive()
        assert seen.end == "whole"
        assert seen.body == b"".join(step for step in pieces if isinstance(step, bytes))
        row = both.row(seen)
        assert (row["status"], row["cost_state"]) == ("ok", "measured")


def test_settings_that_are_wrong_change_nothing(tmp_path: Path) -> None:
    with pair(tmp_path) as both:
        file = both.gateway.folder / "flatfare.yaml"
        file.write_text(file.read_text() + "\nno_such_setting: 1\n")
        assert both.gateway.process is not None
        os.kill(both.gateway.process.pid, signal.SIGHUP)
        until(lambda: b"The settings stay as they were" in both.gateway.log, START_S)
        assert both.through(whole(b"{}"), target=CHAT).status == 200


def test_channels_of_alerts_are_read_anew_and_the_place_of_the_book_is_not(tmp_path: Path) -> None:
    """SIGHUP reaches the process that tells of alerts; where the book is stays until the next start."""
    with pair(tmp_path) as both, rig.Provider(lambda _: whole(b"{}")) as hooks:
        file = both.gateway.folder / "flatfare.yaml"
        settings = yaml.safe_load(file.read_text())
        settings["alerts"] = {"ops": {"url": hooks.url("hooks.example", "/told"), "allow_private": True}}
        settings["database"] = f"sqlite:///{tmp_path / 'other.db'}"
        file.write_text(yaml.safe_dump(settings))
        assert both.gateway.process is not None
        os.kill(both.gateway.process.pid, signal.SIGHUP)
        until(lambda: b"these stay as they were: database." in both.gateway.log, START_S)
        with open_book(str(both.gateway.book)) as book:
            wanted = Budget("", "held", Scope("organisation"), 1, Window.of("lifetime"), is_hard=False)
            budgeting.create(book, wanted, at_us=1_795_000_000_000_000, by_whom="test")
        both.wait_until_noticed()
        seen = both.through(whole(BODY), target=CHAT)
        assert seen.status == 200
        until(lambda: b"has reached 100 %" in b"".join(one.body for one in hooks.log), 15)
        assert both.row(seen)["status"] == "ok", "it is in the book that was there"
        assert b"ended with code" not in both.gateway.log, "nothing is amiss"


STREAMS, EVENTS = 200, 50


def test_many_streams_at_once_each_get_all_their_events(tmp_path: Path) -> None:
    """Each with a pause between its events; none waits for another, and each is one row with its cost."""
    piece = CHUNKS[0].replace(b"NULL", b"")
    last = [CHUNKS[2], CHUNKS[3]]

    async def streams(asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        for event in [piece] * EVENTS + last:
            writer.write(b"%x\r\n%b\r\n" % (len(event), event))
            await writer.drain()
            await asyncio.sleep(0.01)
        writer.write(b"0\r\n\r\n")

    async def test() -> None:
        async with both(tmp_path) as (gateway, provider):
            provider.script = streams
            started = time.monotonic()
            answers = await asyncio.gather(*(ask(gateway, STREAMED) for _ in range(STREAMS)))
            took = time.monotonic() - started
            assert {answer.body for answer in answers} == {piece * EVENTS + b"".join(last)}
            booked = await rows(gateway)
            assert [row["cost_nano"] for row in booked] == [ANSWER_NANO] * STREAMS
            # One after another they would take 200 × 0.5 s.
            assert took < STREAMS * EVENTS * 0.01 / 5

    run(test(), 60)
