"""P5: what a worker said was kept is booked exactly once, whoever is killed at whatever moment.

Workers append intents and results at full speed and tell this process over a pipe of
each that is kept; a booker folds their journals into the book and seals. Both are killed
(``kill -9``) at random moments.
"""

import random
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from flatfare.gateway.booking import Booker
from flatfare.gateway.folders import workers
from flatfare.store import journals
from flatfare.store.book import open_book
from flatfare.store.lake import Lake
from flatfare.store.reading import opened
from tests.gateway.calls import call_id

CALLERS = 16
SPACING = 1_000_000  # each worker numbers its calls from a million of its own

WORKER = """
import asyncio, itertools, os, pathlib, sys
from flatfare.core.errors import StoreFailure
from flatfare.gateway.journal import Journal
from tests.gateway.calls import intent, result

numbers = itertools.count(int(sys.argv[2]))

async def caller(journal):
    for number in numbers:
        try:
            await journal.append(intent(number))
        except StoreFailure:
            os.write(1, b"refused %d\\n" % number)  # 503: nothing is sent
            await asyncio.sleep(0.001)
            continue
        os.write(1, b"intent %d\\n" % number)
        try:
            await journal.append(result(number))
        except StoreFailure:
            continue  # kept in memory until there is room
        os.write(1, b"result %d\\n" % number)

async def main():
    journal = Journal(pathlib.Path(sys.argv[1]), file_bytes_max=100_000)
    await asyncio.gather(*(caller(journal) for _ in range(int(sys.argv[3]))))

asyncio.run(main())
"""

# The fault that this promise must catch: it says "kept" as soon as a record waits to be written.
WORKER_THAT_ACKNOWLEDGES_BEFORE_IT_WRITES = (
    """
import asyncio
from flatfare.gateway.journal import Journal

async def append(self, record):
    self.write(record)
    await asyncio.sleep(0)

Journal.append = append
"""
    + WORKER
)

# A disk that is full every other moment.
WORKER_ON_A_FULL_DISK = (
    """
import resource, threading, time

def fill_and_empty():
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    while True:
        time.sleep(0.01)
        resource.setrlimit(resource.RLIMIT_FSIZE, (70_001, hard))
        time.sleep(0.01)
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))

threading.Thread(target=fill_and_empty, daemon=True).start()
"""
    + WORKER
)

BOOKER = """
import itertools, sys, time
from pathlib import Path
from flatfare.gateway import booking
from flatfare.gateway.booking import Booker
from flatfare.store import sealing
from flatfare.store.book import open_book
from flatfare.store.lake import Lake

booking.RECORDS_MAX = 500
folder = Path(sys.argv[1])
book, lake = open_book(str(folder / "flatfare.db")), Lake(folder / "lake")
booker = Booker(book, lake, folder / "journal")
for turn in itertools.count(1):
    if booker.book_once().is_idle:
        time.sleep(0.002)
    if turn % 40 == 0:
        sealing.seal_calls(book, lake, before_us=10**18, now_us=turn)
"""

# The fault that this promise must catch: the place is kept first, the rows after.
BOOKER_THAT_MOVES_ON_BEFORE_IT_WRITES = (
    """
import time

from flatfare.gateway.booking import Booker
from flatfare.store import journals

write = Booker._write

def careless(self, turn):
    for worker_id, place in turn.places.items():
        journals.set_position(self._book, worker_id, place.number, place.offset)
    time.sleep(0.02)
    write(self, turn)

Booker._write = careless
"""
    + BOOKER
)


