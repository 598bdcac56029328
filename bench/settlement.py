"""Settlements a second, each in a transaction of its own that is synced to disk, on each of the book's homes.

A settlement reads the task's outcome and evidence under its customer's lock, writes an entry of four
postings (the hold, the revenue, the model's cost and what is owed for it) into the hash chains of their
accounts, and sets the settlement of sale and task. Holds are made before, and are timed too.

    python bench/settlement.py [--sales 2000] [--processes 4] [--home sqlite|postgresql]
"""

import argparse
import math
import multiprocessing
import os
import platform
import sqlite3
import statistics
import sys
import tempfile
import time
import uuid
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import psycopg

from flatfare.core.action_price import parse_price
from flatfare.service import selling
from flatfare.service.selling import Costs
from flatfare.store import tasks
from flatfare.store.book import Book, open_book
from tests.builders import OPENED_US, id_of, task, write_tasks
from tests.store.servers import Server

PRICE = parse_price("5.00")


def prepare(book: Book, customer: str, count: int) -> list[tuple[str, str]]:
    """A customer with credit, and tasks that are verified, each with a quote: task and quote ids."""
    selling.customers.create(book, name=customer, at_us=OPENED_US, by_whom="bench")
    selling.top_up_wallet(
        book,
        entry_id=uuid.uuid4(),
        customer=customer,
        amount_nano=5_000_000_000 * count,
        currency="USD",
        at_us=OPENED_US,
        by_whom="bench",
    )
    names = [f"{customer} {number}" for number in range(count)]
    write_tasks(book, [task(name) for name in names])
    verdicts = [
        tasks.chained(
            {
                "id": id_of(f"verdict {name}"),
                "task_id": id_of(name),
                "verifier": "tests",
                "verifier_version": "1",
                "kind": "code",
                "judgement": "pass",
                "evidence_hash": "e" * 64,
                "at_us": OPENED_US,
                "source": "bench",
            },
            None,
        )
        for name in names
    ]
    with book.writing():
        tasks.insert_verdicts(book, verdicts)
    return [(id_of(name), id_of(f"quote {name}")) for name in names]


def run(address: str, customer: str, work: list[tuple[str, str]], starts_at: float, told: object) -> None:
    """Hold all, then settle all; tells how long each settlement took, and both spans."""
    with open_book(address) as book:
        for _, quote_id in work:
            selling.quote(
                book,
                quote_id=uuid.UUID(quote_id),
                customer=customer,
                action="contract-review",
                action_version="1",
                price=PRICE,
                at_us=OPENED_US,
            )
        time.sleep(max(0.0, starts_at - time.time()))
        held_from = time.time()
        for task_id, quote_id in work:
            selling.hold(book, task_id=task_id, quote_id=quote_id, at_us=OPENED_US)
        held_until = time.time()
        settle_at = starts_at + math.ceil((held_until - starts_at) / 5 + 0.2) * 5  # all begin at once
        time.sleep(max(0.0, settle_at - time.time()))
        settled_from, took_s = time.time(), []
        for task_id, _ in work:
            before = time.perf_counter()
            selling.settle(book, task_id=task_id, at_us=OPENED_US + 1, costs=Costs(41_000_000))
            took_s.append(time.perf_counter() - before)
        told.put((held_from, held_until, settled_from, time.time(), took_s))  # type: ignore[attr-defined]


def measure(home: str, address: str, processes: int, count: int, *, is_shared: bool = False) -> None:
    """So many processes, a customer each or one for all; prints their rate together."""
    with open_book(address) as book:
        if is_shared:
            pairs = prepare(book, "one-for-all", processes * count)
            work = [("one-for-all", pairs[n::processes]) for n in range(processes)]
        else:
            names = [f"customer-{n}" for n in range(processes)]
            work = [(name, prepare(book, name, count)) for name in names]
    told: multiprocessing.Queue = multiprocessing.Queue()
    starts_at = time.time() + 2 + 0.002 * count * processes
    running = [
        multiprocessing.Process(target=run, args=(address, name, pairs, starts_at, told))
        for name, pairs in work
    ]
    for process in running:
        process.start()
    answers = [told.get() for _ in running]
    for process in running:
        process.join()
    sold = processes * count
    hold_rate = sold / (max(a[1] for a in answers) - min(a[0] for a in answers))
    rate = sold / (max(a[3] for a in answers) - min(a[2] for a in answers))
    took = sorted(one for a in answers for one in a[4])
    who = f"{processes} processes" + (", one customer" if is_shared else "")
    p50_ms, p99_ms = 1000 * statistics.median(took), 1000 * took[int(0.99 * len(took))]
    print(
        f"{home:10}  {who:25}: {rate:7,.0f} settlements/s (p50 {p50_ms:.2f} ms, p99 {p99_ms:.2f} ms), "
        f"{hold_rate:7,.0f} holds/s",
        flush=True,
    )
    with open_book(address) as book:
        problems = selling.verify(book)
        assert not problems, problems[:3]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sales", type=int, default=2000, help="of each process")
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--home", choices=["sqlite", "postgresql"])
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if given.home != "postgresql":
            for processes in (1, given.processes):
                measure("SQLite", f"sqlite:///{folder}/{processes}.db", processes, given.sales)
        if given.home != "sqlite":
            server = Server(folder, is_durable=True)
            try:
                server.start()
                for processes in (1, given.processes):
                    measure("PostgreSQL", server.new_database(), processes, given.sales)
                measure("PostgreSQL", server.new_database(), given.processes, given.sales, is_shared=True)
            finally:
                server.remove()
    versions = f"SQLite {sqlite3.sqlite_version}, psycopg {psycopg.__version__}"
    machine = f"Python {platform.python_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    print(f"{versions}, {machine}; every commit synced; the ledger verified after each run")


if __name__ == "__main__":
    main()
