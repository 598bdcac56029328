"""What carrying out an action adds beside the model's own time, and a bulk run of 10,000 rows.

``python bench/runner.py [rows]``. The provider is in the same process and answers at once; what a
call through the gateway costs by itself is measured beside and taken off.
"""

import asyncio
import json
import platform
import resource
import sqlite3
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import pydantic_ai

from flatfare.runner import bulk
from flatfare.runner.models import Made, Prompt, Whose
from flatfare.runner.running import Order, Runner
from flatfare.service.actions.publishing import published
from flatfare.store.book import open_book
from tests.runner.rig import EMAIL, Model, shop

SAMPLES, WARM_UP = 300, 30


async def call_ms(runner: Runner, action_name: str) -> list[float]:
    """One call through the gateway by itself, with the same client and the same prompt."""
    with open_book(runner.settings.database) as book:
        action = published(book, action_name).action
    prompt = Prompt(EMAIL, schema=action.output_schema, output_tokens=1000)
    took = []
    for number in range(SAMPLES + WARM_UP):
        whose = Whose(f"bench {number}", f"bench {number}")
        made: list[Made] = []
        started = time.perf_counter()
        await runner.models.ask(action.ladder[0], prompt, whose, made, 30.0)
        took.append((time.perf_counter() - started) * 1000)
    return took[WARM_UP:]


async def run_ms(runner: Runner, customer: str | None) -> list[float]:
    """One run after another, each whole: quoted, held, attempted, verified, settled."""
    took = []
    for _ in range(SAMPLES + WARM_UP):
        started = time.perf_counter()
        result = await runner.run(Order("names-and-dates", {"email": EMAIL}, customer=customer))
        took.append((time.perf_counter() - started) * 1000)
        await runner.handed_over(result.run)
        assert result.run.ending == "verified"
    return took[WARM_UP:]


def told(what: str, took: list[float]) -> str:
    """Median, least and 99th of a hundred."""
    ordered = sorted(took)
    return (
        f"{what:44} median {statistics.median(took):6.2f} ms, min {ordered[0]:6.2f}, "
        f"p99 {ordered[int(len(ordered) * 0.99)]:6.2f}"
    )


async def overhead(folder: Path) -> None:
    async with shop(folder, Model(), wallet=10_000) as own:
        call = await call_ms(own.runner, "names-and-dates")
        free = await run_ms(own.runner, None)
        paid = await run_ms(own.runner, "acme")
    print(told("a call through the gateway by itself", call))
    print(told("a run without a customer", free))
    print(told("a run that is paid", paid))
    added = statistics.median(paid) - statistics.median(call)
    print(f"{'added to the call by a paid run':44} median {added:6.2f} ms, min {min(paid) - min(call):6.2f}")


async def in_bulk(folder: Path, rows: int) -> None:
    source = folder / "in.jsonl"
    with source.open("w") as lines:
        for number in range(rows):
            lines.write(json.dumps({"id": str(number), "input": {"email": f"{EMAIL} {number}"}}) + "\n")
    async with shop(folder, Model(), wallet=rows + 1) as own:
        with own.book() as book:
            action = published(book, "names-and-dates").action
        job = bulk.Job(action, "bench", "acme", folder / "out.jsonl", folder / "rejects.jsonl", 8)
        await bulk.carry_out(
            own.runner, job, bulk.rows_of(source, action), bulk.Told()
        )  # warm: half is enough
        before_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(
            f"memory after {rows:,} rows: {before_mb:,.0f} MB at most (gateway, provider and runner together)"
        )
        started = time.perf_counter()
        told_again = bulk.Told()
        await bulk.carry_out(own.runner, job, bulk.rows_of(source, action), told_again)
        print(f"the same job again: {dict(told_again.counts)} in {time.perf_counter() - started:.1f} s")


def main() -> None:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    print(
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, "
        f"pydantic-ai {pydantic_ai.__version__}"
    )
    print(f"{platform.machine()}, {SAMPLES} samples each, the journal and the book synced to disk")
    with tempfile.TemporaryDirectory() as name:
        asyncio.run(overhead(Path(name)))
    with tempfile.TemporaryDirectory() as name:
        started = time.perf_counter()
        asyncio.run(in_bulk(Path(name), rows))
        print(f"{rows:,} rows, 8 at a time, in {time.perf_counter() - started:.0f} s in all")


if __name__ == "__main__":
    main()
