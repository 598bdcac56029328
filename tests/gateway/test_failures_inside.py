"""A bug of the gateway's own: it is named as such, costs one call and no more, and blames nobody else."""

import asyncio
import json
import logging
from pathlib import Path

import pytest

from flatfare.core.errors import StoreFailure
from flatfare.gateway.forwarding.call import Call
from flatfare.gateway.journal import Journal
from flatfare.gateway.logs import JsonLines
from flatfare.service.access import keys as issuing
from flatfare.service.access.keys import Terms
from flatfare.store.book import open_book
from tests.gateway.upstreams import ask, both, rows, settings_for


@pytest.mark.parametrize("what", ["on_head", "on_piece"])
def test_a_failure_while_passing_on_is_not_the_provider_s(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged with the place where it happened and the call, and the call is unknown for that reason."""

    def broken(*_: object) -> None:
        raise ValueError("a client's text")

    async def run() -> None:
        async with both(tmp_path) as (gateway, _):
            monkeypatch.setattr(Call, what, broken)
            answer = await ask(gateway)
            assert answer.status == 502 or not answer.is_whole
            (row,) = await rows(gateway)
            assert (row["cost_state"], row["cost_nano"]) == ("unknown", None)
            assert "The gateway failed while it passed the answer on" in str(row["cost_reason"])
            assert not gateway.worker.calls

    propagating = logging.getLogger("flatfare")
    monkeypatch.setattr(propagating, "propagate", True)
    asyncio.run(asyncio.wait_for(run(), 20))
    (record,) = [one for one in caplog.records if one.levelno == logging.ERROR]
    said = json.loads(JsonLines().format(record))
    assert said["error"] == "ValueError"
    assert any(line.endswith("broken") for line in said["at"])
    assert len(said["call"]) == 36
    assert "client's text" not in json.dumps(said)


def test_a_call_that_could_not_begin_is_not_under_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It counts against no limit, and a graceful stop does not wait for it."""

    def broken(*_: object) -> None:
        raise RuntimeError("a bug")

    async def run() -> None:
        settings = settings_for(tmp_path, 1)
        with open_book(settings.database) as book:
            terms = Terms("one", concurrent=1)
            secret = issuing.create(book, terms, at_us=1, by_whom="test").secret
        async with both(tmp_path) as (gateway, _):
            own = f"Authorization: Bearer {secret}\r\n"
            with monkeypatch.context() as patch:
                patch.setattr(Journal, "write", broken)
                for _ in range(3):
                    assert (await ask(gateway, headers=own)).status == 500
                assert not gateway.worker.calls
            assert (await ask(gateway, headers=own)).status == 200

    asyncio.run(asyncio.wait_for(run(), 20))


def test_a_journal_that_refuses_is_told_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control: what the journal says in its own words is a 503 and no bug."""

    def full(*_: object) -> None:
        raise StoreFailure("The disk is full.")

    async def run() -> None:
        async with both(tmp_path) as (gateway, _):
            with monkeypatch.context() as patch:
                patch.setattr(Journal, "write", full)
                answer = await ask(gateway)
            assert (answer.status, gateway.worker.calls) == (503, set())

    asyncio.run(asyncio.wait_for(run(), 20))
