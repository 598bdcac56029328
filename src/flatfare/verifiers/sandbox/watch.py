"""What is seen of a sandbox from outside: its output up to a limit, its memory, its last word."""

import json
import os
import select
from pathlib import Path

from flatfare.verifiers.sandbox.order import Ended, Limits, Refused

_PAGE = os.sysconf("SC_PAGE_SIZE")
_CHUNK = 1 << 16
_MOMENT_SECONDS = 0.02


class Watch:
    """The reports and the output of one sandbox, as they come."""

    def __init__(self, limits: Limits, report: int, output: int) -> None:
        self.limits = limits
        self.open_ends = [report, output]
        self.stopped: str | None = None
        self.words = bytearray()
        self.output = bytearray()
        self._report, self._output = report, output

    @property
    def is_over(self) -> bool:
        """It was stopped, or the first process has ended: nothing more will be said."""
        return self.stopped is not None or self._report not in self.open_ends

    @property
    def is_ready(self) -> bool:
        """The sandbox stands, and waits for the word to start the command."""
        return self.words.startswith(b'{"ready"')

    def look(self) -> None:
        """Take what comes within a moment, and weigh the processes once there are any."""
        ready, _, _ = select.select(self.open_ends, [], [], _MOMENT_SECONDS)
        self.read(ready)
        if self.is_ready:
            self.weigh()

    def stop(self, why: str) -> None:
        """A limit was reached; the first one counts."""
        self.stopped = self.stopped or why

    def read(self, ready: list[int]) -> None:
        """Take what came on these ends."""
        for end in ready:
            chunk = os.read(end, _CHUNK)
            if not chunk:
                self.open_ends.remove(end)
            elif end == self._report:
                self.words += chunk
            else:
                self._take(chunk)

    def _take(self, chunk: bytes) -> None:
        self.output += chunk
        if len(self.output) > self.limits.output_bytes:
            del self.output[self.limits.output_bytes :]
            self.stop("output")

    def drain(self) -> None:
        """Take what is left in the pipes, now that nobody can write any more."""
        while self.open_ends and self.stopped != "output":
            ready, _, _ = select.select(self.open_ends, [], [], 0)
            if not ready:
                return
            self.read(ready)

    def weigh(self) -> None:
        """Stop it where all its processes together hold more memory than one of them may."""
        processes = [name for name in os.listdir("/proc") if name.isdigit() and name != "1"]
        if sum(map(_resident, processes)) <= self.limits.memory_bytes:
            return
        if sum(map(_proportional, processes)) > self.limits.memory_bytes:
            self.stop("memory")


def json_of(watch: Watch) -> Ended | Refused:
    """What it came to: stopped at a limit, refused, or ended by itself."""
    said = [json.loads(line) for line in watch.words.splitlines()]
    refusals = [str(word["refused"]) for word in said if "refused" in word]
    if refusals:
        return Refused(refusals[0])
    codes = [int(word["ended"]) for word in said if "ended" in word]
    if watch.stopped is None and not codes:
        return Refused("the sandbox's first process died without a word")
    return Ended(None if watch.stopped else codes[0], watch.stopped, bytes(watch.output))


def _resident(process: str) -> int:
    """Memory that a process sees, what it shares with others counted in full; 0 once it is gone."""
    try:
        return int(Path("/proc", process, "statm").read_bytes().split()[1]) * _PAGE
    except OSError:
        return 0


def _proportional(process: str) -> int:
    """Memory of a process, what it shares divided among those that share it; 0 once it is gone."""
    try:
        lines = Path("/proc", process, "smaps_rollup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return _resident(process)
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
