"""P5, P7: a seal that is killed at any moment loses no row, doubles none, and shows none by half."""

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from flatfare.service import doctoring
from flatfare.store import reading, sealing, segments
from flatfare.store.book import open_book
from flatfare.store.lake import Lake
from tests.promises.killing import files_below, kill_somewhere, run_whole
from tests.store.rows import NOON_US, call, place, write

ROWS = 6_000

SEAL = """
import sys
from flatfare.store import sealing
from flatfare.store.book import open_book
from flatfare.store.lake import Lake
sealing.BATCH_ROWS = 1_000
sealing.seal_calls(open_book(sys.argv[1]), Lake(sys.argv[2]), before_us=10**18, now_us=1)
"""

# The fault this promise must catch: the hot rows go first, the files are listed after.
SEAL_CARELESSLY = """
import sys
from flatfare.store import sealing, segments
from flatfare.store.book import open_book
from flatfare.store.lake import Lake
sealing.BATCH_ROWS = 1_000

def close(book, lake, files, keys, count, now_us):
    book.execute_many("DELETE FROM calls WHERE id = ? AND revision = ? AND n = ?", keys)
    for segment in files:
        segments.list_segment(book, segment, now_us)

sealing._close = close
sealing.seal_calls(open_book(sys.argv[1]), Lake(sys.argv[2]), before_us=10**18, now_us=1)
"""


def rows_seen(folder: Path) -> tuple[int, int, int]:
    """Rows, distinct rows and their cost, as any reader sees them at this moment."""
    with (
        open_book(str(folder / "flatfare.db")) as book,
        reading.opened(book, Lake(folder / "lake"), "calls", "folded") as engine,
    ):
        calls = engine.execute(
            "SELECT COUNT(*), COUNT(DISTINCT id), CAST(SUM(cost_nano) AS BIGINT) FROM calls"
        ).fetchone()
        folded = engine.execute(
            "SELECT CAST(SUM(n) AS BIGINT), CAST(SUM(cost_nano) AS BIGINT) FROM folded"
        ).fetchone()
    assert calls is not None
    assert folded is not None
    assert (calls[0], calls[2]) == folded
    return calls[0], calls[1], calls[2]


def kill_seals(folder: Path, script: str, kills: int) -> Callable[[], list[tuple[int, int, int]]]:
    """Kill so many seals of one book, each at a random moment; gives what was seen after each."""

    def seen() -> list[tuple[int, int, int]]:
        dice = random.Random(5)
        book, _ = place(folder / "full")
        write(book, [call(number) for number in range(ROWS)])
        book.close()
        whole_s = run_whole(script, _copy(folder, 0))
        found = []
        for number in range(1, kills + 1):
            where = _copy(folder, number)
            if kill_somewhere(script, where, longest_s=whole_s * 1.1, dice=dice):
                found.append(rows_seen(folder / str(number)))
                _goes_on(folder / str(number))
            shutil.rmtree(folder / str(number))
        return found

    return seen


def _copy(folder: Path, number: int) -> list[str]:
    shutil.copytree(folder / "full", folder / str(number))
    return [str(folder / str(number) / "flatfare.db"), str(folder / str(number) / "lake")]


def _goes_on(folder: Path) -> None:
    """The next seal finishes the work, and the doctor finds nothing wrong."""
    with open_book(str(folder / "flatfare.db")) as book:
        lake = Lake(folder / "lake")
        sealing.seal_calls(book, lake, before_us=NOON_US * 2, now_us=2)
        doctoring.remove_leftovers(book, lake)
        assert files_below(lake.folder) == {segment.path for segment in segments.listed(book)}
        if book.value("SELECT COUNT(*) FROM calls") == 0:
            assert doctoring.examine(book, lake).is_sound


EXPECTED = (ROWS, ROWS, sum(10 * number + 1 for number in range(ROWS)))


@pytest.mark.parametrize("kills", [20, pytest.param(200, marks=pytest.mark.soak)])
def test_a_killed_seal_loses_nothing_and_doubles_nothing(tmp_path: Path, kills: int) -> None:
    seen = kill_seals(tmp_path, SEAL, kills)()
    assert len(seen) >= kills // 4, "too few seals were killed in the middle for this to prove anything"
    assert set(seen) == {EXPECTED}


def test_a_careless_seal_is_caught(tmp_path: Path) -> None:
    """The check can fail: a seal that removes before it lists is seen to lose rows."""
    for attempt in range(5):
        try:
            seen = kill_seals(tmp_path / str(attempt), SEAL_CARELESSLY, 20)()
        except (AssertionError, TypeError):
            return  # a reader, or the doctor, saw rows missing or doubled
        if set(seen) != {EXPECTED}:
            return
    pytest.fail("a seal that removes rows before it lists the files was never caught")
