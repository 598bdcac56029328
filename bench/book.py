"""Calls booked a second, in groups of one transaction, on each of the book's homes, synced to disk."""

import platform
import sqlite3
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import psycopg

from flatfare.store import calls, reading
from flatfare.store.book import Book, open_book
from flatfare.store.lake import Lake
from tests.store.rows import call
from tests.store.servers import Server

GROUPS = (1, 100, 1_000, 10_000)
SAMPLES = 5


def booked_per_second(book: Book, group: int) -> float:
    """The median of some transactions of so many calls each."""
    rates = []
    for sample in range(SAMPLES):
        first = 10_000_000 + group * 100 + sample * group
        rows = [call(first + number) for number in range(group)]
        started = time.perf_counter()
        with book.writing():
            calls.insert(book, rows)
        rates.append(group / (time.perf_counter() - started))
    return statistics.median(rates)


def reading_s(book: Book, lake: Lake) -> float:
    """How long it takes to hand the hot calls to a report, folded and whole."""
    started = time.perf_counter()
    with reading.opened(book, lake, "calls", "folded") as engine:
        engine.execute("SELECT SUM(cost_nano) FROM folded").fetchone()
    return time.perf_counter() - started


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server = Server(folder, is_durable=True)
        try:
            server.start()
            homes = {"SQLite": f"sqlite:///{folder}/flatfare.db", "PostgreSQL": server.new_database()}
            for home, address in homes.items():
                with open_book(address) as book:
                    for group in GROUPS:
                        print(
                            f"{home:10}  groups of {group:6,}: {booked_per_second(book, group):8,.0f} calls/s"
                        )
                    count = book.value("SELECT COUNT(*) FROM calls")
                    took_s = reading_s(book, Lake(folder / "lake"))
                    print(f"{home:10}  {count:,} hot calls to a report: {took_s:.2f} s")
        finally:
            server.remove()
    print(
        f"SQLite {sqlite3.sqlite_version}, psycopg {psycopg.__version__}, "
        f"Python {platform.python_version()}; medians of {SAMPLES}; server and program share this machine"
    )


if __name__ == "__main__":
    main()
