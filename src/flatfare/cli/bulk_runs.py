"""Bulk runs from the command line: results to a file, progress on stderr, and a stop that loses nothing."""

import asyncio
import sys
from pathlib import Path

from flatfare.cli import output
from flatfare.config import Settings
from flatfare.core.action import Action
from flatfare.core.errors import BadUsage
from flatfare.runner import bulk
from flatfare.runner.batching.desk import Desk
from flatfare.runner.batching.log import BatchLog
from flatfare.runner.books import Books
from flatfare.runner.gate import Gate
from flatfare.runner.running import running
from flatfare.service import clock

TOGETHER, TOGETHER_MAX, TOGETHER_IN_BATCHES = 8, 200, 5_000
"""Rows at a time: as usual, at most, and where they wait for batches."""

_STOPPED = 130  # as a shell says that a command was interrupted


def job_of(
    action: Action,
    out: Path | None,
    rejects: Path | None,
    customer: str | None,
    key: str | None,
    parallel: int | None,
    *,
    is_batch: bool,
) -> bulk.Job:
    """What is to be done with every row."""
    if out is None:
        raise BadUsage("Say where the results go: --out results.jsonl")
    if not is_batch and (parallel or 0) > TOGETHER_MAX:
        raise BadUsage(f"Found --parallel {parallel}: at most {TOGETHER_MAX} rows are asked at once.")
    beside = rejects or out.with_name(f"{out.stem}.rejects.jsonl")
    together = parallel or (TOGETHER_IN_BATCHES if is_batch else TOGETHER)
    return bulk.Job(action, key or str(out.resolve()), customer, out, beside, together)


def carry_out(settings: Settings, job: bulk.Job, source: Path, *, is_batch: bool, is_json: bool) -> None:
    """Carry a job out, and say what came of it. Ends with 3 where it had to stop."""
    told = bulk.Told()
    try:
        asyncio.run(_carried_out(settings, job, source, told, is_batch=is_batch))
    except KeyboardInterrupt:
        sent = "What was sent goes on at the provider: the" if is_batch else "The"
        output.complain(f"Stopped. {sent} same command goes on where it stopped.")
        sys.exit(_STOPPED)
    if is_json:
        output.print_json({"counts": dict(told.counts), "stopped": told.stopped})
    else:
        output.say(", ".join(f"{count} {word}" for word, count in told.counts.most_common()) or "no rows")
    if told.stopped is not None:
        output.complain(f"{told.stopped} Start it again to go on where it stopped.")
        sys.exit(3)


async def _carried_out(
    settings: Settings, job: bulk.Job, source: Path, told: bulk.Told, *, is_batch: bool
) -> None:
    def desk_of(gate: Gate, books: Books) -> Desk:
        bulk.check_batches(job.action, gate.settings.providers)
        log = BatchLog(job.results.with_name(f"{job.results.name}.batches"), clock.now_us())
        return Desk(gate, books, log, output.note)

    async with running(settings, desk_of=desk_of if is_batch else None) as runner:
        with output.progress(job.action.name) as advance:
            watched = asyncio.get_running_loop().create_task(_watched(told, advance))
            try:
                await bulk.carry_out(runner, job, bulk.rows_of(source, job.action), told)
            finally:
                watched.cancel()


async def _watched(told: bulk.Told, advance: output.Advance) -> None:
    while True:
        advance(told.done)
        await asyncio.sleep(0.2)
