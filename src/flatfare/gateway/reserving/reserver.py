"""A worker's side of reservations: which budgets a call falls under, and the question to the treasurer.

Where no budget concerns a call nothing is asked. An answer is acted on as soon as it is
read: the intent that follows names the epoch it was given in.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import cast

import msgspec

from flatfare.core.budget import Allowance, Budget, Whose
from flatfare.gateway.reserving.messages import (
    Frames,
    Granted,
    Hello,
    Over,
    Passed,
    Refused,
    Reserve,
    Settle,
    Stopped,
    Watch,
    Welcome,
    framed,
    of_treasurer,
)
from flatfare.store import budgets
from flatfare.store.book import Book

RETRY_S = 0.05
AWAY_S_MAX = 5.0
"""Without a treasurer a call waits so long, or its budgets' ``queue_ms`` if that is longer."""

_log = logging.getLogger("flatfare.gateway")
OnAnswer = Callable[["Granted | Refused"], None]
OnWatched = Callable[["Passed | Stopped | None"], None]
"""None where nobody could be asked."""


class Claim:
    """The budgets that a call falls under, each with the id of the allowance it draws on."""

    __slots__ = ("found", "hard")

    def __init__(self, found: tuple[tuple[Budget, str], ...]) -> None:
        self.found = found
        self.hard = tuple(one for one in found if one[0].is_hard or _stops(one[0]))
        """Those that must not be exceeded."""

    @property
    def is_open(self) -> bool:
        """Every one of them lets calls through where it cannot be asked."""
        return all(budget.fail == "open" for budget, _ in self.hard)

    def budget_of(self, allowance_id: str) -> Budget | None:
        """The budget of an allowance."""
        return next((budget for budget, name in self.found if name == allowance_id), None)


def _stops(budget: Budget) -> bool:
    return any(one.action == "stop" for one in budget.thresholds)


