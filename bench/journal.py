"""How fast calls become durable and booked: group commit beside one sync per record and beside SQLite.

One process on one core, all in one run; every call is an intent and a result, each
awaited until it is durable. Prints the journal's cost at rest too: one caller alone.
"""

import argparse
import asyncio
import itertools
import os
import platform
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import msgspec

from flatfare.core.identity import time_ordered
from flatfare.gateway.booking import Booker
from flatfare.gateway.frames import framed
from flatfare.gateway.journal import Journal
from flatfare.gateway.records import Figures, Intent, Record, Result, encode
from flatfare.store.book import open_book
from flatfare.store.lake import Lake

FIGURES = Figures(
    {"input": 976, "cache_read": 1024, "output": 500},
    "measured",
    8_720_000,
    "measured",
    None,
    "computed",
    8_720_000,
    "measured",
)
SYNCED = {True: "synced", False: "not synced"}
Pair = tuple[Intent, Result]
TRAITS = '{"system_hash":"5d41402abc4b2a76b9719d911017c592","messages":7,"tools":3}'


def pair(number: int) -> tuple[Intent, Result]:
    """A call as a gateway writes it, with a task, labels and traits."""
    at_us = 1_790_000_000_000_000 + number * 50
    call_id = str(time_ordered(at_us, os.urandom(10)))
    intent = Intent(
        call_id,
        at_us,
        "openai",
        "chat.completions",
        "gpt-4o",
        key_id="key_01HZXW8M2Q3",
        labels='{"customer":"acme","feature":"summary","team":"search"}',
        task_id=str(time_ordered(at_us, b"taskoftask")),
        bound_nano=50_000_000,
        traits=TRAITS,
    )
    result = Result(
        call_id,
        at_us + 900_000,
        FIGURES,
        http_status=200,
        duration_ms=900,
        model="gpt-4o-2024-08-06",
        external_id="chatcmpl-AbCdEfGhIjKlMnOpQrStUvWx",
        traits='{"first_byte_ms":412}',
    )
    return intent, result


async def through_journal(folder: Path, pairs: list[Pair], callers: int, sync: bool) -> list[float]:
    """Each caller awaits its intent, then its result; returns how long each record took, in seconds."""
    journal = Journal(folder, sync=sync)
    waits: list[float] = []
    calls = iter(pairs)

    async def caller() -> None:
        for intent, result in calls:
            for record in (intent, result):
                started = time.perf_counter()
                await journal.append(record)
                waits.append(time.perf_counter() - started)

    await asyncio.gather(*(caller() for _ in range(callers)))
    await journal.close()
    return waits


async def written(folder: Path, records: list[Record]) -> None:
    """A journal with these records."""
    journal = Journal(folder, sync=False)
    for record in records[:-1]:
        journal.write(record)
    await journal.append(records[-1])
    await journal.close()


def journal_of(fresh: Iterator[Path], pairs: list[Pair], callers: int, is_synced: bool) -> list[float]:
    return asyncio.run(through_journal(next(fresh), pairs, callers, is_synced))


def sqlite_of(fresh: Iterator[Path], pairs: list[Pair], rows: int) -> None:
    into_sqlite(next(fresh), pairs, rows)


def one_sync_each(file: Path, pairs: list[Pair]) -> None:
    """The plain way: write, sync, write, sync."""
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for record in itertools.chain.from_iterable(pairs):
        os.write(handle, framed(encode(record), 1))
        os.fdatasync(handle)
    os.close(handle)


