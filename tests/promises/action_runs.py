"""A process that carries out numbered runs of two actions, and notes what it has handed over."""

import asyncio
import json
import os
import sys
from pathlib import Path

from flatfare.runner import recovering
from flatfare.runner.running import Order, Runner, running
from tests.runner.rig import EMAIL, settings_for

ACTIONS = ("names-and-dates", "kept-names")  # one that keeps nothing, one that keeps its results
COUNT = 24
TOGETHER = 4


def main() -> None:
    """``folder port count``: carry out what is not handed over yet."""
    folder, port, count = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    asyncio.run(_work(folder, port, count))


async def _work(folder: Path, port: int, count: int) -> None:
    async with running(settings_for(folder, port)) as runner:
        left = await runner.books.do(recovering.recover, runner.owner, runner.now())
        for run in left.to_resume:
            await runner.result(await runner.resume(run))
        handed = {tuple(one) for one in handed_over(folder / "handed.jsonl")}
        wanted = [(action, n) for n in range(count) for action in ACTIONS if (action, n) not in handed]
        with (folder / "handed.jsonl").open("a") as file:
            turn = asyncio.Semaphore(TOGETHER)
            await asyncio.gather(*(_one(runner, action, n, file, turn) for action, n in wanted))


async def _one(runner: Runner, action: str, number: int, file, turn: asyncio.Semaphore) -> None:  # type: ignore[no-untyped-def]
    async with turn:
        result = await runner.run(Order(action, {"email": EMAIL}, customer="acme", key=f"k{number}"))
        assert result.run.ending == "verified", result
        assert result.output, result
        file.write(json.dumps([action, number]) + "\n")
        file.flush()
        os.fsync(file.fileno())
        await runner.handed_over(result.run)


def handed_over(file: Path) -> list[tuple[str, int]]:
    """What was handed over, whole lines only."""
    if not file.exists():
        return []
    whole = [line for line in file.read_text().splitlines(keepends=True) if line.endswith("\n")]
    return [tuple(json.loads(line)) for line in whole]
