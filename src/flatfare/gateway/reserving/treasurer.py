"""The treasurer: one process of a node that holds what its workers' calls may cost, against every budget.

It leases from the book in a thread, and answers from memory; nearly spent budgets are leased
call by call, so that nothing lies idle here that another node could use. It may be killed at
any moment: what it had leased stays leased until everything sent under it is booked.
"""

import asyncio
import fcntl
import hashlib
import logging
import os
import stat
import tempfile
import time
import uuid
from collections import deque
from collections.abc import Iterable, Mapping, Set
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import cast

import msgspec

from flatfare.config import Settings
from flatfare.core import identity
from flatfare.core.budget import Allowance, Budget
from flatfare.core.errors import StoreFailure
from flatfare.gateway.folders import is_alive, journal_folder, log_file, log_numbers, node_id, workers
from flatfare.gateway.guarding.warden import Warden
from flatfare.gateway.reserving.messages import (
    Frames,
    Over,
    Reserve,
    Settle,
    Watch,
    Welcome,
    framed,
    of_worker,
)
from flatfare.gateway.reserving.purses import Purses
from flatfare.store import budgets, journals, newest
from flatfare.store.book import Book, open_book
from flatfare.store.durable import make_folder
from flatfare.store.lake import Lake

TICK_S = 0.1
NOTICE_ROUNDS = 5
"""After so many rounds it is seen whether any budget was changed: as soon as workers see it."""

IDLE_ROUNDS = 50
"""After so many rounds, what nobody uses goes back to the book."""

AHEAD_CALLS, AHEAD_CALLS_MAX = 50, 50_000
"""For how many calls is leased ahead: at first, and where they are used up within a second."""

AHEAD = 20
"""A budget with more left than so many times what is wanted is leased ahead; one with less, call by call."""

_CLAIM = ".treasurer"
_Question = tuple[str, int, list[tuple[int, int]]]
"""An allowance, what is free of it here, and the least and wanted amounts of those that wait."""

_log = logging.getLogger("flatfare.gateway")


