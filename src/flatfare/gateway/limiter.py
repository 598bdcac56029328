"""Limits of a key: requests and tokens in a minute, calls at one time, over all workers together.

Each worker writes its own columns of a table in shared memory and reads those of all.
Where a key has a limit, reading and writing happen under one lock, so that no burst
over several workers passes more than the limit.
"""

import fcntl
import mmap
import os
import struct
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b

from flatfare.store.keys import Key

WINDOWS = 60
"""A minute is counted by the second."""

_CELL = struct.Struct("<qqq")  # second, requests, tokens
_COLUMN = 8 + WINDOWS * _CELL.size  # calls at one time, then the cells
_SLOTS = 512
_CLAIM = struct.Struct("<16s")


class SharedCounts:
    """Shared memory for the counts of all workers; made before they are."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._handle, path = tempfile.mkstemp(prefix="flatfare-limits-")
        os.unlink(path)
        size = _SLOTS * (_CLAIM.size + workers * _COLUMN)
        os.ftruncate(self._handle, size)
        self.memory = mmap.mmap(self._handle, size)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Alone among all processes that share the memory."""
        fcntl.lockf(self._handle, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.lockf(self._handle, fcntl.LOCK_UN)

    def slot(self, key_id: str) -> int:
        """Where the key's counts begin, claimed if it has none yet; under the lock."""
        name = blake2b(key_id.encode(), digest_size=16).digest()
        size = _CLAIM.size + self.workers * _COLUMN
        first = int.from_bytes(name[:4], "little") % _SLOTS
        for step in range(_SLOTS):
            at = (first + step) % _SLOTS * size
            held = self.memory[at : at + 16]
            if held == name:
                return at + _CLAIM.size
            if held == bytes(16):
                self.memory[at : at + 16] = name
                return at + _CLAIM.size
        return first * size + _CLAIM.size  # more limited keys than slots: two share one

    def forget_worker(self, worker: int) -> None:
        """A worker died: what it had under way is no longer."""
        size = _CLAIM.size + self.workers * _COLUMN
        with self.locked():
            for number in range(_SLOTS):
                at = number * size + _CLAIM.size + worker * _COLUMN
                self.memory[at : at + 8] = bytes(8)


class Limiter:
    """The limits as one worker applies them."""

    def __init__(self, counts: SharedCounts, worker: int) -> None:
        self._counts = counts
        self._worker = worker
        self._slots: dict[str, int] = {}

    def admit(self, key: Key) -> tuple[str, int] | None:
        """Count a call of the key in; or why not, and after how many seconds to try again."""
        if not _is_limited(key):
            return None
        second = int(time.time())
        with self._counts.locked():
            slot = self._slot(key)
            concurrent, requests, tokens, oldest = self._sums(slot, second)
            wait_s = max(1, oldest + WINDOWS - second)
            if key.concurrent is not None and concurrent >= key.concurrent:
                return f"The key {key.name!r} has {concurrent} calls under way, its limit.", 1
            if key.requests_per_minute is not None and requests >= key.requests_per_minute:
                return f"The key {key.name!r} made {requests} requests within a minute, its limit.", wait_s
            if key.tokens_per_minute is not None and tokens >= key.tokens_per_minute:
                limit = key.tokens_per_minute
                return (
                    f"The key {key.name!r} used {tokens} tokens within a minute; its limit is {limit}.",
                    wait_s,
                )
            self._add(slot, second, concurrent=1, requests=1, tokens=0)
        return None

    def ended(self, key: Key, tokens: int) -> None:
        """A call that was counted in has ended."""
        if _is_limited(key):
            with self._counts.locked():
                self._add(self._slot(key), int(time.time()), concurrent=-1, requests=0, tokens=tokens)

    def _slot(self, key: Key) -> int:
        slot = self._slots.get(key.id)
        if slot is None:
            slot = self._slots[key.id] = self._counts.slot(key.id)
        return slot

    def _sums(self, slot: int, second: int) -> tuple[int, int, int, int]:
        """Calls at one time; requests, tokens and the oldest second that counts, within the last minute."""
        concurrent = requests = tokens = 0
        oldest = second
        memory = self._counts.memory
        for worker in range(self._counts.workers):
            at = slot + worker * _COLUMN
            concurrent += int.from_bytes(memory[at : at + 8], "little", signed=True)
            for cell_second, cell_requests, cell_tokens in _CELL.iter_unpack(memory[at + 8 : at + _COLUMN]):
                if cell_second > second - WINDOWS:
                    requests += cell_requests
                    tokens += cell_tokens
                    oldest = min(oldest, cell_second)
        return concurrent, requests, tokens, oldest

    def _add(self, slot: int, second: int, *, concurrent: int, requests: int, tokens: int) -> None:
        memory = self._counts.memory
        at = slot + self._worker * _COLUMN
        under_way = int.from_bytes(memory[at : at + 8], "little", signed=True) + concurrent
        memory[at : at + 8] = max(0, under_way).to_bytes(8, "little", signed=True)
        cell = at + 8 + second % WINDOWS * _CELL.size
        held_second, held_requests, held_tokens = _CELL.unpack_from(memory, cell)
        if held_second != second:
            held_requests = held_tokens = 0
        _CELL.pack_into(memory, cell, second, held_requests + requests, held_tokens + tokens)


def _is_limited(key: Key) -> bool:
    return (
        key.requests_per_minute is not None or key.tokens_per_minute is not None or key.concurrent is not None
    )
