"""The journal of one worker: where a call becomes durable, before it is sent and when it has ended.

Whoever is told that a record is kept finds it again after the death of the process,
and, where the journal is synced, after a loss of power. All that wait at one moment
share one write and one sync. A record that cannot be kept fails for whoever waits for
it; a result is kept in memory until it can be written after all.
"""

import asyncio
import os
import queue
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from flatfare.core.errors import BadInput, StoreFailure
from flatfare.core.moments import datetime_of
from flatfare.gateway.folders import new_worker
from flatfare.gateway.frames import RECORD_BYTES_MAX, framed, salt_of
from flatfare.gateway.log_writer import LogWriter, Written
from flatfare.gateway.records import Ended, Intent, Record, Void, encode

FILE_BYTES_MAX = 32 << 20
"""A file this long is followed by the next; booked files are removed whole."""

WAITING_BYTES_MAX = 64 << 20
"""So much may wait for a slow disk; further intents are refused, and at twice as much results too."""

_BATCH_BYTES_MAX = 4 << 20
_RETRY_S = 0.25

OnKept = Callable[[StoreFailure | None], None]
"""Told in the event loop that the record is durable (None), or why it could not be kept."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    frame: bytes
    record: Record
    on_kept: OnKept | None


_Batch = list[_Waiting]


class Journal:
    """An open journal. It belongs to the event loop that runs when it is opened, and to one process.

    Open it after forking: a child that inherits the lock keeps its parent alive for the booker.
    """

    def __init__(self, folder: Path, *, sync: bool = True, file_bytes_max: int = FILE_BYTES_MAX) -> None:
        self.worker_id = _new_worker_id()
        self.worker, self._life = new_worker(folder, self.worker_id)
        self.failure: StoreFailure | None = None
        """Why the last write failed; None since one succeeded."""
        self.kept_records = 0
        self.writes = 0
        self._salt = salt_of(self.worker_id)
        self._waiting: _Batch = []
        self._waiting_bytes = 0
        self._is_writing = False
        self._is_planned = False
        self._is_closed = False
        self._loop = asyncio.get_running_loop()
        self._idle = asyncio.Event()
        self._idle.set()
        self._batches: queue.SimpleQueue[_Batch | None] = queue.SimpleQueue()
        self._writer = LogWriter(self.worker, sync=sync, file_bytes_max=file_bytes_max)
        self._thread = threading.Thread(target=self._write_batches, name="journal", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """How many records wait to be written."""
        return len(self._waiting)

    def write(self, record: Record, on_kept: OnKept | None = None) -> None:
        """Append a record; ``on_kept`` is called once, in the event loop, when it is durable or has failed.

        Raises ``StoreFailure`` where the journal is closed or too much waits already,
        ``BadInput`` for a record that is too long or holds no proper text.
        """
        payload = _encoded(record)
        if len(payload) > RECORD_BYTES_MAX:
            raise BadInput(f"Found a record of {len(payload)} bytes: at most {RECORD_BYTES_MAX} fit.")
        if self._is_closed:
            raise StoreFailure("The journal is closed: this worker is ending. Try again.")
        if self._waiting_bytes > WAITING_BYTES_MAX * (1 if isinstance(record, Intent) else 2):
            raise StoreFailure(
                "The journal's disk does not keep up: too much waits to be written. Try again."
            )
        self._put(_Waiting(framed(payload, self._salt), record, on_kept))

    async def append(self, record: Record) -> None:
        """Append a record and wait until it is durable; raises ``StoreFailure`` where it is not kept."""
        kept = self._loop.create_future()

        def tell(problem: StoreFailure | None) -> None:
            if kept.done():  # whoever waited was cancelled; the record stands all the same
                return
            if problem is None:
                kept.set_result(None)
            else:
                kept.set_exception(problem)

        self.write(record, tell)
        await kept

    async def close(self) -> None:
        """Write what waits, and end the worker's life: what has no result by now is booked as unproven.

        Gives up on results that cannot be written after one more try.
        """
        self._is_closed = True
        if self._waiting and not self._is_writing:
            self._write_next()
        await self._idle.wait()
        self._batches.put(None)
        await self._loop.run_in_executor(None, self._thread.join)
        self._writer.close()
        os.close(self._life)

    def _put(self, waiting: _Waiting) -> None:
        self._waiting.append(waiting)
        self._waiting_bytes += len(waiting.frame)
        if not self._is_writing and not self._is_planned:
            # Not at once: what else this turn of the loop appends shares the write.
            self._is_planned = True
            self._loop.call_soon(self._write_next)

    def _write_next(self) -> None:
        self._is_planned = False
        if self._is_writing or not self._waiting:
            return
        batch, self._waiting = _first_bytes(self._waiting, _BATCH_BYTES_MAX)
        self._waiting_bytes -= sum(len(waiting.frame) for waiting in batch)
        self._is_writing = True
        self._idle.clear()
        self._batches.put(batch)

    def _write_batches(self) -> None:
        """The thread: write each batch as it comes, and tell the event loop."""
        while (batch := self._batches.get()) is not None:
            written = self._writer.append([waiting.frame for waiting in batch])
            try:
                self._loop.call_soon_threadsafe(self._ended, batch, written)
            except RuntimeError:  # the event loop is closed: nobody waits any more
                return

    def _ended(self, batch: _Batch, written: Written) -> None:
        self._is_writing = False
        self.writes += 1
        self.kept_records += written.kept
        problem = self.failure = _failure_of(written.problem, self.worker)
        self._tell(batch[: written.kept], None)
        if problem is not None:
            self._fail(batch[written.kept :], written.may_stand, problem)
        elif self._waiting:
            self._write_next()
        if not self._is_writing:
            self._idle.set()

    def _fail(self, failed: _Batch, may_stand: bool, problem: StoreFailure) -> None:
        """Tell all that wait, and keep in memory what must still be written, to be tried again soon."""
        waiting = self._waiting
        self._waiting = _owed(failed, may_stand, self._salt) + _owed(waiting, False, self._salt)
        self._waiting_bytes = sum(len(owed.frame) for owed in self._waiting)
        self._tell(failed, problem)
        self._tell(waiting, problem)
        if self._waiting and not self._is_closed:
            self._loop.call_later(_RETRY_S, self._write_next)

    def _tell(self, batch: _Batch, problem: StoreFailure | None) -> None:
        for waiting in batch:
            if waiting.on_kept is not None:  # one that raises must not keep the others from being told
                self._loop.call_soon(waiting.on_kept, problem)


def _new_worker_id() -> str:
    """Sorts by the start of the worker; random, since it seeds the checksums."""
    started = datetime_of(time.time_ns() // 1000).strftime("%Y%m%dT%H%M%S%f")
    return f"{started}-{secrets.token_hex(8)}"


def _encoded(record: Record) -> bytes:
    try:
        return encode(record)
    except (UnicodeEncodeError, OverflowError) as problem:
        raise BadInput(f"Found a record that cannot be written down: {problem}.") from problem


def _first_bytes(waiting: _Batch, bytes_max: int) -> tuple[_Batch, _Batch]:
    """Those that are written together, and those that are left."""
    total = 0
    for position, one in enumerate(waiting):
        total += len(one.frame)
        if total > bytes_max and position:
            return waiting[:position], waiting[position:]
    return waiting, []


def _owed(failed: _Batch, may_stand: bool, salt: int) -> _Batch:
    """What must still be written, nobody waiting: results, and that intents said to have failed are void."""
    owed = []
    for waiting in failed:
        record: Record = waiting.record
        if isinstance(record, Intent):
            if not may_stand:
                continue
            record = Void(record.call_id)
        elif isinstance(record, Ended) and may_stand:
            record = Ended(record.intent, record.result, is_again=True)
        frame = waiting.frame if record is waiting.record else framed(encode(record), salt)
        owed.append(_Waiting(frame, record, None))
    return owed


def _failure_of(problem: OSError | None, worker: Path) -> StoreFailure | None:
    if problem is None:
        return None
    return StoreFailure(
        f"The journal {worker} could not be written: {problem.strerror or problem}. "
        "Nothing was sent; make room on its disk, or check it, and try again."
    )