class BudgetList:
    """The budgets as a worker sees them: in memory, as of the last change."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._number: object = None
        self.held: tuple[Budget, ...] = ()
        self._spans: dict[str, tuple[int, int | None]] = {}  # the window of each that held last
        self.refresh()

    def refresh(self) -> None:
        """Take in what has changed; ``StoreFailure`` where the book is away, and the budgets known stay."""
        number = budgets.change_number(self._book)
        if number != self._number:
            self.held, self._number = tuple(budgets.all_of(self._book)), number
            self._spans = {}

    def claim(self, whose: Whose, at_us: int) -> Claim | None:
        """What a call falls under; None where no budget concerns it."""
        found = []
        for budget in self.held:
            subject = budget.subject(whose)
            if subject is not None:
                found.append((budget, f"{budget.id} {self._begins(budget, at_us)} {subject}"))
        return Claim(tuple(found)) if found else None

    def _begins(self, budget: Budget, at_us: int) -> int:
        """When the window of a budget began that holds a moment; that of the last call mostly does."""
        held = self._spans.get(budget.id)
        if held is None or at_us < held[0] or (held[1] is not None and at_us >= held[1]):
            held = self._spans[budget.id] = budget.window.span(at_us)
        return held[0]

    def __len__(self) -> int:
        return len(self.held)


class Reserver:
    """Asks the treasurer at a socket of this machine, and is there again when it is."""

    def __init__(self, path: Path, worker_id: str) -> None:
        self._path = path
        self._worker_id = worker_id
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._waiting: dict[str, tuple[Reserve, OnAnswer, asyncio.TimerHandle]] = {}
        self._watching: dict[str, tuple[Watch, OnWatched, asyncio.TimerHandle]] = {}
        self._out: list[bytes] = []
        self._task: asyncio.Task[None] | None = None
        self.epoch: str | None = None

    def reserve(self, ask: Reserve, on_answer: OnAnswer) -> None:
        """Have an amount held; the answer comes later, never within this call."""
        wait_s = max(AWAY_S_MAX, ask.queue_ms / 1000 + AWAY_S_MAX)
        timer = self._loop.call_later(wait_s, self._too_late, ask.call_id)
        self._waiting[ask.call_id] = (ask, on_answer, timer)
        if self.epoch is not None:
            self._say(framed(ask))
        else:
            self._connect()

    def settle(self, call_id: str, cost_nano: int | None, needed_nano: int | None) -> None:
        """A call has ended, or is not wanted any more."""
        waiting = self._waiting.pop(call_id, None)
        if waiting is not None:
            waiting[2].cancel()
        if self.epoch is not None:
            self._say(framed(Settle(call_id, cost_nano, needed_nano)))

    def watch(self, ask: Watch, on_answer: OnWatched) -> None:
        """Ask a call's guards; the answer comes later, never within this call."""
        timer = self._loop.call_later(AWAY_S_MAX, self._unwatched, ask.call_id)
        self._watching[ask.call_id] = (ask, on_answer, timer)
        if self.epoch is not None:
            self._say(framed(ask))
        else:
            self._connect()

    def over(self, over: Over) -> None:
        """A call that its guards let go has ended, or is not wanted any more."""
        watching = self._watching.pop(over.call_id, None)
        if watching is not None:
            watching[2].cancel()
        if self.epoch is not None:
            self._say(framed(over))

    def close(self) -> None:
        """End the connection; nobody is answered any more."""
        if self._task is not None:
            self._task.cancel()
        if self._transport is not None:
            self._transport.close()
        for timer in [
            *(one[2] for one in self._waiting.values()),
            *(one[2] for one in self._watching.values()),
        ]:
            timer.cancel()
        self._waiting.clear()
        self._watching.clear()

    def _too_late(self, call_id: str) -> None:
        waiting = self._waiting.pop(call_id, None)
        if waiting is not None:
            ask, on_answer, _ = waiting
            if self.epoch is not None:
                self._say(framed(Settle(call_id, 0)))
            on_answer(Refused(call_id, ask.allowance_ids[0], 0, ask.least_nano, 0, is_away=True))

    def _unwatched(self, call_id: str) -> None:
        watching = self._watching.pop(call_id, None)
        if watching is not None:
            if self.epoch is not None:
                self._say(framed(Over(call_id, was_sent=False)))
            watching[1](None)

    def _connect(self) -> None:
        if self._task is None or self._task.done():
            self._task = self._loop.create_task(self._connected())

    async def _connected(self) -> None:
        while self._transport is None:
            try:
                await self._loop.create_unix_connection(lambda: _Connection(self), str(self._path))
            except OSError:
                await asyncio.sleep(RETRY_S)

    def made(self, transport: asyncio.Transport) -> None:
        """The connection stands."""
        self._transport = transport
        transport.write(framed(Hello(self._worker_id)))

    def lost(self) -> None:
        """The treasurer is gone: whoever waits asks the next one."""
        self._transport, self.epoch = None, None
        self._out.clear()
        self._connect()

    def take(self, body: bytes) -> None:
        """A message of the treasurer."""
        message = of_treasurer(body)
        if isinstance(message, Welcome):
            self.epoch = message.epoch
            for ask, _, _ in self._waiting.values():
                self._say(framed(ask))
            for watch, _, _ in self._watching.values():
                self._say(framed(watch))
            return
        if isinstance(message, Passed | Stopped):
            self._watched(message)
            return
        waiting = self._waiting.pop(message.call_id, None)
        if waiting is not None:
            waiting[2].cancel()
            waiting[1](message)
        elif isinstance(message, Granted):
            self._say(framed(Settle(message.call_id, 0)))  # nobody wants it any more

    def _watched(self, message: Passed | Stopped) -> None:
        watching = self._watching.pop(message.call_id, None)
        if watching is not None:
            watching[2].cancel()
            watching[1](message)
        elif isinstance(message, Passed):
            self._say(framed(Over(message.call_id, was_sent=False)))  # nobody wants it any more

    def _say(self, data: bytes) -> None:
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out.append(data)

    def _flush(self) -> None:
        out, self._out = self._out, []
        if self._transport is not None:
            self._transport.write(b"".join(out))


class _Connection(asyncio.Protocol):
    """The connection to the treasurer."""

    def __init__(self, reserver: Reserver) -> None:
        self._reserver = reserver
        self._frames = Frames()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._reserver.made(cast("asyncio.Transport", transport))

    def data_received(self, data: bytes) -> None:
        try:
            for body in self._frames.feed(data):
                self._reserver.take(body)
        except (ValueError, msgspec.MsgspecError) as problem:
            _log.error("The treasurer said what a worker does not understand: %s", problem)

    def connection_lost(self, exc: Exception | None) -> None:
        self._reserver.lost()


def reservation_text(epoch: str | None, claim: Claim) -> str:
    """What an intent says of its reservation: the epoch, and the allowances that its cost is charged to."""
    return "\n".join((epoch or "", *(name for _, name in claim.found)))


def reservation_of(text: str) -> tuple[str | None, Mapping[str, Allowance]]:
    """What a reservation's text says."""
    epoch, *ids = text.split("\n")
    return epoch or None, {one: Allowance.of(one) for one in ids}
