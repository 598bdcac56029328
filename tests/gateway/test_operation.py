"""What an operator sees and sets: limits of connections, figures and who may see them, a line a call."""

import asyncio
import json
import logging
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest
import uvloop

from flatfare.config import Limits, Secret, load_settings
from flatfare.core.errors import BadInput
from flatfare.dialects.meter import Stream
from flatfare.gateway.logs import JsonLines
from flatfare.gateway.server import Running
from flatfare.service.access import keys as issuing
from flatfare.service.access.keys import Terms
from flatfare.store.book import open_book
from tests.gateway.upstreams import STREAM, Answer, ask, both, parsed, rows, settings_for, whole

LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


def run(coroutine: Coroutine[Any, Any, None], loop: str = "asyncio") -> None:
    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(asyncio.wait_for(coroutine, 20))


def port_of(gateway: Running) -> int:
    return int(gateway.url.rpartition(":")[2])


@pytest.mark.parametrize("loop", LOOPS)
def test_a_connection_beyond_the_limit_is_told_so_and_counted(loop: str, tmp_path: Path) -> None:
    async def test() -> None:
        async with both(tmp_path, limits=Limits(connections=2)) as (gateway, provider):
            held = [await asyncio.open_connection("127.0.0.1", port_of(gateway)) for _ in range(2)]
            await asyncio.sleep(0.05)
            refused = await ask(gateway)
            assert (refused.status, refused.headers["retry-after"]) == (503, "1")
            assert b"limits.connections" in refused.body
            assert provider.asked == []
            held[0][1].close()
            await asyncio.sleep(0.05)
            assert (await ask(gateway)).status == 200
            await asyncio.sleep(0.05)
            figures = await ask(gateway, path="/metrics", method="GET", body=b"")
            assert b"flatfare_connections_refused_total 1\n" in figures.body
            held[1][1].close()

    run(test(), loop)


