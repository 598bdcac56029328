"""The recorder: takes events from the host without a wait, and puts them into the spool in the background.

Every ``COMMIT_S`` what has come is written to the spool at once (group commit); a process that
is killed loses no more than came after the last time. The caller's part is to append to a queue:
it takes no lock, makes no system call but to wake an idle thread, and never waits.
"""

import atexit
import os
import sys
import threading
import time
from collections import deque
from contextlib import suppress
from typing import NamedTuple

from flatfare_sdk.delivery import Delivery, Mark
from flatfare_sdk.guarding import problem_text, warn_once
from flatfare_sdk.settings import Settings, settings
from flatfare_sdk.spool import Segment, Spool

COMMIT_S = 0.05
SEND_S = 0.5  # events of this long go together: each batch takes turns from the host's threads
SEGMENT_BYTES_MAX = 4 * 1024 * 1024
SENT_BYTES = 2 * 1024 * 1024  # or of this much
QUEUE_MAX = 100_000  # events that wait for the background thread; more are lost, and counted


class Status(NamedTuple):
    """What became of the events of this process so far, in numbers."""

    waiting: int  # not yet in the spool
    spooled: int  # have been written to the spool
    sent: int  # taken by the server, others' that were left in the spool included
    refused: int  # by the server, for good
    lost: int  # for want of room


class Recorder:
    """Events of this process on their way to one server."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._spool = Spool(settings.folder, settings.spool_bytes_max)
        self._begin()

    def _begin(self) -> None:
        """Have nothing under way; also how a forked child starts."""
        self._queue: deque[bytes] = deque()
        self._marks: deque[Mark] = deque()
        self._bell = threading.Lock()
        self._bell.acquire()
        self._starting = threading.RLock()
        self._is_idle = True
        self._is_running = False
        self._is_closed = False
        self._next_commit = 0.0  # by the monotonic clock
        self._segment: Segment | None = None
        self._delivery = Delivery(self.settings, self._spool, on_waiting=self._ring)
        self._thread: threading.Thread | None = None
        self._spooled = 0
        self._lost = 0

    def put(self, line: bytes) -> None:
        """Record an event."""
        if not self.settings.is_on:
            return
        if len(self._queue) >= QUEUE_MAX:
            self._lose(1, "they come faster than they can be written")
            return
        self._queue.append(line)
        if self._is_idle:
            self._wake()
            self._is_idle = False

    def _wake(self) -> None:
        if not self._is_running:
            self._start()
        self._ring()

    def _ring(self) -> None:
        """Wake the thread. Takes no lock: safe in a signal's handler, and in one that interrupts this."""
        with suppress(RuntimeError):  # it has been rung already
            self._bell.release()

    def _start(self) -> None:
        """Begin in the background; where no thread can be had any more, do it here."""
        with self._starting:
            if self._is_running:
                return
            self._is_running = not self._is_closed  # a signal's handler may come by here once more
            if self._is_running and self._has_begun():
                return
            self._is_running = False
            self._commit()
            self._seal()

    def _has_begun(self) -> bool:
        """Start the threads; whether they could be."""
        try:
            self._delivery.start()
            self._thread = threading.Thread(target=self._run, name="flatfare-recorder", daemon=True)
            self._thread.start()
        except RuntimeError:  # the interpreter is shutting down
            return False
        _at_exit_of_a_worker(self)
        return True

    def _run(self) -> None:
        while not self._is_closed:
            self._turn_safely()

    def _turn_safely(self) -> None:
        try:
            self._turn()
        except Exception as problem:  # noqa: BLE001 - the outermost door: the next turn may do better
            warn_once("recorder", f"flatfare: keeping events failed: {problem_text(problem)}")
            time.sleep(COMMIT_S)

    def _turn(self) -> None:
        """Wait for something to do, and do it: the first event at once, then group after group."""
        self._is_idle = not self._queue
        if self._is_idle and not self._queue:
            self._bell.acquire(timeout=self._rest())
        self._is_idle = False
        pause = self._next_commit - time.monotonic()
        if self._queue and pause > 0 and not self._marks and not self._is_closed:
            self._bell.acquire(timeout=pause)
        if self._queue or self._marks:
            self._next_commit = time.monotonic() + COMMIT_S
        self._commit()
        self._seal_if_due()

    def _rest(self) -> float:
        """How long there is nothing to do unless something comes, in seconds; -1 is for ever."""
        if self._segment is None or not self._delivery.wants_more:
            return -1  # the delivery rings when it wants more
        return max(0.001, self._segment.since + SEND_S - time.monotonic())

    def _commit(self) -> None:
        """Put what has come into the spool; then those who wait for that may go on."""
        marks = [self._marks.popleft() for _ in range(len(self._marks))]
        lines = [self._queue.popleft() for _ in range(len(self._queue))]
        is_kept = self._keep(lines) if lines else True
        if marks and self._segment is not None:
            self._segment.sync()
        if any(mark.is_to_be_sent for mark in marks):
            self._seal()
        for mark in marks:
            mark.is_kept = is_kept
            mark.kept.set()
            if mark.is_to_be_sent:
                self._delivery.give(mark)

    def _keep(self, lines: list[bytes]) -> bool:
        """Add to the segment, or to one in memory where there can be none on disk; whether on disk."""
        try:
            if self._segment is None:
                self._segment = self._spool.new_segment()
            self._segment.append(lines)
        except OSError as problem:
            warn_once("spool", f"flatfare: no spool in {self.settings.folder}: {problem_text(problem)}")
            self._seal()
            in_memory = Segment(None, None, [])
            in_memory.append(lines)
            self._delivery.give(in_memory)
            return False
        self._spooled += len(lines)
        return True

    def _seal_if_due(self) -> None:
        segment = self._segment
        if segment is None:
            return
        age = time.monotonic() - segment.since
        if segment.size >= SEGMENT_BYTES_MAX or (
            self._delivery.wants_more and (age >= SEND_S or segment.size >= SENT_BYTES)
        ):
            self._seal()

    def _seal(self) -> None:
        """Give what stands in the segment to be delivered; the next event begins another."""
        if self._segment is not None:
            segment, self._segment = self._segment, None
            self._delivery.give(segment)

    def _lose(self, count: int, why: str) -> None:
        with self._starting:
            self._lost += count
        warn_once(f"lost: {why}", f"flatfare: events are lost, see flatfare_sdk.status().lost: {why}")

    def flush(self, timeout: float, *, sent: bool) -> bool:
        """Wait until what was recorded before is in the spool, or ``sent``; whether it was so in time."""
        mark = Mark(sent)
        until = time.monotonic() + timeout
        if sent:
            self._delivery.hurry()
        self._marks.append(mark)
        self._wake()
        mark.kept.wait(timeout)
        if not sent:
            return mark.is_kept
        mark.reached.wait(max(0.0, until - time.monotonic()))
        return mark.is_sent

    def close(self, timeout: float) -> None:
        """Keep all that has come, and send it as far as ``timeout`` seconds go; afterwards nothing runs."""
        until = time.monotonic() + timeout
        self._is_closed = True
        self._ring()
        if self._thread is not None:
            self._thread.join(max(0.1, timeout))
            if self._thread.is_alive():  # a disk that does not answer; it has the queue in its hands
                return
        self._is_running, self._is_idle = False, True
        self._commit()
        self._seal()
        self._delivery.stop(until)

    def after_fork(self) -> None:
        """In a child: what is under way is its parent's; begin anew with nothing."""
        self._delivery.after_fork()
        if self._segment is not None:
            self._segment.release()
        self._begin()

    def status(self) -> Status:
        """What became of the events so far."""
        sent, refused, lost = self._delivery.sent, self._delivery.refused, self._delivery.lost
        return Status(len(self._queue), self._spooled, sent, refused, lost + self._lost)


