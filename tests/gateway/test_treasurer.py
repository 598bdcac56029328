"""The treasurer and the book: what became of the calls of a worker that has died."""

import asyncio
from functools import partial
from pathlib import Path

import pytest

from flatfare.config import Settings
from flatfare.core.identity import time_ordered
from flatfare.gateway.reserving.treasurer import Treasurer
from flatfare.store import calls, journals, newest, sealing
from flatfare.store.lake import Lake
from tests.store.rows import NOON_US, call, place, write

BOOKED, UNSENT, STILL_OPEN = (str(time_ordered(NOON_US, bytes([number] * 10))) for number in (1, 2, 3))


@pytest.mark.parametrize("is_sealed", [False, True])
def test_a_call_of_the_dead_is_settled_at_what_it_cost_though_it_was_sealed_before_it_was_looked_for(
    tmp_path: Path, is_sealed: bool
) -> None:
    """One that lasted for hours is as old as that when it is booked: it may be sealed at once."""
    book, lake = place(tmp_path)
    write(book, [call(0, id=BOOKED, at_us=NOON_US, cost_nano=700)])
    with book.writing():
        journals.add_open_calls(book, [(STILL_OPEN, "dead", "")])
    if is_sealed:
        sealing.seal_calls(book, lake, before_us=NOON_US + 1, now_us=NOON_US + 1)
    settings = Settings(database=str(tmp_path / "flatfare.db"), lake=str(lake.folder), journal=str(tmp_path))

    async def looked_at() -> dict[str, int | None]:
        treasurer = Treasurer(settings)
        orphans = dict.fromkeys((BOOKED, UNSENT, STILL_OPEN), "dead")
        looked = partial(treasurer._looked_at, orphans, False, None)
        ended, _ = await asyncio.get_running_loop().run_in_executor(treasurer._thread, looked)
        await treasurer.close()
        return dict(ended)

    assert asyncio.run(looked_at()) == {BOOKED: 700, UNSENT: 0}


def test_a_correction_after_sealing_is_what_a_call_of_the_dead_cost(tmp_path: Path) -> None:
    book, lake = place(tmp_path)
    first = call(0, id=BOOKED, at_us=NOON_US, cost_nano=700)
    write(book, [first])
    sealing.seal_calls(book, lake, before_us=NOON_US + 1, now_us=NOON_US + 1)
    write(book, [calls.taken_back({**first, "n": 1}, 1), {**first, "revision": 1, "cost_nano": 500}])
    assert newest.present(book, Lake(lake.folder), {BOOKED: NOON_US})[BOOKED]["cost_nano"] == 500
