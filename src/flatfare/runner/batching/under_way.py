"""Batches under way: who waits for their answers, and with what they are looked after."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from flatfare.runner.batching.asking import Reply
from flatfare.runner.batching.log import BatchLog, Sent
from flatfare.runner.batching.talking import Talk
from flatfare.runner.batching.wires import Wire
from flatfare.runner.books import Books
from flatfare.runner.gate import Gate


@dataclass(frozen=True, slots=True)
class Pace:
    """How long more questions are waited for, and how often a batch is looked at."""

    linger_s: float = 3.0
    first_s: float = 5.0
    longest_s: float = 60.0
    retry_s: float = 2.0
    late_s: float = 5.0


@dataclass(frozen=True, slots=True)
class Means:
    """What a desk works with: the gateway, the books, what is on record, and who hears of it."""

    gate: Gate
    books: Books
    log: BatchLog
    say: Callable[[str], None]
    pace: Pace
    talk: Talk

    async def book_calls(self) -> None:
        """Have the calls booked that were made until now, where the gateway is our own."""
        if self.gate.book is not None:
            await self.gate.book()


@dataclass(slots=True)
class Under:
    """A batch that was sent or is about to be, and who waits for its answers."""

    sent: Sent
    wire: Wire
    number: int
    waiting: dict[str, "asyncio.Future[Reply]"] = field(default_factory=dict)
    task: "asyncio.Task[None] | None" = None
    asked_at: float = 0.0

    async def awaited(self, name: str) -> Reply:
        """The reply to the request of that name, when it is there."""
        future = self.waiting.get(name)
        if future is None:
            future = self.waiting[name] = asyncio.get_running_loop().create_future()
        self.asked_at = time.monotonic()
        return await asyncio.shield(future)

    def reply(self, name: str, reply: Reply) -> None:
        """Give who waits for it the reply to a request."""
        future = self.waiting.pop(name, None)
        if future is not None and not future.done():
            future.set_result(reply)

    def reply_all(self, reply: Reply) -> None:
        """Give everybody who still waits the same reply."""
        for name in list(self.waiting):
            self.reply(name, reply)
