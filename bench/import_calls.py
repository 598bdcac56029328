"""How fast calls come into the lake: rows a second and peak memory, from Parquet, CSV and JSON Lines.

The calls are synthetic, resampled from real traces (Azure LLM inference 2023, Mooncake,
tau2 conversations): each row has the token counts of one real request. Run it as
``python bench/import_calls.py --rows 10000000``; it prints versions, machine and every sample.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import duckdb

ROOT = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("FLATFARE_SHARED", ROOT.parent / "shared")) / "data"

POOL = """
CREATE TEMP TABLE pool AS SELECT row_number() OVER () - 1 AS place, * FROM (
    SELECT ContextTokens AS prompt, GeneratedTokens AS completion, 0.7 AS share
        FROM read_csv('{data}/azure_llm_2023/*.csv', union_by_name = true)
    UNION ALL SELECT input_length, output_length, 0.5
        FROM read_parquet('{data}/mooncake/conversation.parquet')
    UNION ALL SELECT prompt_tokens, completion_tokens, 0.9 FROM read_parquet('{data}/tau2_runs/calls.parquet')
        WHERE prompt_tokens > 0)
"""

# A task has twelve calls to one model; money is what the tokens cost at that model's own rates, with
# the noise of floating point that exports have.
ROWS = """
SELECT {id} TIMESTAMPTZ '2026-09-01' + to_microseconds(number * 250000 + (hash(number) % 200000)::BIGINT)
        AS timestamp,
    ['openai', 'anthropic', 'gemini', 'mistral'][1 + (task % 4)::BIGINT] AS provider,
    [['gpt-5-mini', 'gpt-4o', 'gpt-4.1'], ['claude-sonnet-4-5', 'claude-haiku-4-5', 'claude-opus-4-5'],
     ['gemini-2.5-flash', 'gemini-2.5-pro', 'gemini-2.5-flash-lite'],
     ['mistral-large-latest', 'mistral-small-latest', 'codestral-latest']]
        [1 + (task % 4)::BIGINT][1 + (hash(task) % 3)::BIGINT] AS model,
    prompt AS prompt_tokens,
    CASE WHEN hash(number + 1) % 3 = 0 THEN 0 ELSE (prompt * share)::BIGINT END AS cached_tokens,
    completion AS completion_tokens,
    prompt * (0.25 + (hash(task) % 3)) / 1e6 + completion * (2 + (hash(task) % 5)) / 1e6 AS cost,
    'task-' || task AS task_id, 'team-' || (hash(task) % 12) AS team,
    'customer-' || (hash(task) % 800) AS customer
FROM (SELECT range AS number, range // 12 AS task, hash(range * 7) % (SELECT count(*) FROM pool) AS place
      FROM range({rows})) JOIN pool USING (place) ORDER BY number
"""


def made(folder: Path, rows: int, form: str, *, has_id: bool) -> Path:
    """The file of synthetic calls, made once."""
    file = folder / f"calls-{rows}{'' if has_id else '-no-id'}.{form}"
    if file.exists():
        return file
    engine = duckdb.connect()
    engine.execute("SET memory_limit = '4GB'")
    engine.execute(POOL.format(data=SHARED))
    id_column = "'req-' || lpad(number::VARCHAR, 12, '0') AS request_id," if has_id else ""
    query = ROWS.format(id=id_column, rows=rows)
    options = {"parquet": "FORMAT parquet, COMPRESSION zstd", "csv": "FORMAT csv", "jsonl": "FORMAT json"}
    engine.execute(f"COPY ({query}) TO '{file}.part' ({options[form]})")
    Path(f"{file}.part").rename(file)
    return file


def imported(file: Path) -> tuple[float, float, dict[str, object]]:
    """Seconds, peak memory in MiB and the counts of one import into a new book, in a process of its own."""
    with tempfile.TemporaryDirectory(dir=file.parent) as place:
        environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
        command = [
            sys.executable, str(Path(__file__).resolve()), "--one", str(file),
            "--database", f"{place}/book.db", "--lake", f"{place}/lake",
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        if done.returncode:
            sys.exit(done.stderr)
        result = json.loads(done.stdout)
    return result["seconds"], result["peak_mib"], result["counts"]


def one(file: str, database: str, lake: str) -> None:
    """Import one file in this process and print what it took."""
    from flatfare.config import Settings
    from flatfare.service.importing.order import Order
    from flatfare.service.importing.run import Stores, import_file
    from flatfare.store.book import open_book
    from flatfare.store.lake import Lake

    started = time.perf_counter()
    with open_book(database) as book:
        result = import_file(
            Stores(book, Lake(lake), Settings()), file, Order("calls"), time.time_ns() // 1000
        )
    seconds = time.perf_counter() - started
    status = Path("/proc/self/status").read_text(encoding="ascii")
    peak = int(status.partition("VmHWM:")[2].split()[0]) / 1024
    counts = {"read": result.read, "new": result.new, "rejected": result.rejected}
    print(json.dumps({"seconds": seconds, "peak_mib": peak, "counts": counts}))


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--text-rows", type=int, default=1_000_000, help="rows of the CSV and JSON files")
    parser.add_argument("--samples", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "flatfare-bench")
    parser.add_argument("--one")
    parser.add_argument("--database")
    parser.add_argument("--lake")
    given = parser.parse_args()
    if given.one:
        one(given.one, given.database, given.lake)
        return
    given.folder.mkdir(parents=True, exist_ok=True)
    print(f"Python {platform.python_version()}, DuckDB {duckdb.__version__}, {platform.machine()}, "
          f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")  # fmt: skip
    cases = [
        ("Parquet, with request ids", made(given.folder, given.rows, "parquet", has_id=True)),
        ("Parquet, known by content", made(given.folder, given.rows, "parquet", has_id=False)),
        ("CSV, with request ids", made(given.folder, given.text_rows, "csv", has_id=True)),
        ("JSON Lines, with request ids", made(given.folder, given.text_rows, "jsonl", has_id=True)),
    ]
    for what, file in cases:
        samples = [imported(file) for _ in range(given.samples)]
        counts = samples[0][2]
        rows = int(str(counts["read"]))
        rates = sorted(rows / seconds for seconds, _, _ in samples)
        print(
            f"{what}: {rows:,} rows, {file.stat().st_size / 2**20:,.0f} MiB; calls/s median "
            f"{statistics.median(rates):,.0f}, min {rates[0]:,.0f}, max {rates[-1]:,.0f} "
            f"({len(rates)} samples, load {os.getloadavg()[0]:.1f}); "
            f"peak memory {max(peak for _, peak, _ in samples):,.0f} MiB; {counts}"
        )


if __name__ == "__main__":
    main()
