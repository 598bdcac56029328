"""What runs of this process are at, told to whoever listens as it happens."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from flatfare.core.moments import iso

KEPT_RUNS, KEPT_STEPS = 1000, 2000


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happened to a run."""

    kind: str
    data: dict[str, object]

    @property
    def is_last(self) -> bool:
        """Nothing follows."""
        return self.kind in ("done", "awaited", "interrupted", "refused")


@dataclass(slots=True)
class _Story:
    steps: deque[Step] = field(default_factory=lambda: deque(maxlen=KEPT_STEPS))
    told: asyncio.Event = field(default_factory=asyncio.Event)
    count: int = 0


class Progress:
    """The stories of the newest runs of this process."""

    def __init__(self) -> None:
        self._stories: OrderedDict[str, _Story] = OrderedDict()

    def tell(self, run_id: str, kind: str, at_us: int, **said: object) -> None:
        """Add to a run's story."""
        story = self._stories.setdefault(run_id, _Story())
        self._stories.move_to_end(run_id)
        while len(self._stories) > KEPT_RUNS:
            self._stories.popitem(last=False)
        story.steps.append(Step(kind, {"run": run_id, "at": iso(at_us), **said}))
        story.count += 1
        told, story.told = story.told, asyncio.Event()
        told.set()

    async def follow(self, run_id: str) -> AsyncIterator[Step]:
        """The run's story from its beginning, as it goes on; it ends when the run does."""
        seen = 0
        while (story := self._stories.get(run_id)) is not None:
            told = story.told
            fresh, seen = story.count - seen, story.count  # more may come while these are passed on
            for step in list(story.steps)[-fresh:] if fresh else []:
                yield step
                if step.is_last:
                    return
            await told.wait()
