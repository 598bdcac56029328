"""How long a report takes over 10 or 100 million calls, beside DuckDB's bare scan of the same files.

The calls are resampled from real customer-support conversations (``shared/data/tau2_runs``: tokens,
calls per task, cost, outcome, who spoke), a new task for each draw, over one year; sealed as an import
leaves them, listed in a book with their sums. Each report runs whole: opening book and lake, reading,
every figure, interval and percentile. The scan sums cost and tokens of all calls by purpose.

    python bench/report.py [--large] [--samples 7] [--threads 4] [--keep DIR]
"""

import argparse
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "src"))

import duckdb  # noqa: E402

from flatfare.service.reporting import report  # noqa: E402
from flatfare.store import segments  # noqa: E402
from flatfare.store.book import open_book  # noqa: E402
from flatfare.store.engine import open_engine, quoted, write_parquet  # noqa: E402
from flatfare.store.folding import folding  # noqa: E402
from flatfare.store.lake import Lake  # noqa: E402
from flatfare.store.layout import CALLS, FOLDED, TASKS, Column, names  # noqa: E402

TRACES = Path(os.environ.get("FLATFARE_SHARED", ROOT.parent / "shared")) / "data" / "tau2_runs"
CALLS_PER_FILE = 10_000_000
OPENED_US, YEAR_US = 1_735_689_600_000_000, 31_536_000_000_000
NOW_US = 1_795_219_200_000_000
QUESTIONS = (("path",), ("domain",), ("month",), ("path", "outcome"), ("model",))

_CALL = {
    "id": "uuid()",
    "revision": "0",
    "n": "1",
    "at_us": "opened + place * 7000000",
    "source": "'import'",
    "task_id": "drawn.id",
    "purpose": "IF(role = 'assistant', 'work', 'simulation')",
    "status": "'ok'",
    "provider": "'openai'",
    "model": "IF(role = 'assistant', agent_llm, 'gpt-4.1')",
    "input": "prompt_tokens",
    "output": "completion_tokens",
    "usage_state": "'measured'",
    "cost_nano": "IF(cost_usd > 0, ROUND(cost_usd * 1e9), NULL)",
    "cost_state": "IF(cost_usd > 0, 'measured', 'unknown')",
    "cost_reason": "IF(cost_usd > 0, NULL, 'the source gives a cost of 0 beside tokens')",
    "cost_basis": "IF(cost_usd > 0, 'reported', NULL)",
    "reported_nano": "IF(cost_usd > 0, ROUND(cost_usd * 1e9), NULL)",
    "reported_source": "'litellm'",
    "labels": "'{}'",
}
_TASK = {
    "id": "drawn.id",
    "version": "0",
    "name": "'resolve-ticket'",
    "path": "run",
    "labels": '\'{"benchmark":"tau2","domain":"\' || domain || \'"}\'',
    "opened_at_us": "opened",
    "closed_at_us": "opened + 200000000",
    "matures_at_us": "opened + 200000000",
    "outcome": "IF(success, 'verified', 'failed')",
    "outcome_at_us": "opened + 200000000",
    "is_disputed": "FALSE",
    "settlement": "'none'",
    "source": "'import'",
}


def selected(values: dict[str, str], columns: tuple[Column, ...]) -> str:
    """A select list in the layout's order and types."""
    return ", ".join(
        f"CAST({values.get(column.name, 'NULL')} AS {column.lake_type}) AS {column.name}"
        for column in columns
    )


