"""A trial: every rung of an action by itself on sample inputs, with real calls that nobody is billed for.

The calls go through the gateway as tests, so that they count in no headline figure.
"""

import asyncio
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, replace

from flatfare.core.action import Action, Ending, Rung
from flatfare.core.identity import time_ordered
from flatfare.runner.bulk import Row
from flatfare.runner.inputs import Prepared, prepared
from flatfare.runner.judging import known_nano
from flatfare.runner.models import Unanswered, Whose
from flatfare.runner.proving import Prover
from flatfare.runner.purse import Purse
from flatfare.runner.questions import asker
from flatfare.runner.running import Runner
from flatfare.runner.working import Work, Workshop, carried_out
from flatfare.service import clock
from flatfare.service.actions.advising import Seen, Tried

PURPOSE = "test"


@dataclass(frozen=True, slots=True)
class Trial:
    """What a trial has shown: each rung by itself, and the whole ladder put together from it."""

    tried: tuple[Tried, ...]
    seen: tuple[Seen, ...]


async def try_out(runner: Runner, action: Action, rows: Iterable[Row], together: int = 4) -> Trial:
    """Try every rung on every input."""
    prover, turn = Prover(action), asyncio.Semaphore(together)

    async def one(row: Row, rung: Rung) -> tuple[Tried, Ending]:
        async with turn:
            given = await asyncio.to_thread(prepared, action, row.values, row.files)
            return await _tried(runner, action, prover, row.name, given, rung)

    try:
        listed = [(row, rung) for row in rows if row.problem is None for rung in action.ladder]
        found = await asyncio.gather(*(one(row, rung) for row, rung in listed))
    finally:
        prover.close()
    return Trial(tuple(tried for tried, _ in found), tuple(_as_a_ladder(action, found)))


async def _tried(
    runner: Runner, action: Action, prover: Prover, name: str, given: Prepared, rung: Rung
) -> tuple[Tried, Ending]:
    at_us = clock.now_us()
    task, attempt = (str(time_ordered(at_us, secrets.token_bytes(10))) for _ in range(2))
    whose = Whose(task, attempt, {"action": action.name, "trial": rung.name}, PURPOSE)
    ends_at = asyncio.get_running_loop().time() + action.limits.deadline_us / 1e6
    work = Work(rung, whose, ends_at, at_us)
    purse = Purse(action.limits.cost_nano, runner.bounds, runner.gate.settings.providers)
    shop = Workshop(replace(action, ladder=(rung,)), given, runner.models, purse, runner.gate, runner.till)
    try:
        output = await carried_out(shop, work)
        means = asker(work, work.made, asyncio.get_running_loop(), runner.models)
        ending = (await prover.judge(output, given, 1, means)).ending
    except Unanswered as problem:
        ending = problem.ending
    is_whole = not work.is_cost_unsaid and all(call.cost_nano is not None for call in work.made)
    cost_nano = known_nano(work.made) if is_whole else None
    return Tried(name, rung.name, cost_nano, ending is Ending.VERIFIED), ending


def _as_a_ladder(action: Action, found: list[tuple[Tried, Ending]]) -> Iterable[Seen]:
    """What the action's own ladder would have come to on each input."""
    by_input: dict[str, list[tuple[Tried, Ending]]] = {}
    for tried, ending in found:
        by_input.setdefault(tried.input, []).append((tried, ending))
    for rows in by_input.values():
        costs, last = list[int | None](), Ending.ERROR
        for tried, ending in rows[: action.limits.attempts]:
            costs.append(tried.cost_nano)
            last = ending
            if tried.is_verified:
                break
        known = [cost for cost in costs if cost is not None]
        yield Seen(sum(known) if len(known) == len(costs) else None, str(last))
