"""Delivery: segments go to the server as they come, and to the spool's keeping where it does not take them.

A segment leaves the disk only once the server has answered for all of it.
"""

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from flatfare_sdk.answers import Backoff, Refusal, Unsent
from flatfare_sdk.guarding import problem_text, warn_once
from flatfare_sdk.settings import Settings
from flatfare_sdk.spool import Segment, Spool

if TYPE_CHECKING:
    from flatfare_sdk.sender import Connection

BATCH_COUNT_MAX = 5_000
BATCH_BYTES_MAX = 2 * 1024 * 1024
READY_MAX = 8  # segments waiting in memory for a slow server; more wait in the spool
MEMORY_READY_MAX = 256  # and so many where there is no spool
HELD_BYTES_MAX = 16 * 1024 * 1024  # where there is no spool to wait in
LOOK_S = 30.0  # how often the spool is looked through for what other processes left
REFUSED = "refused.log"  # not a segment: what is in it is not sent again


class Mark:
    """A place in the order of events that somebody waits for."""

    __slots__ = ("is_kept", "is_sent", "is_to_be_sent", "kept", "reached")

    def __init__(self, is_to_be_sent: bool) -> None:
        self.is_to_be_sent = is_to_be_sent
        self.kept = threading.Event()  # what came before is in the spool
        self.reached = threading.Event()  # what came before was sent, or tried
        self.is_kept = False
        self.is_sent = False


