"""P5, P7: an import that is killed has happened or has not; done again, no row is lost or doubled."""

import random
import shutil
from pathlib import Path

import pytest

from flatfare.config import Settings
from flatfare.service import doctoring
from flatfare.service.importing.order import Order
from flatfare.service.importing.run import Stores, import_file
from flatfare.store import reading, segments
from flatfare.store.book import open_book
from flatfare.store.lake import Lake
from tests.promises.killing import files_below, kill_somewhere, run_whole

CALLS = 20_000
TASKS = 5_000

IMPORT = """
import sys
from flatfare.config import Settings
from flatfare.service.importing.order import Order
from flatfare.service.importing.run import Stores, import_file
from flatfare.store.book import open_book
from flatfare.store.lake import Lake
stores = Stores(open_book(sys.argv[1]), Lake(sys.argv[2]), Settings())
import_file(stores, sys.argv[3] + "/calls.csv", Order("calls"), 10**15)
import_file(stores, sys.argv[3] + "/tasks.csv", Order("tasks", at_us=10**15), 10**15)
"""

# The fault this promise must catch: each file is listed by itself, the import's row last.
IMPORT_CARELESSLY = IMPORT.replace(
    "stores = ",
    """
import time
from flatfare.service.importing import landing
from flatfare.store import segments

def list_all(self, row, now_us):
    for segment in self.placed:
        segments.list_segment(self.book, segment, now_us)
        time.sleep(0.05)
    row.insert(self.book, now_us)

landing.Landing.list_all = list_all
stores = """,
)


def prepared(folder: Path) -> Path:
    """Files to import: rows of known sums, some of them alike, which only their content tells apart."""
    folder.mkdir(parents=True)
    calls = "".join(
        f"2026-01-01T{n % 24:02}:00:00Z,m,{n // 2},1,0.{n // 2:06},task-{n % TASKS}\n" for n in range(CALLS)
    )
    (folder / "calls.csv").write_text(
        "timestamp,model,prompt_tokens,completion_tokens,cost,task_id\n" + calls
    )
    tasks = "".join(f"task-{n},{'true' if n % 2 else 'false'},0.{n + 1:05}\n" for n in range(TASKS))
    (folder / "tasks.csv").write_text("task_id,success,cost\n" + tasks)
    return folder


Seen = tuple[int, int, int, int, int, int]


def seen(where: Path) -> Seen:
    """Calls, distinct calls, their tokens, folded calls, tasks and verdicts, as a reader sees them now."""
    with (
        open_book(str(where / "flatfare.db")) as book,
        reading.opened(book, Lake(where / "lake")) as engine,
    ):
        row = engine.execute(
            "SELECT (SELECT COUNT(*) FROM calls), (SELECT COUNT(DISTINCT id) FROM calls), "
            "(SELECT CAST(COALESCE(SUM(input), 0) AS BIGINT) FROM calls), "
            "(SELECT CAST(COALESCE(SUM(n), 0) AS BIGINT) FROM folded), "
            "(SELECT COUNT(*) FROM tasks), (SELECT COUNT(*) FROM verdicts)"
        ).fetchone()
    assert row is not None
    return row


TOKENS = sum(n // 2 for n in range(CALLS))
MAY_BE_SEEN: set[Seen] = {
    (0, 0, 0, 0, 0, 0),
    (CALLS, CALLS, TOKENS, CALLS, 0, 0),
    (CALLS, CALLS, TOKENS, CALLS, TASKS, TASKS),
}
"""Nothing, the first file, or both: never a part of one."""


def done_again(where: Path, given: Path) -> Seen:
    """Import both files undisturbed, and have the doctor look; returns what is seen then."""
    with open_book(str(where / "flatfare.db")) as book:
        lake = Lake(where / "lake")
        stores = Stores(book, lake, Settings())
        import_file(stores, str(given / "calls.csv"), Order("calls"), 2 * 10**15)
        import_file(stores, str(given / "tasks.csv"), Order("tasks", at_us=10**15), 2 * 10**15)
        assert doctoring.examine(book, lake).is_sound  # what a killed one left is named, and never read
        doctoring.remove_leftovers(book, lake)
        assert files_below(lake.folder) == {segment.path for segment in segments.listed(book)}
    return seen(where)


def kill_imports(folder: Path, script: str, kills: int) -> tuple[int, set[Seen], set[Seen]]:
    """Kill so many imports at random moments: how many were, what was seen after, and when done again."""
    dice = random.Random(7)
    given = prepared(folder / "given")
    whole = folder / "whole"
    whole_s = run_whole(script, [str(whole / "flatfare.db"), str(whole / "lake"), str(given)])
    killed, after, again = 0, set(), set()
    for number in range(kills):
        where = folder / str(number)
        arguments = [str(where / "flatfare.db"), str(where / "lake"), str(given)]
        killed += kill_somewhere(script, arguments, longest_s=whole_s * 1.05, dice=dice)
        after.add(seen(where))
        again.add(done_again(where, given))
        shutil.rmtree(where)
    return killed, after, again


@pytest.mark.parametrize("kills", [20, pytest.param(200, marks=pytest.mark.soak)])
def test_a_killed_import_loses_nothing_and_doubles_nothing(tmp_path: Path, kills: int) -> None:
    killed, after, again = kill_imports(tmp_path, IMPORT, kills)
    assert killed >= kills // 4, "too few imports were killed in the middle for this to prove anything"
    assert after <= MAY_BE_SEEN
    assert again == {(CALLS, CALLS, TOKENS, CALLS, TASKS, TASKS)}


def test_a_careless_import_is_caught(tmp_path: Path) -> None:
    """The check can fail: an import that lists its files one by one is seen half-done or doubled."""
    for attempt in range(5):
        try:
            _, after, again = kill_imports(tmp_path / str(attempt), IMPORT_CARELESSLY, 20)
        except AssertionError:
            return  # the doctor saw it
        if not after <= MAY_BE_SEEN or again != {(CALLS, CALLS, TOKENS, CALLS, TASKS, TASKS)}:
            return
    pytest.fail("an import that lists its files one by one was never caught")
