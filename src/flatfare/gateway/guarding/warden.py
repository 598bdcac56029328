"""The warden: the part of a node's treasurer that keeps its guards.

It answers from memory. What a subject did before, here or on another node, is looked up in the
book when the subject is first seen; what it does here is written there every second, and every
second what it does elsewhere is read. Alerts are raised with what they tell of.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from flatfare.config import Settings
from flatfare.core.errors import StoreFailure
from flatfare.core.guard import COUNTED, Guard, amount_text, sentence
from flatfare.core.moments import DAY_US
from flatfare.gateway.guarding.tallies import SECOND_US, TALLIES_MAX, Crossing, Tallies
from flatfare.gateway.reserving.messages import Over, Watch, framed
from flatfare.service.alerts.alerting import raise_alert
from flatfare.store import guards
from flatfare.store.alerts import Alert
from flatfare.store.book import Book, open_book
from flatfare.store.guards import Tallied

TICK_S = 0.5
WRITE_ROUNDS = 2
"""What was counted is written every second; what went past a guard is told within half of one."""

FORGET_ROUNDS = 120
LOOK_BACK_US = 10 * SECOND_US
QUIET_US, HIT_KEPT_US = 7 * DAY_US, 90 * DAY_US
"""Who was silent for a week begins anew; who went past a guard is shown for ninety days."""

_log = logging.getLogger("flatfare.gateway")
Say = Callable[[int, bytes], None]


class Warden:
    """Keeps the guards of one node. Make it inside the treasurer's event loop."""

    def __init__(self, settings: Settings, say: Say) -> None:
        self._settings = settings
        self._say = say
        self._loop = asyncio.get_running_loop()
        self._tallies = Tallies()
        self._reading = ThreadPoolExecutor(1, thread_name_prefix="guards")
        self._writing = ThreadPoolExecutor(1, thread_name_prefix="guard-tallies")
        self._read_book: Book | None = None
        self._write_book: Book | None = None
        self._change: object = None
        self._node = ""
        self._waiting: list[tuple[int, Watch]] = []
        self._is_looking = False
        self._is_said = False
        self._tasks: set[asyncio.Task[None]] = set()

    def open(self, node: str) -> None:
        """Begin to look at the guards and to write what is counted; a book that is away holds up nobody."""
        self._node = node
        self._keep(self._tick_regularly())

    async def close(self) -> None:
        """Write what was counted, and end."""
        for task in list(self._tasks):
            task.cancel()
        changes, crossings = self._tallies.take_changes(), self._tallies.take_crossings()
        try:
            await self._loop.run_in_executor(self._writing, self._write, changes, crossings, False)
        except StoreFailure as problem:
            _log.warning("What guards counted last could not be written: %s", problem)
        for thread, book in ((self._reading, self._read_book), (self._writing, self._write_book)):
            if book is not None:
                await self._loop.run_in_executor(thread, book.close)
            thread.shutdown()

    # from workers

    def take(self, owner: int, message: Watch | Over) -> None:
        """A worker asks for a call, or says how one ended."""
        if isinstance(message, Over):
            self._tallies.end(message, _now_us())
        elif self._tallies.unknown(message):
            self._waiting.append((owner, message))
            self._look_up()
        else:
            self._decide(owner, message)

    def left(self, owner: int) -> None:
        """A worker is gone."""
        self._tallies.leave(owner)
        self._waiting = [one for one in self._waiting if one[0] != owner]

    def _decide(self, owner: int, ask: Watch) -> None:
        self._say(owner, framed(self._tallies.decide(owner, ask, _now_us())))

    # from the book

    def _look_up(self) -> None:
        """Ask the book who those are that are not known yet, many at a time."""
        if not self._is_looking:
            self._is_looking = True
            self._keep(self._looked_up())

    async def _looked_up(self) -> None:
        while self._waiting:
            asks, self._waiting = self._waiting, []
            pairs = list(dict.fromkeys(pair for _, ask in asks for pair in self._tallies.unknown(ask)))
            found: dict[str, list[Tallied]] = {}
            try:
                guards_now, found = await self._loop.run_in_executor(self._reading, self._known, pairs)
                self._take_guards(guards_now)
                self._is_said = False
            except StoreFailure as problem:
                self._say_once(problem)
            except Exception:  # noqa: BLE001 - the outermost door of this task: calls wait for their answer
                _log.exception("Guards could not look at the book through a fault of the gateway.")
            self._tallies.learn(pairs, found, self._node)
            for owner, ask in asks:
                self._decide(owner, ask)
        self._is_looking = False

    def _known(
        self, pairs: list[tuple[str, str]]
    ) -> tuple[dict[str, Guard] | None, dict[str, list[Tallied]]]:
        return self._changed_guards(), guards.tallies_of(self._reader(), pairs)

    def _changed_guards(self) -> dict[str, Guard] | None:
        """The guards, if they are others than before. In the thread that reads."""
        book = self._reader()
        number = guards.change_number(book)
        if number == self._change:
            return None
        found = {guard.id: guard for guard in guards.all_of(book)}
        self._change = number
        return found

    def _take_guards(self, found: dict[str, Guard] | None) -> None:
        if found is not None:
            self._tallies.guards = found

    # from time to time

    async def _tick_regularly(self) -> None:
        rounds = 0
        while True:
            await asyncio.sleep(TICK_S)
            rounds += 1
            try:
                await self._tick(rounds)
                self._is_said = False
            except StoreFailure as problem:
                self._say_once(problem)
            except Exception:  # noqa: BLE001 - the outermost door of this task: without it nothing is written
                _log.exception("Guards could not write what they counted.")

    async def _tick(self, rounds: int) -> None:
        others_since = _now_us() - LOOK_BACK_US if rounds % WRITE_ROUNDS == 0 and len(self._tallies) else None
        found, others = await self._loop.run_in_executor(self._reading, self._looked_around, others_since)
        self._take_guards(found)
        self._tallies.hear(others)
        crossings = self._tallies.take_crossings()
        if not crossings and rounds % WRITE_ROUNDS:
            return
        changes = self._tallies.take_changes()
        forgets = rounds % FORGET_ROUNDS == 0 and bool(self._tallies.guards)
        if changes or crossings or forgets:
            try:
                await self._loop.run_in_executor(self._writing, self._write, changes, crossings, forgets)
            except BaseException:
                self._tallies.put_back(changes, crossings)
                raise
        if rounds % FORGET_ROUNDS == 0 or len(self._tallies) > TALLIES_MAX:
            self._tallies.forget_idle(_now_us())

    def _looked_around(self, others_since: int | None) -> tuple[dict[str, Guard] | None, list[Tallied]]:
        found = self._changed_guards()
        if others_since is None:
            return found, []
        return found, guards.changed_since(self._reader(), others_since, self._node)

    def _write(self, changes: list[Tallied], crossings: list[Crossing], forgets: bool) -> None:
        if not changes and not crossings and not forgets:
            return
        if self._write_book is None:
            self._write_book = open_book(self._settings.database, create=False)
        book = self._write_book
        with book.writing():
            guards.put_tallies(book, self._node, changes)
            for crossing in crossings:
                raise_alert(book, alert_of(crossing), self._settings)
            if forgets:
                now_us = _now_us()
                guards.forget_tallies(book, now_us - QUIET_US, now_us - HIT_KEPT_US)

    def _reader(self) -> Book:
        if self._read_book is None:
            self._read_book = open_book(self._settings.database, create=False)
        return self._read_book

    def _say_once(self, problem: StoreFailure) -> None:
        if not self._is_said:
            self._is_said = True
            _log.warning("Guards cannot look at the book: %s They count on from what is known.", problem)

    def _keep(self, work: "asyncio._CoroutineLike[None]") -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def alert_of(crossing: Crossing) -> Alert:
    """What somebody is told of a subject that went past a guard."""
    guard, ask = crossing.guard, crossing.ask
    content = {
        "guard": guard.name,
        "kind": guard.kind,
        "scope": str(guard.scope),
        "per": guard.per,
        "subject": crossing.subject,
        "action": guard.action,
        "value": amount_text(guard, crossing.value),
        "limit": amount_text(guard, guard.limit),
        "last_call": ask.call_id,
        "top": [{"key": ask.key_id or "", "model": ask.model or ""}],
        "see": f"flatfare guards show {guard.name}",
    }
    # A count goes past its limit once, on whichever node; how somebody behaves may get worse again.
    which = guard.limit if guard.kind in COUNTED else crossing.at_us
    said = sentence(guard, crossing.subject, crossing.value, ask.model or "")
    alert_id = f"{guard.id} {which} {crossing.subject}"
    return Alert(alert_id, "guard.crossed", guard.name, said, content, crossing.at_us)


def _now_us() -> int:
    return time.time_ns() // 1000