class Delivery:
    """Takes segments to the server, one after another, in a thread of its own."""

    def __init__(self, settings: Settings, spool: Spool, on_waiting: Callable[[], None]) -> None:
        self._settings = settings
        self._spool = spool
        self._on_waiting = on_waiting
        self._ready: deque[Segment | Mark] = deque()
        self._held: deque[Segment] = deque()  # not sent, and no file to lie in
        self._bell = threading.Lock()
        self._bell.acquire()
        self._backoff = Backoff()
        self._connection: Connection | None = None
        self._next_look = 0.0
        self._is_stopping = False
        self._is_waiting = False
        self._current: Segment | None = None  # being sent
        self._left: set[str] = set()  # files of this process that were not sent
        self._thread: threading.Thread | None = None
        self.sent = 0
        self.refused = 0
        self.lost = 0

    @property
    def wants_more(self) -> bool:
        """A segment given now would be sent at once."""
        return self._is_waiting and self._backoff.is_up and not self._ready

    def start(self) -> None:
        """Begin, in the background."""
        self._thread = threading.Thread(target=self._run, name="flatfare-delivery", daemon=True)
        self._thread.start()

    def give(self, one: Segment | Mark) -> None:
        """Have a segment sent; where too many wait already, its file waits instead."""
        if isinstance(one, Segment) and len(self._ready) >= READY_MAX:
            if one.path is not None:
                self._leave(one, one.path)
                return
            if len(self._ready) >= MEMORY_READY_MAX:
                self._lose(one.count)
                return
        self._ready.append(one)
        self.ring()

    def hurry(self) -> None:
        """Try again now, however lately it failed."""
        self._backoff.next_try = 0.0
        self.ring()

    def ring(self) -> None:
        """Wake the thread. Takes no lock: safe wherever it is called from."""
        with suppress(RuntimeError):  # it has been rung already
            self._bell.release()

    def stop(self, until: float) -> None:
        """Send what has been given, as far as that is done by ``until``; the rest stays in the spool."""
        self._is_stopping = True
        self.ring()
        if self._thread is not None:
            self._thread.join(max(0.0, until - time.monotonic()))

    def after_fork(self) -> None:
        """In a child: let go of the parent's files and connection; they are its to deliver."""
        for one in (*self._ready, *self._held, self._current):
            if isinstance(one, Segment):
                one.release()
        if self._connection is not None:
            with suppress(Exception):  # whatever state it was in when the process was copied
                self._connection.close()

    def _run(self) -> None:
        while self._ready or not self._is_stopping:
            self._turn_safely()
        self._lose_held()
        if self._connection is not None:
            self._connection.close()

    def _turn_safely(self) -> None:
        try:
            self._turn()
        except Exception as problem:  # noqa: BLE001 - the outermost door: the next turn may do better
            warn_once("delivery", f"flatfare: sending events failed: {problem_text(problem)}")
            self._fail(0.0)

    def _turn(self) -> None:
        """Do what is to be done now, or wait for it."""
        now = time.monotonic()
        due = self._next_look if self._backoff.is_up and not self._held else self._backoff.next_try
        if self._ready:
            self._deliver_next()
        elif now >= due:
            self._catch_up(now)
        else:
            is_anything_due = not self._backoff.is_up or self._held or self._spool.has_files()
            self._is_waiting = True
            if self._backoff.is_up:
                self._on_waiting()
            self._bell.acquire(timeout=due - now if is_anything_due else -1)
            self._is_waiting = False

    def _deliver_next(self) -> None:
        one = self._ready.popleft()
        if isinstance(one, Mark):
            one.is_sent = self._is_all_sent()
            one.reached.set()
        elif time.monotonic() < self._backoff.next_try or not self._deliver(one):
            self._keep(one)

    def _is_all_sent(self) -> bool:
        """Whether all that this process recorded before has been sent, after trying what was left."""
        while (self._held or self._left) and self._catch_up(time.monotonic()):
            self._left = {path for path in self._left if os.path.exists(path)}
        return not self._held and not self._left

    def _catch_up(self, now: float) -> bool:
        """Send what was left before, by this process or another; whether there is more of it."""
        if not self._backoff.is_up and not self._reach():
            return False
        segment = self._held.popleft() if self._held else self._spool.take_orphan()
        if segment is None:
            self._backoff.succeeded()
            self._next_look = now + LOOK_S
            return False
        if self._deliver(segment):
            return True
        self._keep(segment)
        return False

    def _reach(self) -> bool:
        """The server can be connected to."""
        try:
            self._connected().reach()
        except Unsent as problem:
            self._fail(problem.after_s)
            return False
        return True

    def _deliver(self, segment: Segment) -> bool:
        """Send all of a segment; whether the server answered for it."""
        self._current = segment
        try:
            for batch in batches(segment.lines):
                refused = self._connected().send(batch)
                self._set_aside(refused)
                self.sent += len(batch) - len(refused)
            segment.remove()
        except Exception as problem:  # noqa: BLE001 - an outermost door: not sent for whatever reason is not sent
            self._say_why(problem, segment)
            self._fail(problem.after_s if isinstance(problem, Unsent) else 0.0)
            return False
        self._current = None
        self._backoff.succeeded()
        if segment.path is not None:
            self._left.discard(segment.path)
        return True

    def _say_why(self, problem: Exception, segment: Segment) -> None:
        why = str(problem) if isinstance(problem, Unsent) else problem_text(problem)
        where = f"they are kept in {self._settings.folder}" if segment.path else "they wait in memory"
        warn_once(f"unsent {why}", f"flatfare: events are not taken by {self._settings.url} ({why}); {where}")

    def _connected(self) -> "Connection":
        if self._connection is None:
            from flatfare_sdk.sender import Connection  # http.client takes longer to load than all the rest

            self._connection = Connection(self._settings.url, self._settings.key)
        return self._connection

    def _fail(self, after_s: float) -> None:
        self._backoff.failed(time.monotonic(), after_s)

    def _keep(self, segment: Segment) -> None:
        """Leave what was not sent for later: in its file, or in memory as far as that goes."""
        if segment.path is not None:
            self._leave(segment, segment.path)
            return
        self._held.append(segment)
        while sum(one.size for one in self._held) > HELD_BYTES_MAX:
            self._lose(self._held.popleft().count)

    def _leave(self, segment: Segment, path: str) -> None:
        self._left.add(path)
        segment.release()

    def _lose(self, count: int) -> None:
        self.lost += count
        warn_once("lost", "flatfare: events are lost: no server takes them and they cannot be spooled")

    def _lose_held(self) -> None:
        """At the end, what has no file and no server is lost, and counted."""
        while self._held:
            self._lose(self._held.popleft().count)

    def _set_aside(self, refused: list[Refusal]) -> None:
        for refusal in refused:
            self.refused += 1
            warn_once(f"refused {refusal.reason[:60]}", f"flatfare: an event was refused: {refusal.reason}")
        if refused:
            with suppress(OSError):
                _note(os.path.join(self._settings.folder, REFUSED), [one.line for one in refused])


def _note(path: str, lines: list[bytes]) -> None:
    """Write refused events where a person finds them; so many that nobody reads them are not written."""
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    try:
        if os.fstat(descriptor).st_size < BATCH_BYTES_MAX:
            os.write(descriptor, b"".join(line.rstrip(b"\n") + b"\n" for line in lines))
    finally:
        os.close(descriptor)


def batches(lines: list[bytes]) -> Iterator[list[bytes]]:
    """The lines in portions that a server takes at once.

    No line is looked at alone: the threads of the host wait while this one computes.
    """
    for start in range(0, len(lines), BATCH_COUNT_MAX):
        yield from _small_enough(lines[start : start + BATCH_COUNT_MAX])


def _small_enough(lines: list[bytes]) -> Iterator[list[bytes]]:
    if len(lines) == 1 or sum(map(len, lines)) <= BATCH_BYTES_MAX:
        yield lines
        return
    middle = len(lines) // 2
    yield from _small_enough(lines[:middle])
    yield from _small_enough(lines[middle:])
