"""The spool: events in files of this machine, until a server has taken them.

A segment is written by one process, which holds its lock; when that process ends, however it
ends, the lock is free and whoever comes may deliver the segment. Only whole lines count. Files
and folders are the user's alone, and the sum of their sizes is bounded.
"""

import os
import time
from collections.abc import Iterator
from contextlib import suppress

from flatfare_sdk.identity import new_id

try:
    import fcntl
except ImportError:  # not a POSIX system: nothing is spooled there
    fcntl = None  # type: ignore[assignment]

SUFFIX = ".events"  # JSON Lines; no name that another file here could have
_UNNAMED = ".new"  # a segment that is being made; its lock is not taken yet
_STALE_S = 3600.0


class SpoolFull(OSError):
    """The spool holds as much as it may."""


class Segment:
    """Some events on their way: in a file that this process holds, in memory, or both."""

    __slots__ = ("_descriptor", "count", "lines", "path", "since", "size")

    def __init__(self, path: str | None, descriptor: int | None, lines: list[bytes]) -> None:
        self.path = path  # None: in memory only
        self._descriptor = descriptor
        self.lines = lines
        self.count = len(lines)
        self.size = 0
        self.since = time.monotonic()

    def append(self, lines: list[bytes]) -> None:
        """Add events at the end: all of them, or none and ``OSError``."""
        data = b"".join(lines)
        if self._descriptor is not None:
            self._write(data)
        self.lines += lines
        self.count += len(lines)
        self.size += len(data)

    def _write(self, data: bytes) -> None:
        assert self._descriptor is not None
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._descriptor, self.size)  # no half line stays behind
            raise

    def sync(self) -> None:
        """Wait until the file outlives a loss of power."""
        if self._descriptor is not None:
            os.fsync(self._descriptor)

    def remove(self) -> None:
        """All has been delivered. Raises ``OSError`` where the file cannot be taken away."""
        if self.path is not None:
            with suppress(FileNotFoundError):
                os.unlink(self.path)
        self.release()

    def release(self) -> None:
        """Leave the file, if there is one, to whoever comes; nothing of it stays in memory."""
        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor, None
            with suppress(OSError):
                os.close(descriptor)
        if self.path is not None:
            self.lines = []


class Spool:
    """The segments of one address and key."""

    def __init__(self, folder: str, bytes_max: int) -> None:
        self._folder = folder
        self._bytes_max = bytes_max

    def new_segment(self) -> Segment:
        """An empty segment, held by this process. Raises ``OSError``, and ``SpoolFull``."""
        if fcntl is None:
            raise OSError("files cannot be locked on this system")
        os.makedirs(self._folder, mode=0o700, exist_ok=True)
        if sum(size for _, size in self._files()) >= self._bytes_max:
            raise SpoolFull(f"{self._folder} holds {self._bytes_max} bytes")
        path = os.path.join(self._folder, new_id(time.time_ns() // 1000))
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND
        descriptor = os.open(path + _UNNAMED, flags, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.rename(path + _UNNAMED, path + SUFFIX)
        except BaseException:
            os.close(descriptor)
            raise
        return Segment(path + SUFFIX, descriptor, [])

    def take_orphan(self) -> Segment | None:
        """A segment whose process has left it, with what it holds, now held by this one; the oldest first."""
        for path, _ in sorted(self._files()):
            if (segment := _taken(path)) is not None:
                return segment
        return None

    def has_files(self) -> bool:
        """There is anything, this process's own included."""
        return next(self._files(), None) is not None

    def _files(self) -> Iterator[tuple[str, int]]:
        """Segments, each with its size; what was left half-made long ago is cleared away."""
        try:
            entries = list(os.scandir(self._folder))
        except OSError:
            return
        for entry in entries:
            with suppress(OSError):  # delivered in the meantime
                if entry.name.endswith(SUFFIX):
                    yield entry.path, entry.stat().st_size
                elif entry.name.endswith(_UNNAMED) and time.time() - entry.stat().st_mtime > _STALE_S:
                    os.unlink(entry.path)


def _taken(path: str) -> Segment | None:
    """The segment in this file, unless somebody holds it or has delivered it."""
    if fcntl is None:
        return None
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(descriptor).st_ino != os.stat(path).st_ino:
            raise OSError("another file by now")
        with open(path, "rb") as stream:
            data = stream.read()
    except OSError:
        os.close(descriptor)
        return None
    return Segment(path, descriptor, whole_lines(data))


def whole_lines(data: bytes) -> list[bytes]:
    """The events in a file's bytes; a last line that was cut short, and what is no event, is left out."""
    lines = data.split(b"\n")
    lines.pop()  # what stands after the last end of a line is half a line
    return [line for line in lines if line.startswith(b"{") and line.endswith(b"}") and b"\0" not in line]
