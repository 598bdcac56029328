"""What budgets cost: five on each call beside none, the wait for a reservation, one book for all workers.

Everything is on, as in bench/gateway.py, whose rig this uses. Two gateways stand on one core, one with
five budgets (of the organisation, a team, a feature, each customer, a key) and one with none; they are
driven in turns, so that what else the machine does falls on both. A reservation is timed where a worker
asks for it: the question by the local socket, all five budgets at once, the answer. Last, four workers
share a book in PostgreSQL, and all they did must be booked.

    python bench/budgets.py [--pairs 16] [--seconds 1] [--questions 20000] [--without-postgres]

Needs nginx and wrk (Debian has both), and pgserver for the last.
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from gateway import CORES, ROOT, Target, answers, children, cpu_s, flatfare, free_port, pinned, provider, wrk
from gateway import running as running_process

HELD_SHARE, P99_MS, CALLS_A_SECOND = 0.80, 1.0, 2000
"""The limits that the issue sets: throughput with five budgets, a reservation, PostgreSQL."""


# five budgets beside none


def beside_none(folder: Path, upstream: int, pairs: int, seconds: int) -> None:
    """Print throughput and processor time with five budgets and with none, in turns."""
    with (
        flatfare(folder / "none", upstream, CORES[:1], 1) as none,
        flatfare(folder / "five", upstream, CORES[:1], 1, budgets=5) as five,
    ):
        for target in (none, five):
            wrk(target, folder, 32, 1)
        shares, cpu = [], {none.name: [], five.name: []}
        for turn in range(pairs):
            rates = {}
            for target in (none, five) if turn % 2 else (five, none):
                before = cpu_s(target.pids)
                measured = wrk(target, folder, 32, seconds)
                assert not measured.errors, measured
                rates[target.name] = measured.rate
                cpu[target.name].append((cpu_s(target.pids) - before) * 1e6 / (measured.rate * seconds))
            shares.append(rates[five.name] / rates[none.name])
    used = {name: statistics.median(found) for name, found in cpu.items()}
    print(f"five budgets on each call: {statistics.median(shares):.0%} of the throughput of none", end="")
    print(f" ({min(shares):.0%}–{max(shares):.0%} in {pairs} pairs; limit {HELD_SHARE:.0%})")
    a_call = f"{used[none.name]:.0f} µs a call with none, {used[five.name]:.0f} with five"
    print(f"processor time of all processes: {a_call}")


# the wait for a reservation


def treasury(folder: str, budgets: int) -> None:
    """A treasurer, as a node has it, over a book with so many budgets."""
    from flatfare.config import Settings
    from flatfare.core.budget import Budget, Scope, Window
    from flatfare.gateway.folders import journal_folder
    from flatfare.gateway.reserving.treasurer import Treasurer, claimed
    from flatfare.service.budgets import budgeting
    from flatfare.store.book import open_book

    settings = Settings(database=f"sqlite:///{folder}/book.db", lake=Path(folder) / "lake")
    with open_book(settings.database) as book:
        for number in range(budgets):
            amount_nano = 10**15
            budget = Budget("", f"b{number}", Scope("organisation"), amount_nano, Window.of("lifetime"))
            budgeting.create(book, budget, at_us=1, by_whom="bench")

    async def serve() -> None:
        claimed(journal_folder(settings))
        await Treasurer(settings).serve()
        await asyncio.Event().wait()

    os.sched_setaffinity(0, CORES[:1])
    asyncio.run(serve())


async def asked(folder: str, count: int, at_once: int) -> list[float]:
    """How long each of so many reservations took, in seconds, with so many under way at one time."""
    from flatfare.config import Settings
    from flatfare.gateway.folders import journal_folder
    from flatfare.gateway.reserving.messages import Granted, Refused, Reserve
    from flatfare.gateway.reserving.reserver import Reserver
    from flatfare.gateway.reserving.treasurer import socket_path
    from flatfare.store import budgets
    from flatfare.store.book import open_book

    settings = Settings(database=f"sqlite:///{folder}/book.db", lake=Path(folder) / "lake")
    with open_book(settings.database) as book:
        names = [f"{one.id} 0 organisation" for one in budgets.all_of(book)]
    loop = asyncio.get_running_loop()
    reserver = Reserver(socket_path(journal_folder(settings)), "bench")
    took: list[float] = []

    async def one(number: int) -> None:
        call_id, answered = f"c{at_once}-{number}", loop.create_future()

        def answer(found: Granted | Refused) -> None:
            took.append(time.perf_counter() - began)
            answered.set_result(found)

        began = time.perf_counter()
        reserver.reserve(Reserve(call_id, names, 10_000, 10_000, "kind", 2000), answer)
        found = await answered
        assert isinstance(found, Granted), found
        reserver.settle(call_id, 2_000, None, may_wait=True)

    async def several(first: int) -> None:
        for number in range(first, count, at_once):
            await one(number)
            await asyncio.sleep(0)

    await asyncio.gather(*(several(first) for first in range(at_once)))
    reserver.close()
    return took


def measure_reservations(folder: Path, count: int) -> None:
    """Print how long a reservation takes, one after another and eight at one time."""
    (folder / "treasury").mkdir()
    place = str(folder / "treasury")
    process = multiprocessing.get_context("spawn").Process(target=treasury, args=(place, 5))
    process.start()
    try:
        time.sleep(2)
        os.sched_setaffinity(0, CORES[1:2] or CORES)
        asyncio.run(asked(place, 2_000, 1))
        for at_once in (1, 8):
            took = sorted(1000 * seconds for seconds in asyncio.run(asked(place, count, at_once)))
            p50, p99 = took[len(took) // 2], took[int(len(took) * 0.99)]
            said = f"p50 {p50:.3f} ms, p99 {p99:.3f} ms, max {took[-1]:.1f} ms"
            print(f"a reservation of five budgets, {at_once} at one time: {said} (limit of p99: {P99_MS} ms)")
    finally:
        os.sched_setaffinity(0, CORES)
        process.terminate()
        process.join()


# one book for four workers


@contextmanager
def on_postgres(folder: Path, upstream: int, budgets: int) -> Iterator[tuple[Target, str]]:
    """A gateway of four workers with its book in a PostgreSQL of its own."""
    import pgserver

    # Its sockets stand in its folder, which a user without rights of the system must be able to enter.
    for above in (folder, folder.parent):
        above.chmod(0o755)
    server = pgserver.get_server(str(folder / "pg"), cleanup_mode="stop")
    try:
        server.psql("CREATE DATABASE bench")
        port = free_port()
        settings = {
            "listen": f"127.0.0.1:{port}",
            "database": server.get_uri("bench"),
            "lake": str(folder / "lake"),
            "journal": str(folder / "journal"),
            "providers": {"openai": {"base_url": f"http://127.0.0.1:{upstream}/v1", "api_key": "sk-mock"}},
        }
        config = folder / "postgres.yaml"
        config.write_text(json.dumps(settings))
        program = [sys.executable, "-m", "flatfare", "--config", str(config)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}

        def run(*words: str) -> str:
            done = subprocess.run(
                [*program, *words], env=environment, check=True, capture_output=True, text=True
            )
            return done.stdout

        labels = ["--label", "team=search", "--label", "feature=summary", "--label", "customer=acme"]
        key = json.loads(run("keys", "create", "--name", "bench", *labels, "--json"))["key"]
        scopes = ("organisation", "team=search", "feature=summary", "customer=*", "key=bench")
        for scope in scopes[:budgets]:
            run("budgets", "create", "--name", scope, "--scope", scope, "--amount", "1000000")
        command = pinned(CORES, *program, "serve", "--workers", "4")
        with running_process(
            command, lambda: answers(f"http://127.0.0.1:{port}/readyz"), env=environment
        ) as pid:
            time.sleep(1.0)
            name = f"four workers, PostgreSQL, {budgets} budgets"
            target = Target(name, f"http://127.0.0.1:{port}", key, pids=tuple(children(pid)))
            yield target, server.get_uri("bench")
    finally:
        server.cleanup()


def measure_postgres(folder: Path, upstream: int, seconds: int) -> None:
    """Print how many calls a second four workers make with a book in PostgreSQL, and when all are booked."""
    from flatfare.store.book import open_book

    with on_postgres(folder, upstream, budgets=5) as (target, database):
        warm = wrk(target, folder, 32, 1)
        measured = wrk(target, folder, 64, seconds)
        ended, calls = time.monotonic(), int(warm.rate + measured.rate * seconds)
        with open_book(database) as book:
            while int(str(book.value("SELECT COALESCE(SUM(n), 0) FROM calls"))) < 0.99 * calls:
                assert time.monotonic() - ended < 60, "calls are not booked"
                time.sleep(0.05)
        booked_s = time.monotonic() - ended
        said = f"{measured.rate:.0f} calls/s, p99 {measured.p99_ms:.1f} ms, {measured.errors} errors"
        print(f"{target.name}: {said}, booked {booked_s:.1f} s after the last (limit {CALLS_A_SECOND}/s)")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pairs", type=int, default=16)
    parser.add_argument("--seconds", type=int, default=1)
    parser.add_argument("--questions", type=int, default=20_000)
    parser.add_argument("--without-postgres", action="store_true")
    asked_for = parser.parse_args()
    machine = platform.processor() or platform.machine()
    print(f"{machine}, {len(CORES)} cores, Python {platform.python_version()}")
    folder = Path(tempfile.mkdtemp(prefix="flatfare-bench-"))
    try:
        measure_reservations(folder, asked_for.questions)
        if not (shutil.which("nginx") and shutil.which("wrk")):
            print("throughput: not measured; it needs nginx and wrk")
            return
        with provider(folder) as upstream:
            beside_none(folder, upstream, asked_for.pairs, asked_for.seconds)
            if not asked_for.without_postgres:
                measure_postgres(folder, upstream, 4 * asked_for.seconds)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT / "src"))
    main()