async def never_drained(writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("loop", LOOPS)
def test_who_was_turned_away_and_stays_is_cut_off(loop: str, tmp_path: Path) -> None:
    async def test() -> None:
        async with both(tmp_path, limits=Limits(connections=0)) as (gateway, _):
            reader, writer = await asyncio.open_connection("127.0.0.1", port_of(gateway))
            said = await reader.read()
            assert parsed(said).status == 503
            writer.write(b"x")
            await asyncio.sleep(1.2)
            writer.write(b"x")
            with pytest.raises(ConnectionError):
                await asyncio.wait_for(never_drained(writer), 5)

    run(test(), loop)


async def get(gateway: Running, path: str, headers: str = "") -> Answer:
    return await ask(gateway, b"", headers, path, "GET")


@pytest.mark.parametrize("listen", ["127.0.0.1:0", "0.0.0.0:0"])
@pytest.mark.parametrize("setting", [None, "open", "key"])
def test_who_sees_figures(listen: str, setting: str | None, tmp_path: Path) -> None:
    """Anybody on this machine; from elsewhere who has a key or the token, if nothing is set."""
    is_open = setting == "open" or (setting is None and listen.startswith("127"))

    async def test() -> None:
        settings = settings_for(tmp_path, 1)
        with open_book(settings.database) as book:
            secret = issuing.create(book, Terms("one"), at_us=1, by_whom="test").secret
        own = {"listen": listen, "metrics": setting, "metrics_token": Secret("watch me")}
        async with both(tmp_path, **own) as (gateway, _):
            for headers, is_let_in in (
                ("", is_open),
                ("Authorization: Bearer ff_wrong\r\n", is_open),
                (f"Authorization: Bearer {secret}\r\n", True),
                ("Authorization: Bearer watch me\r\n", True),
            ):
                metrics = await get(gateway, "/metrics", headers)
                assert (metrics.status == 200, b"flatfare_calls" in metrics.body) == (is_let_in, is_let_in)
                ready = await get(gateway, "/readyz", headers)
                assert ready.status == 200
                assert ("journal" in json.loads(ready.body)) is is_let_in
                assert json.loads(ready.body)["status"] == "ready"
            assert (await get(gateway, "/healthz")).status == 200

    run(test())


def test_the_time_that_a_call_took_is_told_apart_by_who_took_it(tmp_path: Path) -> None:
    async def test() -> None:
        async with both(tmp_path) as (gateway, provider):

            async def slow(_: object, __: object, writer: asyncio.StreamWriter) -> None:
                await asyncio.sleep(0.3)
                writer.write(whole())

            provider.script = slow
            await ask(gateway)
            lines = (await get(gateway, "/metrics")).body.decode().splitlines()
            figures = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
            assert (
                figures["flatfare_provider_seconds_count"] == figures["flatfare_added_seconds_count"] == "1"
            )
            assert 0.3 <= float(figures["flatfare_provider_seconds_sum"]) < 5
            assert 0 < float(figures["flatfare_added_seconds_sum"]) < 5

    run(test())


def test_a_web_page_sees_no_figures_on_this_machine(tmp_path: Path) -> None:
    async def test() -> None:
        async with both(tmp_path) as (gateway, _):
            answer = await get(gateway, "/metrics", "Origin: https://evil.example\r\n")
            assert answer.status == 403
            assert b"flatfare_calls" not in answer.body

    run(test())


def test_who_sees_figures_is_a_setting(tmp_path: Path) -> None:
    file = tmp_path / "flatfare.yaml"
    file.write_text("metrics: key\nmetrics_token: ${TOKEN}\n")
    settings = load_settings(file, {"TOKEN": "watch"})
    assert (settings.metrics, settings.metrics_token) == ("key", "watch")
    assert "watch" not in repr(settings)
    file.write_text("metrics: everybody\n")
    with pytest.raises(BadInput, match="'open' or 'key'"):
        load_settings(file, {})


def logged(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    return [json.loads(JsonLines().format(record)) for record in caplog.records]


def test_each_call_is_a_line_where_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """With its id, its cost and how it went; nothing of what was said. Otherwise there is no line."""
    monkeypatch.setattr(logging.getLogger("flatfare"), "propagate", True)
    caplog.set_level(logging.INFO, "flatfare")

    async def test() -> None:
        async with both(tmp_path) as (gateway, _):
            await ask(gateway)
        assert logged(caplog) == []
        async with both(tmp_path, log="calls") as (gateway, _):
            answer = await ask(gateway)
            await ask(gateway, STREAM)
            refused = await ask(gateway, path="/v1/nothing/known")
            assert refused.status == 403
        whole, stream, denied = logged(caplog)
        assert whole["call"] == answer.headers["flatfare-call"]
        assert (whole["cost"], whole["cost_state"]) == ("0.003000000", "measured")
        assert (whole["provider"], whole["endpoint"]) == ("openai", "chat.completions")
        assert (whole["model"], whole["http_status"]) == ("gpt-4o-2024-08-06", 200)
        assert stream["status"] == "ok"
        assert (denied["status"], denied["call"]) == ("refused", refused.headers["flatfare-call"])
        assert "Be kind" not in caplog.text
        assert "Hi" not in caplog.text

    run(test())


def test_what_goes_wrong_with_a_call_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(logging.getLogger("flatfare"), "propagate", True)

    def broken(*_: object) -> None:
        raise ValueError("a bug of the meter")

    async def test() -> None:
        async with both(tmp_path) as (gateway, provider):
            monkeypatch.setattr(Stream, "feed", broken)
            metered = await ask(gateway, STREAM)
            provider.script = lambda *_: (_ for _ in ()).throw(ConnectionError())
            lost = await ask(gateway)
            booked = await rows(gateway)
        assert (metered.status, lost.status) == (200, 502)
        assert {line["call"] for line in logged(caplog)} == {row["id"] for row in booked}
        assert len(booked) == 2

    run(test())