@dataclass
class Told:
    """What the workers said was kept."""

    intents: set[int] = field(default_factory=set)
    results: set[int] = field(default_factory=set)
    refused: set[int] = field(default_factory=set)  # not kept, and so not sent
    workers: set[int] = field(default_factory=set)  # those of whom anything was heard

    def listen(self, process: "subprocess.Popen[bytes]") -> None:
        assert process.stdout is not None
        for line in process.stdout:
            if line.endswith(b"\n"):
                kind, number = line.split()
                heard = {b"intent": self.intents, b"result": self.results, b"refused": self.refused}
                heard[kind].add(int(number))
                self.workers.add(int(number) // SPACING)


def start(script: str, *arguments: object) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def kill_workers(
    folder: Path, kills: int, *, worker: str = WORKER, booker: str = BOOKER, at_once: int = 2, seed: int = 5
) -> Told:
    """Kill so many workers, two at a time, and the booker as often; returns what they had said."""
    dice, told = random.Random(seed), Told()
    open_book(str(folder / "flatfare.db")).close()
    for first in range(0, kills, at_once):
        group = [
            start(worker, folder / "journal", number * SPACING, CALLERS)
            for number in range(first, first + at_once)
        ]
        keeper = start(booker, folder)
        listeners = [threading.Thread(target=told.listen, args=(process,)) for process in group]
        for listener in listeners:
            listener.start()
        if dice.random() < 0.8:  # the others are killed while they start
            wait_until_they_work(told, first, at_once)
        for process in dice.sample([*group, keeper], k=at_once + 1):
            time.sleep(dice.uniform(0, 0.1))
            process.kill()
        for process in (*group, keeper):
            process.wait(60)
            assert process.returncode == -9, process.stderr and process.stderr.read().decode()
        for listener in listeners:
            listener.join(60)
        for process in (*group, keeper):
            process.stdout and process.stdout.close()
            process.stderr and process.stderr.close()
    return told


def wait_until_they_work(told: Told, first: int, at_once: int) -> None:
    deadline = time.monotonic() + 30
    while not all(number in told.workers for number in range(first, first + at_once)):
        assert time.monotonic() < deadline, "a worker did not start"
        time.sleep(0.001)


def book_the_rest(folder: Path) -> None:
    """What the next start does."""
    with open_book(str(folder / "flatfare.db")) as book:
        booker = Booker(book, Lake(folder / "lake"), folder / "journal")
        while not booker.book_once().is_idle:
            pass
        assert workers(folder / "journal") == []
        assert journals.open_calls(book) == []
        assert {note.kind for note in booker.book_once().notes} == set()


def broken_promises(folder: Path, told: Told, kills: int) -> list[str]:
    """Where the book does not say what the workers said; empty where the promise was kept."""
    with (
        open_book(str(folder / "flatfare.db")) as book,
        opened(book, Lake(folder / "lake"), "calls") as engine,
    ):
        rows = engine.execute(
            "SELECT CAST(id AS VARCHAR), CAST(SUM(n) AS BIGINT), COUNT(*), MIN(delivery), "
            "CAST(SUM(cost_nano) AS BIGINT), MIN(cost_state) FROM calls GROUP BY id"
        ).fetchall()
    booked = {row[0]: row[1:] for row in rows}
    problems = [f"{number} was kept and is lost" for number in told.intents if call_id(number) not in booked]
    for number in told.results:
        expected = (1, 1, "proven", 10 * number + 1, "measured")
        if (found := booked.get(call_id(number))) != expected:
            problems += [f"{number} ended and is {found}"]
    problems += [f"{name} is there {row[:2]}" for name, row in booked.items() if row[:2] != (1, 1)]
    kept = {call_id(number) for number in told.intents}
    problems += [f"{number} was refused and is there" for number in told.refused if call_id(number) in booked]
    surplus = {name: row for name, row in booked.items() if name not in kept}
    problems += [
        f"{name} is not marked" for name, row in surplus.items() if row[2:] != ("unproven", 1000, "estimated")
    ]
    if len(surplus) > kills * CALLERS:
        problems.append(f"{len(surplus)} surplus rows are more than were in flight")
    return problems


@pytest.mark.parametrize("kills", [20, pytest.param(200, marks=pytest.mark.soak)])
def test_what_was_kept_is_booked_once_whoever_is_killed(tmp_path: Path, kills: int) -> None:
    told = kill_workers(tmp_path, kills)
    book_the_rest(tmp_path)
    assert broken_promises(tmp_path, told, kills) == []
    assert len(told.intents) > 50 * kills, "too few calls were made for this to prove anything"
    assert len(told.results) < len(told.intents), "no kill found a call in flight"


@pytest.mark.parametrize("kills", [6, pytest.param(60, marks=pytest.mark.soak)])
def test_nor_is_anything_lost_while_the_disk_fills_and_empties(tmp_path: Path, kills: int) -> None:
    told = kill_workers(tmp_path, kills, worker=WORKER_ON_A_FULL_DISK)
    book_the_rest(tmp_path)
    assert broken_promises(tmp_path, told, kills) == []
    assert told.results
    assert told.refused, "the disk was never full"


@pytest.mark.parametrize("locked_s", [1, pytest.param(5, marks=pytest.mark.soak)])
def test_nor_while_the_book_is_locked(tmp_path: Path, locked_s: float) -> None:
    told = Told()
    with open_book(str(tmp_path / "flatfare.db")) as book:
        keeper, worker = start(BOOKER, tmp_path), start(WORKER, tmp_path / "journal", 0, CALLERS)
        listener = threading.Thread(target=told.listen, args=(worker,))
        listener.start()
        wait_until_they_work(told, 0, 1)
        with book.writing():
            before = len(told.results)
            time.sleep(locked_s)
            assert len(told.results) > before + 100, "calls waited for the book"
        for process in (worker, keeper):
            process.kill()
            process.communicate(timeout=60) if process is keeper else process.wait(60)
        listener.join(60)
        worker.stdout and worker.stdout.close()
        worker.stderr and worker.stderr.close()
    book_the_rest(tmp_path)
    assert broken_promises(tmp_path, told, 1) == []


@pytest.mark.parametrize(
    "careless",
    [
        {"worker": WORKER_THAT_ACKNOWLEDGES_BEFORE_IT_WRITES},
        {"booker": BOOKER_THAT_MOVES_ON_BEFORE_IT_WRITES},
    ],
    ids=["worker", "booker"],
)
def test_who_is_careless_is_caught(tmp_path: Path, careless: dict[str, str]) -> None:
    """The check can fail: what is acknowledged before it is written is seen to be lost."""
    for attempt in range(15):  # on a busy machine most are killed while they start
        folder = tmp_path / str(attempt)
        folder.mkdir()
        told = kill_workers(folder, 10, seed=attempt, **careless)  # type: ignore[arg-type]
        book_the_rest(folder)
        if broken_promises(folder, told, 10):
            return
    pytest.fail("who acknowledges before it writes was never caught")
