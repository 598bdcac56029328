"""A run's story is told whole to whoever follows it, however fast it goes on."""

import asyncio
from itertools import islice

from flatfare.runner.progress import Progress


def test_what_happens_while_a_step_is_passed_on_is_told_too() -> None:
    async def followed() -> list[str]:
        progress, kinds = Progress(), []
        progress.tell("r", "held", 0)
        later = iter(("attempt_started", "attempt_ended", "judged", "done"))
        async for step in progress.follow("r"):
            kinds.append(step.kind)
            for kind in islice(later, 2):
                progress.tell("r", kind, 0)
        return kinds

    told = asyncio.run(asyncio.wait_for(followed(), 5))
    assert told == ["held", "attempt_started", "attempt_ended", "judged", "done"]
