"""One worker's files: frames are appended whole, synced, and the file changed when it is full or has failed.

After a failed write the file ends at its last whole frame. A file whose sync failed is
never written again, since nobody knows what of it is on the disk.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from flatfare.gateway.folders import log_file
from flatfare.store.durable import sync


@dataclass(frozen=True, slots=True)
class Written:
    """How an append ended."""

    kept: int  # how many frames, from the first, are durable
    problem: OSError | None = None
    may_stand: bool = False  # those that were not kept may nevertheless be found in the file


class LogWriter:
    """Appends to a worker's newest file; all of it blocks, so it belongs on a thread of its own."""

    def __init__(self, worker: Path, *, sync: bool, file_bytes_max: int) -> None:
        self._worker = worker
        self._sync = sync
        self._file_bytes_max = file_bytes_max
        self._number = 0
        self._size = 0
        self._handle: int | None = None

    def append(self, frames: Sequence[bytes]) -> Written:
        """Write the frames with one write and one sync."""
        try:
            handle = self._current()
        except OSError as failure:
            return Written(0, failure)
        kept, problem = self._write(handle, frames)
        if problem is not None and not self._cut(handle):
            return Written(0, problem, may_stand=True)
        if self._sync and kept:
            try:
                os.fdatasync(handle)
            except OSError as failure:
                self._abandon()
                return Written(0, failure, may_stand=True)
        return Written(kept, problem)

    def close(self) -> None:
        """Close the file."""
        self._abandon()

    def _current(self) -> int:
        """The file to append to: a new one where there is none yet, or the last is full."""
        if self._handle is not None and self._size >= self._file_bytes_max:
            self._abandon()
        if self._handle is None:
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
            handle = os.open(log_file(self._worker, self._number + 1), flags, 0o600)
            try:
                if self._sync:
                    sync(self._worker)
            except OSError:
                os.close(handle)
                raise
            self._handle, self._number, self._size = handle, self._number + 1, 0
        return self._handle

    def _write(self, handle: int, frames: Sequence[bytes]) -> tuple[int, OSError | None]:
        """Write all; returns how many frames are whole and what stopped it; ``_size`` is where they end."""
        left = memoryview(b"".join(frames))
        written = 0
        try:
            while left:
                count = os.write(handle, left)
                left, written = left[count:], written + count
        except OSError as problem:
            kept = 0
            for frame in frames:
                if len(frame) > written:
                    break
                written -= len(frame)
                self._size += len(frame)
                kept += 1
            return kept, problem
        self._size += written
        return len(frames), None

    def _cut(self, handle: int) -> bool:
        """Cut the file back to its last whole frame; a file that cannot be cut is abandoned."""
        try:
            os.ftruncate(handle, self._size)
        except OSError:
            self._abandon()
            return False
        return True

    def _abandon(self) -> None:
        if self._handle is not None:
            handle, self._handle = self._handle, None
            os.close(handle)
