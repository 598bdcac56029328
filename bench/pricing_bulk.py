"""How fast rows that are in the lake are priced, and that each equals the single path to the nano-dollar.

Prices ``--rows`` generated calls of twenty kinds (tiers, regions, peak hours, sizes of prompt, another
currency) from a Parquet file into a Parquet file, and compares ``--compare`` of them with the single
path, one by one. Prints versions, machine, load and every sample.
"""

import argparse
import os
import platform
import statistics
import sys
import tempfile
import time
from pathlib import Path

import duckdb

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from flatfare.service.costing.bulk_pricing import PRICED, priced_row, priced_sql
from tests.service import lakes


def main() -> None:
    arguments = _arguments()
    print(
        f"python {platform.python_version()}, duckdb {duckdb.__version__}, {os.cpu_count()} cores, "
        f"{arguments.threads} threads, load {os.getloadavg()[0]:.1f}"
    )
    with tempfile.TemporaryDirectory() as folder, duckdb.connect() as connection:
        connection.execute(f"SET threads = {arguments.threads}")
        connection.execute("SET preserve_insertion_order = false")
        source = Path(folder) / "calls.parquet"
        lakes.fill(connection, "calls", arguments.rows, broken=False)
        connection.execute(
            f"COPY calls TO '{source}' (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1)"
        )
        connection.execute("DROP TABLE calls")
        print(f"{arguments.rows:,} rows, {source.stat().st_size / 1e6:,.0f} MB of Parquet")
        samples = [_sample(connection, source, Path(folder)) for _ in range(arguments.samples)]
        for name, values in zip(("wall s", "cpu s"), zip(*samples, strict=True), strict=True):
            median = statistics.median(values)
            print(
                f"priced into Parquet, {name}: median {median:.2f}, min {min(values):.2f}, of {len(values)}"
            )
        if arguments.compare:
            _compare(connection, arguments.compare)


def _sample(connection: duckdb.DuckDBPyConnection, source: Path, folder: Path) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    query = priced_sql(connection, f"(FROM '{source}')", lakes.own_book(), keep=["id"])
    connection.execute(f"COPY ({query}) TO '{folder / 'priced.parquet'}' (FORMAT parquet, COMPRESSION zstd)")
    return time.perf_counter() - wall, time.process_time() - cpu


def _compare(connection: duckdb.DuckDBPyConnection, rows: int) -> None:
    """Every row of a table with every kind of breakage, priced both ways."""
    lakes.fill(connection, "mixed", rows, seed=0.9)
    book = lakes.own_book()
    query = priced_sql(connection, "mixed", book)
    began = time.perf_counter()
    connection.execute(f"CREATE TEMP TABLE both_ways AS {query}")
    result = connection.execute("SELECT * FROM both_ways")
    names = [column[0] for column in result.description]
    different = compared = 0
    while batch := result.fetchmany(10_000):
        for values in batch:
            row = dict(zip(names, values, strict=True))
            compared += 1
            different += tuple(row[name] for name in PRICED) != priced_row(book, row, lakes.UNITS)
    seconds = time.perf_counter() - began
    print(f"compared with the single path: {compared:,} rows, {different} different, {seconds:.0f} s")
    if different or compared != rows:
        sys.exit(1)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--compare", type=int, default=1_000_000)
    parser.add_argument("--samples", type=int, default=3)
    parser.add_argument("--threads", type=int, default=4)
    return parser.parse_args()


if __name__ == "__main__":
    main()