def into_sqlite(file: Path, pairs: list[Pair], rows_a_commit: int) -> None:
    """A table of payloads, each call inserted before and updated after; so many rows share a commit."""
    connection = sqlite3.connect(file, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE calls (id TEXT PRIMARY KEY, intent BLOB NOT NULL, result BLOB)")
    for first in range(0, len(pairs), rows_a_commit):
        group = pairs[first : first + rows_a_commit]
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(
            "INSERT INTO calls (id, intent) VALUES (?, ?)", [(i.call_id, encode(i)) for i, _ in group]
        )
        connection.execute("COMMIT")
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(
            "UPDATE calls SET result = ? WHERE id = ?", [(encode(r), r.call_id) for _, r in group]
        )
        connection.execute("COMMIT")
    connection.close()


def booked(folder: Path, database: Path, lake: Path) -> tuple[int, float]:
    """Fold the journals into a new book; returns how many rows, and the longest single turn in seconds."""
    with open_book(str(database)) as book:
        booker = Booker(book, Lake(lake), folder)
        longest, rows, is_idle = 0.0, 0, False
        while not is_idle:
            started = time.perf_counter()
            turn = booker.book_once()
            longest = max(longest, time.perf_counter() - started)
            rows, is_idle = rows + turn.calls + turn.unproven, turn.is_idle
    return rows, longest


def rate(calls: int, work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return calls / (time.perf_counter() - started)


def line(what: str, rates: list[float], unit: str) -> None:
    print(
        f"  {what:<58} {statistics.median(rates):>10,.0f} {unit}"
        f"   (min {min(rates):,.0f}, max {max(rates):,.0f}, n {len(rates)})"
    )


def latency(what: str, waits: list[float]) -> None:
    waits = sorted(waits)
    p50, p99 = waits[len(waits) // 2], waits[len(waits) * 99 // 100]
    print(f"  {what:<58} p50 {p50 * 1e3:.3f} ms, min {waits[0] * 1e3:.3f} ms, p99 {p99 * 1e3:.3f} ms")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--calls", type=int, default=50_000)
    arguments.add_argument("--samples", type=int, default=5)
    arguments.add_argument("--folder", type=Path, default=None, help="on the disk to be measured")
    chosen = arguments.parse_args()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    pairs = [pair(number) for number in range(chosen.calls)]
    few = pairs[: max(1, chosen.calls // 20)]
    size = sum(len(framed(encode(record), 1)) for record in pairs[0])
    versions = (
        f"Python {platform.python_version()}, msgspec {msgspec.__version__}, SQLite {sqlite3.sqlite_version}"
    )
    machine = f"{platform.system()} {platform.machine()}, one core"
    print(f"{versions}, {machine}; {chosen.calls:,} calls of {size} bytes in two records")
    with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
        measure(Path(folder), pairs, few, chosen.samples)


def measure(place: Path, pairs: list[Pair], few: list[Pair], samples: int) -> None:
    fresh = (place / str(number) for number in itertools.count())

    def sampled(what: str, some: list[Pair], work: Callable[[], object]) -> None:
        line(what, [rate(len(some), work) for _ in range(samples)], "calls/s")

    print("Durable calls (intent and result, each awaited):")
    for callers, is_synced in itertools.product((1, 16, 256, 1000), (True, False)):
        some = few if callers == 1 else pairs
        work = partial(journal_of, fresh, some, callers, is_synced)
        sampled(f"journal, {callers} at a time, {SYNCED[is_synced]}", some, work)
    print("The same records by other ways, in bulk, nobody awaiting each:")
    sampled("one write and one sync per record", few, lambda: one_sync_each(next(fresh), few))
    for rows in (1, 16, 256):
        some = few if rows == 1 else pairs
        sampled(f"SQLite (WAL, synced), {rows} in a commit", some, partial(sqlite_of, fresh, some, rows))
    print("What waiting for one record costs:")
    for is_synced in (True, False):
        latency(f"journal, one at a time, {SYNCED[is_synced]}", journal_of(fresh, few, 1, is_synced))
    print("Booking (journal to rows of the book, synced, exactly once):")
    booking("booker, each call ended when it is read", fresh, pairs, samples, len(pairs))
    booking("booker, each call still open when it is first read", fresh, pairs, samples, 0)


def booking(what: str, fresh: Iterator[Path], pairs: list[Pair], samples: int, ended_n: int) -> None:
    """Book journals whose first calls ended at once, and the others after all had begun."""
    records: list[Record] = [record for call in pairs[:ended_n] for record in call]
    records += [call[0] for call in pairs[ended_n:]]
    records += [call[1] for call in pairs[ended_n:]]
    rates, longest = [], 0.0
    for _ in range(samples):
        folder = next(fresh)
        asyncio.run(written(folder, records))
        started = time.perf_counter()
        rows, turn = booked(folder, next(fresh), next(fresh))
        assert rows == len(pairs)
        rates.append(rows / (time.perf_counter() - started))
        longest = max(longest, turn)
    line(what, rates, "rows/s")
    print(f"  {'  longest time it kept the book for itself':<58} {longest * 1e3:>10,.0f} ms")


if __name__ == "__main__":
    main()