def _at_exit_of_a_worker(recorder: Recorder) -> None:
    """A child of ``multiprocessing`` ends without ``atexit``; it has a list of its own."""
    processes, util = map(sys.modules.get, ("multiprocessing.process", "multiprocessing.util"))
    if processes is not None and util is not None and processes.parent_process() is not None:
        util.Finalize(None, recorder.close, args=(recorder.settings.exit_s,), exitpriority=1)


class Process:
    """This process: its recorder, and what is to be done when it forks or ends."""

    def __init__(self) -> None:
        self.generation = 0  # how often it is a forked copy: what a parent opened, its child does not close
        self._recorder: Recorder | None = None
        self._making = threading.RLock()
        self._is_watched = False

    def recorder(self) -> Recorder:
        """The recorder of this process, made at its first use."""
        found = self._recorder
        return found if found is not None else self._made()

    def _made(self) -> Recorder:
        with self._making:
            if self._recorder is None:
                self.record_by(settings(os.environ))
            assert self._recorder is not None
            return self._recorder

    def record_by(self, chosen: Settings) -> None:
        """Record by these settings from now on; what came before goes where it was to go."""
        with self._making:
            former, self._recorder = self._recorder, Recorder(chosen)
            if not self._is_watched:
                self._is_watched = True
                atexit.register(self._at_exit)
                if hasattr(os, "register_at_fork"):
                    os.register_at_fork(after_in_child=self._in_child)
        if former is not None:
            former.close(0.0)  # its last events go on in the background

    def _at_exit(self) -> None:
        if self._recorder is None:
            return
        try:
            self._recorder.close(self._recorder.settings.exit_s)
        except Exception as problem:  # noqa: BLE001 - the outermost door: the host's exit must not fail
            warn_once("exit", f"flatfare: the last events may be lost: {problem_text(problem)}")

    def _in_child(self) -> None:
        self.generation += 1
        self._making = threading.RLock()
        if self._recorder is not None:
            self._recorder.after_fork()


process = Process()
