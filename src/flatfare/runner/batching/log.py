"""What was sent in batches, kept beside the results: so that a job that was stopped sends nothing twice.

Each step is written and synced before the next is taken. It names requests by digests and
holds nothing of what they say.
"""

import fcntl
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from flatfare.core.errors import Conflict


@dataclass(frozen=True, slots=True)
class Line:
    """One request of a batch: its name there, a digest of what it asks, and for whom it was sent."""

    name: str
    digest: str
    task_id: str
    attempt_id: str


@dataclass(slots=True)
class Sent:
    """A batch, as far as it has come."""

    id: str  # our own
    base: str  # the path below which its provider stands at the gateway
    kind: str  # of its API
    at_us: int
    lines: dict[str, Line] = field(default_factory=dict)
    request_hash: str | None = None  # of what made it, once that was about to be sent
    batch_id: str | None = None  # the provider's
    call_id: str | None = None  # of the call that made it
    is_dropped: bool = False  # it was not sent: its requests may be asked again
    is_over: bool = False  # all its answers were fetched: the gateway has booked them


class BatchLog:
    """The file of a job. One process at a time works with it."""

    def __init__(self, place: Path, at_us: int) -> None:
        self.place = place
        self.sent: dict[str, Sent] = {}
        self.users: dict[str, set[str]] = {}  # attempts that were given a line, by its name
        self.key_id: str | None = None
        self.began_at_us = at_us
        self._file = place.open("a+b")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise Conflict(f"Another process works at this job: {place} is in use.") from None
        for entry in self._entries():
            self._take(entry)
        if self._file.tell() == 0:
            self._write({"began_at_us": at_us})

    def _entries(self) -> Iterator[Mapping[str, object]]:
        """Every whole line; one that was cut by a crash is cut off."""
        self._file.seek(0)
        whole = 0
        for line in self._file:
            try:
                entry = json.loads(line)
            except ValueError:
                break
            if not line.endswith(b"\n"):
                break
            whole += len(line)
            yield entry
        self._file.truncate(whole)
        self._file.seek(0, os.SEEK_END)

    def _take(self, entry: Mapping[str, object]) -> None:
        if "began_at_us" in entry:
            self.began_at_us = int(str(entry["began_at_us"]))
        elif "key" in entry:
            self.key_id = None if entry["key"] is None else str(entry["key"])
        elif "used" in entry:
            self.users.setdefault(str(entry["used"]), set()).add(str(entry["attempt"]))
        elif "lines" in entry:
            lines = [Line(*one) for one in entry["lines"]]  # type: ignore[attr-defined]
            name, base, kind = str(entry["batch"]), str(entry["base"]), str(entry["kind"])
            named = {line.name: line for line in lines}
            self.sent[name] = Sent(name, base, kind, int(str(entry["at_us"])), named)
            for line in lines:
                self.users.setdefault(line.name, set()).add(line.attempt_id)
        elif (one := self.sent.get(str(entry.get("batch")))) is not None:
            for name in ("request_hash", "batch_id", "call_id", "is_dropped", "is_over"):
                if name in entry:
                    setattr(one, name, entry[name])

    def plan(self, own_id: str, base: str, kind: str, lines: Iterable[Line], at_us: int) -> Sent:
        """A batch is about to be sent."""
        listed = [[one.name, one.digest, one.task_id, one.attempt_id] for one in lines]
        entry = {"batch": own_id, "base": base, "kind": kind, "at_us": at_us, "lines": listed}
        self._write(entry)
        self._take(entry)
        return self.sent[own_id]

    def step(self, own_id: str, **said: object) -> None:
        """A batch has come further."""
        entry = {"batch": own_id, **said}
        self._write(entry)
        self._take(entry)

    def use(self, name: str, attempt_id: str) -> None:
        """An attempt was given the answer to a request that another had sent."""
        entry = {"used": name, "attempt": attempt_id}
        self._write(entry)
        self._take(entry)

    def forget(self, own_id: str) -> None:
        """Hold a batch that is through no longer in memory; the file still names it."""
        for name in self.sent.pop(own_id).lines:
            self.users.pop(name, None)

    def keep_key(self, key_id: str | None) -> None:
        """The key that the batches are made with: only it may fetch their answers."""
        self._write({"key": key_id})
        self.key_id = key_id

    def _write(self, entry: Mapping[str, object]) -> None:
        self._file.write(json.dumps(entry, separators=(",", ":")).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Let another process have it."""
        self._file.close()
