"""What a former process left behind is looked after by the process of pages, each run by itself."""

import asyncio
import logging
import time
from pathlib import Path

import pytest

from flatfare.config import Settings
from flatfare.core.errors import StoreFailure
from flatfare.runner import judging, recovering
from flatfare.runner.books import Shelf
from flatfare.runner.running import Order
from flatfare.store import runs
from flatfare.store.lake import Lake
from flatfare.store.runs import Run
from flatfare.web import workshop
from flatfare.web.desk import Desk
from flatfare.web.workshop import Workshop
from tests.runner.rig import EMAIL, EXAMPLES, Shop, shop

KEPT = (EXAMPLES / "names-and-dates.yaml").read_text().replace("names-and-dates", "kept-names") + (
    "privacy: {keep: 24h}\n"
)


async def cut_short(own: Shop, key: str) -> str:
    """A run that nobody works at any more."""
    with pytest.MonkeyPatch.context() as patched:

        def failing(*_: object) -> object:
            raise StoreFailure("The disk is full.")

        patched.setattr(judging, "decide", failing)
        with pytest.raises(StoreFailure):
            await own.runner.run(Order("kept-names", {"email": EMAIL}, customer="acme", key=key))
    with own.book() as book:
        return next(run.id for run in runs.listed(book) if run.request_key == key)


def standing(own: Shop, run_id: str) -> Run:
    with own.book() as book:
        found = runs.one(book, run_id)
        assert found is not None
        return found


def test_a_run_that_cannot_be_resumed_keeps_no_other_from_it_and_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def play(own: Shop) -> None:
        sealed, other = await cut_short(own, "sealed"), await cut_short(own, "other")
        with own.book() as book:
            book.execute("UPDATE runs SET input = 'sealed:AAAA' WHERE id = ?", (sealed,))
        workshop = Workshop(own.settings)
        try:
            runner = await workshop.runner()
            async with asyncio.timeout(20):
                assert (await runner.result(standing(own, other))).run.ending == "verified"
            await workshop._look_after(runner)
            await workshop._look_after(runner)
            told = [line for line in caplog.messages if sealed in line]
            assert len(told) == 1
            assert "its key is not here" in told[0]
            with own.book() as book:
                now_us = time.time_ns() // 1000
                shelf = Shelf(book, Lake(own.settings.lake))
                left = recovering.recover(shelf, "somebody", now_us, give_up=True)
                assert [run.id for run in left.given_back] == [sealed], "nobody holds it"
        finally:
            await workshop.close()

    async def work() -> None:
        async with shop(tmp_path, None, KEPT) as own:
            await play(own)

    with caplog.at_level(logging.WARNING, "flatfare.actions"):
        asyncio.run(work())


def test_looking_after_and_answering_make_no_book_where_it_is_away(tmp_path: Path) -> None:
    settings = Settings(database=f"sqlite:///{tmp_path}/book.db", lake=f"{tmp_path}/lake")
    with pytest.raises(StoreFailure):
        workshop._is_left(settings)
    with pytest.raises(StoreFailure):
        workshop._has_plans(settings)
    desk = Desk(settings, makes_book=False)
    with pytest.raises(StoreFailure):
        asyncio.run(desk.ask(lambda books: books.now_us, writes=False))
    desk.close()
    assert not (tmp_path / "book.db").exists()