def make(folder: Path, files: int) -> None:
    """A book and a lake of that many files of ten million calls, unless they are there."""
    if (folder / "done").exists():
        return
    lake = Lake(folder / "lake")
    with open_book(str(folder / "flatfare.db")) as book:
        engine = open_engine(folder / "spill")
        engine.execute("SET memory_limit = '4GB'")
        engine.execute(
            f"CREATE TEMP TABLE sims AS SELECT ROW_NUMBER() OVER (ORDER BY run, task_id, trial) - 1 AS k, * "
            f"FROM '{TRACES / 'sims.parquet'}'"
        )
        engine.execute(
            f"""CREATE TEMP TABLE traced AS
            SELECT k, role, prompt_tokens, completion_tokens, cost_usd,
                   COALESCE(agent_llm, 'unknown') AS agent_llm,
                   ROW_NUMBER() OVER (PARTITION BY k ORDER BY msg_idx) AS place
            FROM '{TRACES / "calls.parquet"}' JOIN sims USING (run, task_id, trial)"""
        )
        kinds, calls = engine.execute("SELECT (SELECT COUNT(*) FROM sims), COUNT(*) FROM traced").fetchall()[
            0
        ]
        tasks = CALLS_PER_FILE * kinds // calls
        for number in range(files):
            add_file(engine, lake, book, number, tasks, kinds, YEAR_US // (tasks * files))
        engine.close()
    (folder / "done").touch()


def add_file(engine, lake, book, number: int, tasks: int, kinds: int, every_us: int) -> None:  # type: ignore[no-untyped-def]
    """Ten million calls, folded, and their tasks, sealed as an import seals them."""
    engine.execute(
        f"""CREATE OR REPLACE TEMP TABLE drawn AS
        SELECT i, CAST(md5('task' || i) AS UUID) AS id, hash(i) % {kinds} AS k,
               {OPENED_US} + i * {every_us} AS opened
        FROM range({number * tasks}, {(number + 1) * tasks}) AS r(i)"""
    )
    with lake.exclusive(), lake.staging(f"bench{number}") as staged:
        calls, folded, done = (staged / f"{kind}.parquet" for kind in ("calls", "folded", "tasks"))
        write_parquet(
            engine,
            f"SELECT {selected(_CALL, CALLS)} FROM drawn JOIN traced USING (k) ORDER BY i, place",
            calls,
        )
        source = f"read_parquet({quoted(str(calls))})"
        write_parquet(engine, f"SELECT {names(FOLDED)} FROM ({folding(source)})", folded)
        write_parquet(engine, f"SELECT {selected(_TASK, TASKS)} FROM drawn JOIN sims USING (k)", done)
        sealed = [segments.seal_file(engine, book, lake, "calls", calls)]
        sealed.append(segments.seal_file(engine, book, lake, "folded", folded, calls_segment_id=sealed[0].id))
        sealed.append(segments.seal_file(engine, book, lake, "tasks", done))
        with book.writing():
            for segment in sealed:
                segments.list_segment(book, segment, NOW_US)


def measured(work: Callable[[], object], samples: int) -> str:
    """Median, least and 90th percentile of the seconds it takes."""
    work()
    seconds = []
    for _ in range(samples):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    ranked = sorted(seconds)
    return (
        f"median {statistics.median(ranked):6.3f} s   min {ranked[0]:6.3f} s   "
        f"p90 {ranked[round(0.9 * (len(ranked) - 1))]:6.3f} s"
    )


def measure(folder: Path, what: str, samples: int, threads: int) -> None:
    """One line: a report by these keys, or the scan; with the process's own peak of memory."""
    lake = Lake(folder / "lake")
    if what == "scan":
        engine = duckdb.connect(config={"threads": threads})
        files = quoted(str(folder / "lake" / "calls" / "*.parquet"))
        scan = (
            f"SELECT purpose, SUM(cost_nano), SUM(input), SUM(output), COUNT(*) FROM read_parquet({files}) "
            "GROUP BY purpose"
        )
        said = measured(lambda: engine.execute(scan).fetchall(), samples)
        name = "DuckDB's bare scan of the calls"
    else:
        with open_book(str(folder / "flatfare.db")) as book:
            by = tuple(what.split(","))
            said = measured(lambda: report(book, lake, by=by, now_us=NOW_US, threads=threads), samples)
        name = f"report --by {what}"
    print(f"  {name:32} {said}   peak {peak_mib():5.0f} MiB", flush=True)


def peak_mib() -> float:
    """This process's own peak of memory: ``ru_maxrss`` would count the parent's from before the exec."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Make the books, then measure each question in a process of its own."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--large", action="store_true", help="100 million calls too (3.3 GB, minutes to make)"
    )
    parser.add_argument("--samples", type=int, default=7)
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--keep", type=Path, help="where to make the books, and keep them")
    parser.add_argument("--measure", nargs=2, metavar=("DIR", "WHAT"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.measure:
        measure(Path(asked.measure[0]), asked.measure[1], asked.samples, asked.threads)
        return
    if not TRACES.exists():
        print("The real traces are not on this machine: nothing to resample, nothing measured.")
        return
    print(
        f"Python {platform.python_version()}, DuckDB {duckdb.__version__}, {os.cpu_count()} cores "
        f"({asked.threads} used), {platform.machine()}, load {os.getloadavg()[0]:.1f}; "
        f"{asked.samples} samples after one to warm up"
    )
    with tempfile.TemporaryDirectory(prefix="flatfare-bench-") as made:
        for files in (1, 10) if asked.large else (1,):
            folder = (asked.keep or Path(made)) / f"{files}"
            folder.mkdir(parents=True, exist_ok=True)
            make(folder, files)
            print(f"{files * CALLS_PER_FILE:,} calls, {files * 674_010:,} tasks")
            for what in ("scan", *(",".join(by) for by in QUESTIONS)):
                flags = ["--samples", str(asked.samples), "--threads", str(asked.threads)]
                command = [sys.executable, __file__, *flags, "--measure", str(folder), what]
                subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
