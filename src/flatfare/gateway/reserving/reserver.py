"""A worker's side of reservations: the question to the treasurer, and what a call did not use.

Where no budget concerns a call nothing is asked. An answer is acted on as soon as it is
read: the intent that follows names the epoch it was given in.
"""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import cast

import msgspec

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

RETRY_S = 0.05
SWEEP_S = 0.25
LAZY_S = 0.004
"""Where plenty is left, what a call did not use is told of so much later at most: together with others."""

AWAY_S_MAX = 5.0
"""Without a treasurer a call waits so long, or its budgets' ``queue_ms`` if that is longer."""

_log = logging.getLogger("flatfare.gateway")
OnAnswer = Callable[["Granted | Refused"], None]
OnWatched = Callable[["Passed | Stopped | None"], None]
"""None where nobody could be asked."""


class Reserver:
    """Asks the treasurer at a socket of this machine, and is there again when it is."""

    def __init__(self, path: Path, worker_id: str) -> None:
        self._path = path
        self._worker_id = worker_id
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._waiting: dict[str, tuple[Reserve, OnAnswer, float]] = {}
        self._watching: dict[str, tuple[Watch, OnWatched, float]] = {}
        self._sweeper: asyncio.TimerHandle | None = None
        self._out: list[bytes] = []
        self._is_flushing = False  # in this turn of the loop
        self._lazy: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._is_closed = False
        self.epoch: str | None = None

    def reserve(self, ask: Reserve, on_answer: OnAnswer) -> None:
        """Have an amount held; the answer comes later, never within this call."""
        until = self._loop.time() + ask.queue_ms / 1000 + AWAY_S_MAX
        self._waiting[ask.call_id] = (ask, on_answer, until)
        self._sweep_soon()
        if self.epoch is not None:
            self._say(framed(ask))
        else:
            self._connect()

    def settle(
        self, call_id: str, cost_nano: int | None, needed_nano: int | None, *, may_wait: bool = False
    ) -> None:
        """A call has ended, or is not wanted; where plenty is left that may be told a little later."""
        self._waiting.pop(call_id, None)
        if self.epoch is None:
            return
        message = framed(Settle(call_id, cost_nano, needed_nano))
        if not may_wait or self._is_flushing:
            self._say(message)
            return
        self._out.append(message)
        if self._lazy is None:
            self._lazy = self._loop.call_later(LAZY_S, self._flush_lazy)

    def watch(self, ask: Watch, on_answer: OnWatched) -> None:
        """Ask a call's guards; the answer comes later, never within this call."""
        self._watching[ask.call_id] = (ask, on_answer, self._loop.time() + AWAY_S_MAX)
        self._sweep_soon()
        if self.epoch is not None:
            self._say(framed(ask))
        else:
            self._connect()

    def over(self, over: Over) -> None:
        """A call that its guards let go has ended, or is not wanted any more."""
        self._watching.pop(over.call_id, None)
        if self.epoch is not None:
            self._say(framed(over))

    def close(self) -> None:
        """End the connection; nobody is answered any more."""
        self._flush()
        self._is_closed = True
        if self._task is not None:
            self._task.cancel()
        if self._transport is not None:
            self._transport.close()
        for timer in (self._sweeper, self._lazy):
            if timer is not None:
                timer.cancel()
        self._waiting.clear()
        self._watching.clear()

    def _sweep_soon(self) -> None:
        if self._sweeper is None:
            self._sweeper = self._loop.call_later(SWEEP_S, self._sweep)

    def _sweep(self) -> None:
        """Whoever has waited too long waits no more."""
        self._sweeper = None
        now = self._loop.time()
        for call_id in [one for one, (_, _, until) in self._waiting.items() if until <= now]:
            self._too_late(call_id)
        for call_id in [one for one, (_, _, until) in self._watching.items() if until <= now]:
            self._unwatched(call_id)
        if self._waiting or self._watching:
            self._sweep_soon()

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
        if not self._is_closed and (self._task is None or self._task.done()):
            self._task = self._loop.create_task(self._connected())

    async def _connected(self) -> None:
        while self._transport is None:
            try:
                await self._loop.create_unix_connection(lambda: _Connection(self), str(self._path))
            except OSError:
                await asyncio.sleep(RETRY_S)

    def made(self, transport: asyncio.Transport) -> None:
        """The connection stands."""
        if self._is_closed:
            transport.close()
            return
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
            waiting[1](message)
        elif isinstance(message, Granted):
            self._say(framed(Settle(message.call_id, 0)))  # nobody wants it any more

    def _watched(self, message: Passed | Stopped) -> None:
        watching = self._watching.pop(message.call_id, None)
        if watching is not None:
            watching[1](message)
        elif isinstance(message, Passed):
            self._say(framed(Over(message.call_id, was_sent=False)))  # nobody wants it any more

    def _say(self, data: bytes) -> None:
        """Send bytes; several of one turn go together, and what could wait goes with them."""
        if not self._is_flushing:
            self._is_flushing = True
            self._loop.call_soon(self._flush)
        self._out.append(data)

    def _flush_lazy(self) -> None:
        self._lazy = None
        self._flush()

    def _flush(self) -> None:
        self._is_flushing = False
        out, self._out = self._out, []
        if out and self._transport is not None:
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
