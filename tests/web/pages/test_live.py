"""The stream of an open page: it tells of calls to who may see them, and ends when serving ends."""

import asyncio
from pathlib import Path

import pytest

from flatfare.config import Settings
from flatfare.store.book import open_book
from flatfare.web.desk import Desk
from flatfare.web.pages import live
from flatfare.web.pages.live import Arriving
from flatfare.web.scope import EVERYTHING, Scope
from tests.builders import call, write_calls
from tests.web.lively import empty


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return empty(tmp_path)


async def heard(arriving: Arriving, scope: Scope, into: list[int | None]) -> None:
    """Listen until the stream ends."""
    async for count in arriving.heard_by(scope):
        into.append(count)  # noqa: PERF401 - what was heard is looked at while it still comes


def test_a_team_hears_of_its_own_calls_and_of_no_other(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "LOOK_S", 0.02)
    told: dict[str, list[int | None]] = {"search": [], "legal": [], "all": []}
    grown: list[None] = []

    async def run() -> None:
        desk = Desk(settings)
        arriving = Arriving(desk, lambda: grown.append(None))
        scopes = {
            "search": Scope.of([("team", "search")]),
            "legal": Scope.of([("team", "legal")]),
            "all": EVERYTHING,
        }
        listening = [asyncio.create_task(heard(arriving, scopes[name], told[name])) for name in told]
        await asyncio.sleep(0.3)
        with open_book(settings.database) as book:
            rows = [call(name, None, 1, source="gateway", labels={"team": "search"}) for name in ("a", "b")]
            write_calls(book, rows)
        for _ in range(200):
            await asyncio.sleep(0.02)
            if told["search"] and told["all"]:
                break
        arriving.end()
        await asyncio.wait_for(asyncio.gather(*listening), 5)
        desk.close()

    asyncio.run(run())
    assert told == {"search": [2], "legal": [], "all": [2]}
    assert len(grown) == 1


def test_a_quiet_stream_gives_a_sign_of_life(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "BEAT_S", 0.02)
    told: list[int | None] = []

    async def run() -> None:
        desk = Desk(settings)
        arriving = Arriving(desk, lambda: None)
        listening = asyncio.create_task(heard(arriving, EVERYTHING, told))
        await asyncio.sleep(0.2)
        arriving.end()
        await asyncio.wait_for(listening, 5)
        desk.close()

    asyncio.run(run())
    assert told
    assert set(told) == {None}