class Treasurer:
    """Serves the workers of one node. Make it inside its running event loop."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.epoch = uuid.uuid4().hex
        self.purses = Purses()
        self.warden = Warden(settings, self._say)
        self.clients: dict[int, _Client] = {}
        self._next = 0
        self._loop = asyncio.get_running_loop()
        self._folder = journal_folder(settings)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="leases")
        self._book: Book | None = None
        self._budgets: dict[str, Budget] = {}
        self._change: object = None
        self._altered: deque[str] = deque()  # budgets whose terms have changed, from the thread of the book
        self._shrinks_us: int | None = None  # when the next top-up or override expires
        self._node = ""
        self._orphans: dict[str, str] = {}  # call id → the worker that has died
        self._pace: dict[str, tuple[float, int]] = {}  # when each was leased last, and for how many calls
        self._is_asking = False
        self._is_said = False
        self.is_ending = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.AbstractServer | None = None

    async def serve(self) -> None:
        """Begin to serve the node's workers; the claim must be held."""
        self._node = await self._loop.run_in_executor(None, node_id, self._folder)
        self.warden.open(self._node)
        path = socket_path(self._folder)
        path.unlink(missing_ok=True)
        self._server = await self._loop.create_unix_server(lambda: _Client(self), str(path))
        self._keep(self._tick_regularly())

    async def close(self) -> None:
        """Give back what is not used, and end."""
        self.is_ending = True
        for task in list(self._tasks):
            task.cancel()
        if self._server is not None:
            self._server.close()
        for client in list(self.clients.values()):
            client.close()
        idle = [(name, purse.free_nano) for name, purse in self.purses.purses.items() if purse.free_nano > 0]
        await self._loop.run_in_executor(self._thread, self._give_back_at_end, idle)
        self._thread.shutdown()
        await self.warden.close()

    # from workers

    def joined(self, client: "_Client") -> int:
        """A worker has come; the number by which it is known."""
        self._next += 1
        self.clients[self._next] = client
        return self._next

    def left(self, client: "_Client") -> None:
        """A worker is gone: what it holds stays held until the book says what became of it."""
        self.clients.pop(client.number, None)
        self.warden.left(client.number)
        for call_id in self.purses.leave(client.number):
            self._orphans[call_id] = client.worker_id

    def take(self, client: "_Client", body: bytes) -> None:
        """A message of a worker."""
        message = of_worker(body)
        if isinstance(message, Reserve):
            if self._shrinks_us is not None and time.time_ns() // 1000 >= self._shrinks_us:
                self._recall_expired()
            until = self._loop.time() + message.queue_ms / 1000
            granted = self.purses.reserve(client.number, message, until)
            if granted is not None:
                client.say(framed(granted))
                if not self._is_asking and self.purses.are_low(message.allowance_ids):
                    self._ask_book()
            else:
                self._ask_book()
        elif isinstance(message, Settle):
            self.purses.settle(message.call_id, message.cost_nano, message.needed_nano)
            if self.purses.waiting:
                self._serve_waiting()
                self._ask_book()
        elif isinstance(message, Watch | Over):
            self.warden.take(client.number, message)
        else:
            client.worker_id = message.worker_id
            client.say(framed(Welcome(self.epoch)))

    def _serve_waiting(self) -> None:
        for owner, granted in self.purses.serve_waiting():
            self._say(owner, framed(granted))

    def _say(self, owner: int, data: bytes) -> None:
        client = self.clients.get(owner)
        if client is not None:
            client.say(data)

    # from the book

    def _ask_book(self) -> None:
        """Ask the book for what is needed, one question at a time."""
        if not self._is_asking and not self.is_ending:
            needs = self.purses.needs()
            if needs:
                self._is_asking = True
                self._keep(self._lease(needs))

    async def _lease(self, needs: Mapping[str, list[tuple[str, int, int]]]) -> None:
        calls = {name: [call_id for call_id, _, _ in wanted] for name, wanted in needs.items()}
        asked = [
            (name, self.purses.purses[name].free_nano, [(least, most) for _, least, most in wanted])
            for name, wanted in needs.items()
        ]
        try:
            found = await self._loop.run_in_executor(self._thread, self._lease_in_book, asked)
        except StoreFailure as problem:
            self._say_once(f"Budgets cannot be asked: {problem} What was leased before is still served.")
            for name, _, _ in asked:
                self.purses.leased(name, 0, 0, 0, calls[name], is_away=True)
        except Exception:  # noqa: BLE001 - the outermost door of this task: else nothing would be leased again
            _log.exception("Budgets could not be asked through a fault of the gateway.")
            for name, _, _ in asked:
                self.purses.leased(name, 0, 0, 0, calls[name], is_away=True)
        else:
            self._is_said = False
            for name, nano, limit_nano, left_nano in found:
                self.purses.leased(name, nano, limit_nano, left_nano, calls[name])
            self._recall_altered()
        self._is_asking = False
        self._serve_waiting()
        self._refuse_late()
        self._ask_book()

    def _lease_in_book(self, asked: list[_Question]) -> list[tuple[str, int, int, int]]:
        """For each allowance: what was leased, its limit, and what else is left."""
        book = self._opened()
        now_us = time.time_ns() // 1000
        found = []
        with book.writing():
            known = self._known(book)
            for name, free_nano, amounts in asked:
                allowance = Allowance.of(name)
                budget = known.get(allowance.budget_id)
                limit = None if budget is None else budget.hard_limit_nano(now_us, allowance.subject)
                if budget is None or limit is None:  # removed, or made soft, meanwhile
                    total = sum(wanted for _, wanted in amounts)
                    found.append((name, total, total, 0))
                    continue
                standing = budgets.standing(book, budget, allowance.subject, allowance.begins_us)
                left = limit - standing.spent_nano - standing.leased_nano
                nano = portion(left, free_nano, amounts, self._calls_ahead(name))
                if nano > 0:
                    ends_us = budget.window.span(allowance.begins_us)[1]
                    budgets.lease(book, allowance, ends_us, self.epoch, self._node, nano)
                elif standing.leased_nano:
                    budgets.want(book, allowance, now_us)
                found.append((name, max(0, nano), limit, max(0, left - max(0, nano))))
        return found

    def _calls_ahead(self, name: str) -> int:
        """For how many calls to lease ahead: more, the sooner the last lease was used up."""
        now = time.monotonic()
        at, calls = self._pace.get(name, (0.0, AHEAD_CALLS))
        calls = min(calls * 4, AHEAD_CALLS_MAX) if now - at < 1.0 else max(calls // 2, AHEAD_CALLS)
        if len(self._pace) > 10_000:
            self._pace.clear()
        self._pace[name] = (now, calls)
        return calls

    def _opened(self) -> Book:
        if self._book is None:
            self._book = open_book(self.settings.database, create=False)
        return self._book

    def _known(self, book: Book) -> dict[str, Budget]:
        number = budgets.change_number(book)
        if number != self._change:
            found = {budget.id: budget for budget in budgets.all_of(book)}
            self._altered.extend(name for name, before in self._budgets.items() if found.get(name) != before)
            self._budgets, self._change = found, number
            self._shrinks_us = _next_expiry(found.values(), time.time_ns() // 1000)
        return self._budgets

    # what was leased under other terms

    def _notice(self) -> None:
        """See whether any budget's terms have changed. In the thread of the book."""
        self._known(self._opened())

    def _recall_altered(self) -> None:
        """Under other terms less may be left: nothing that was leased before is served without asking."""
        altered = set()
        while self._altered:
            altered.add(self._altered.popleft())
        if altered:
            self._recall(altered)

    def _recall_expired(self) -> None:
        """From the moment on at which a top-up expires, nothing is served that was leased with it."""
        now_us = time.time_ns() // 1000
        held = self._budgets.values()
        expired = {budget.id for budget in held for more in budget.top_ups if (more.until_us or 0) <= now_us}
        self._shrinks_us = _next_expiry(held, now_us)
        self._recall(expired)

    def _recall(self, budget_ids: Set[str]) -> None:
        back = {}
        for name, purse in self.purses.purses.items():
            if Allowance.of(name).budget_id in budget_ids:
                nano = self.purses.recalled(purse)
                if nano:
                    back[name] = nano
        if back:
            self._keep(self._bring_back(back))

    async def _bring_back(self, back: Mapping[str, int]) -> None:
        try:
            await self._loop.run_in_executor(self._thread, self._give_back, back)
        except StoreFailure as problem:
            self._say_once(f"What budgets leased stays leased until the next start: {problem}")

    # from time to time

    async def _tick_regularly(self) -> None:
        rounds = 0
        while True:
            await asyncio.sleep(TICK_S)
            rounds += 1
            self.purses.look_again()
            self._refuse_late()
            self._ask_book()
            try:
                if rounds % NOTICE_ROUNDS == 0 and self.purses.purses:
                    await self._loop.run_in_executor(self._thread, self._notice)
                    self._recall_altered()
                await self._look_at_book(rounds)
                self._is_said = False
            except StoreFailure as problem:
                self._say_once(f"Budgets cannot be asked: {problem} What was leased before is still served.")
            except Exception:  # noqa: BLE001 - the outermost door of this task: without it nothing is given back
                _log.exception("The treasurer could not look at the book.")

    async def _look_at_book(self, rounds: int) -> None:
        orphans = dict(self._orphans)
        idle = dict(self.purses.idle())
        is_long = rounds % IDLE_ROUNDS == 0
        if not orphans and not idle and not is_long:
            return
        here = {client.worker_id for client in self.clients.values() if client.worker_id}
        looks_back = is_long or rounds < IDLE_ROUNDS
        ended, wanted = await self._loop.run_in_executor(
            self._thread, self._looked_at, orphans, bool(idle), here if looks_back else None
        )
        for call_id, cost_nano in ended:
            self.purses.settle(call_id, cost_nano)
            self._orphans.pop(call_id, None)
        back = {}
        for name, nano in self.purses.idle():
            is_unused = is_long and not self.purses.purses[name].is_in_use
            if (is_unused or name in wanted) and idle.get(name):
                back[name] = min(nano, idle[name])
                self.purses.given_back(name, back[name])  # first here: it cannot be used any more
        if back:
            await self._loop.run_in_executor(self._thread, self._give_back, back)
        if is_long:
            self.purses.rest()
            self.purses.forget_unused()
        self._serve_waiting()

    def _looked_at(
        self, orphans: dict[str, str], asks_wanted: bool, here: set[str] | None
    ) -> tuple[list[tuple[str, int | None]], set[str]]:
        """What became of calls of the dead, and which allowances others want. In the thread of the book."""
        book = self._opened()
        ended = self._ended_of(book, orphans)
        now_us = time.time_ns() // 1000
        wanted = budgets.wanted_since(book, now_us - 2_000_000) if asks_wanted else set()
        if here is not None:
            self._end_former_epochs(book, here)
        return ended, wanted

    def _ended_of(self, book: Book, orphans: dict[str, str]) -> list[tuple[str, int | None]]:
        """What calls of the dead have cost, those of which it is known by now."""
        # Looked at first: what nothing is left of here was booked before, and may be sealed since.
        gone = [
            call_id
            for call_id, worker_id in orphans.items()
            if not (self._folder / worker_id).exists() and not journals.is_open(book, call_id)
        ]
        booked = newest.hot(book, list(orphans))
        near_us = {call_id: identity.moment_of(call_id) for call_id in gone if call_id not in booked}
        booked |= newest.present(book, Lake(self.settings.lake), near_us)
        costs = {call_id: row["cost_nano"] for call_id, row in booked.items()}
        ended = [(call_id, None if cost is None else int(str(cost))) for call_id, cost in costs.items()]
        # the intent of the others was never kept: nothing was sent
        return ended + [(call_id, 0) for call_id in near_us if call_id not in booked]

    def _end_former_epochs(self, book: Book, here: set[str]) -> None:
        """Give back what treasurers before this one had leased, once all sent under them is booked."""
        former = budgets.epochs_of(book, self._node) - {self.epoch}
        if not former:
            return
        found = workers(self._folder)
        if any(is_alive(worker) and worker.name not in here for worker in found):
            return  # it may still hold a grant
        ends = {worker.name: _end_of(worker) for worker in found}
        with book.writing():
            places = journals.positions(book)
            if any(places.get(name, (1, 0)) < end for name, end in ends.items()):
                return
            still = {str(intent) for _, _, intent in journals.open_calls(book)}
            for epoch in former:
                if not any(epoch in intent for intent in still):
                    budgets.end_epoch(book, epoch)

    def _give_back(self, back: Mapping[str, int]) -> None:
        book = self._opened()
        with book.writing():
            for name, nano in back.items():
                budgets.give_back(book, Allowance.of(name), self.epoch, nano)

    def _give_back_at_end(self, idle: list[tuple[str, int]]) -> None:
        try:
            if idle:
                self._give_back(dict(idle))
        except StoreFailure as problem:
            _log.warning("What budgets leased stays leased until the next start: %s", problem)
        if self._book is not None:
            self._book.close()

    def _refuse_late(self) -> None:
        for owner, refused in self.purses.refuse_late(self._loop.time()):
            self._say(owner, framed(refused))

    def _say_once(self, text: str) -> None:
        if not self._is_said:
            self._is_said = True
            _log.warning("%s", text)

    def _keep(self, work: "asyncio._CoroutineLike[None]") -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _next_expiry(held: Iterable[Budget], now_us: int) -> int | None:
    """When the next of their top-ups and overrides expires."""
    ends = (more.until_us for budget in held for more in budget.top_ups)
    return min((end for end in ends if end is not None and end > now_us), default=None)


def portion(left_nano: int, free_nano: int, amounts: list[tuple[int, int]], calls: int = 50) -> int:
    """How much to lease for those that wait, each with the least that does and what is wanted, in order.

    >>> portion(100, 0, [(10, 10)] * 3), portion(25, 0, [(10, 10)] * 3), portion(10_000, 0, [(10, 10)])
    (30, 20, 510)
    >>> portion(25, 5, [(10, 40)])  # the one that can do with less gets what there is
    25
    """
    there = rest = max(0, left_nano) + free_nano
    for least, wanted in amounts:
        if rest >= wanted:
            rest -= wanted
        elif rest >= least:
            rest = 0
        else:
            break
    nano = max(0, there - rest - free_nano)
    if nano and left_nano >= AHEAD * nano:
        nano += min(left_nano // 8, calls * nano)
    return min(nano, max(0, left_nano))


class _Client(asyncio.Protocol):
    """A worker's connection."""

    def __init__(self, treasurer: Treasurer) -> None:
        self._treasurer = treasurer
        self._frames = Frames()
        self._transport: asyncio.Transport | None = None
        self._out: list[bytes] = []
        self.number = 0
        self.worker_id = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self.number = self._treasurer.joined(self)
        if self._treasurer.is_ending:  # it came between the last look at who is there and the end
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        try:
            for body in self._frames.feed(data):
                self._treasurer.take(self, body)
        except (ValueError, msgspec.MsgspecError) as problem:
            _log.error("A worker said what the treasurer does not understand: %s", problem)
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._treasurer.left(self)

    def say(self, data: bytes) -> None:
        """Send bytes; several of one turn go together."""
        if not self._out:
            asyncio.get_running_loop().call_soon(self._flush)
        self._out.append(data)

    def close(self) -> None:
        """End the connection."""
        if self._transport is not None:
            self._transport.close()

    def _flush(self) -> None:
        out, self._out = self._out, []
        if self._transport is not None:
            self._transport.write(b"".join(out))


def socket_path(folder: Path) -> Path:
    """Where the treasurer of these journals is reached: in a folder that is this user's alone.

    Not beside the journals: the address of such a socket is short.
    """
    place = Path(tempfile.gettempdir()) / f"flatfare-{os.getuid()}"
    try:
        place.mkdir(mode=0o700, exist_ok=True)
        found = place.lstat()
    except OSError as problem:
        raise StoreFailure(f"The folder {place} cannot be made: {problem.strerror or problem}.") from problem
    if found.st_uid != os.getuid() or not stat.S_ISDIR(found.st_mode) or found.st_mode & 0o077:
        raise StoreFailure(f"The folder {place} is not this user's alone: remove it, or set TMPDIR.")
    return place / f"{hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:24]}.sock"


def claimed(folder: Path) -> int | None:
    """Be the node's only treasurer: the handle that is the claim; None where another has it."""
    try:
        make_folder(folder)
        handle = os.open(folder / _CLAIM, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as problem:
        raise StoreFailure(f"The journals' folder {folder} cannot be made: {problem.strerror}.") from problem
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    return handle


def _end_of(worker: Path) -> tuple[int, int]:
    """How far a worker has written: its last file and that file's size."""
    try:
        number = max(log_numbers(worker), default=1)
        return number, log_file(worker, number).stat().st_size
    except FileNotFoundError:
        return 0, 0
