"""Clients that ask without pause, each call with a name of its own, while somebody kills processes.

The provider's log says which calls it received; the book must have each of them once.
"""

import json
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.gateway.rig import Answer, Line, Pause, Request, Seen, asking, chunked, whole
from tests.gateway.rig_gateway import Gateway, Row
from tests.gateway.rig_pair import CHAT, Pair
from tests.gateway.rig_recorded import own

EVENTS = own("openai-chat-stream-usage").pieces()
BODY = own("openai-chat").body


def answering_soon(request: Request) -> Answer:
    """Answers after a little while, a stream in its time."""
    dice = random.Random(request.body)
    if b'"stream"' in request.body:
        return chunked([step for event in EVENTS for step in (event, Pause(dice.uniform(0, 0.004)))])
    return (Pause(dice.uniform(0, 0.02)), *whole(BODY))


@dataclass
class Load:
    """So many clients, and what they saw."""

    gateway: Gateway
    secret: str
    clients: int = 8
    timeout_s: float = 3.0
    answered: Counter[int] = field(default_factory=Counter)  # by status; 0 where none came whole
    whole: set[str] = field(default_factory=set)  # names of calls that were answered whole
    _busy: set[str] = field(default_factory=set)
    _count: int = 0
    _is_over: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def in_flight(self) -> int:
        """How many calls wait for the end of their answer just now."""
        return len(self._busy)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Ask all the while."""
        threads = [threading.Thread(target=self._ask_on, daemon=True) for _ in range(self.clients)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._is_over = True
            for thread in threads:
                thread.join(self.timeout_s + 5)

    def _ask_on(self) -> None:
        line: Line | None = None
        while not self._is_over:
            name = self._named()
            seen = Seen()
            try:
                line = line or Line(self.gateway.port, self.timeout_s)
                line.send(self._request(name))
                seen = line.receive()
            except OSError:
                pass
            self._note(name, seen)
            if seen.end != "whole" or seen.header("connection") == "close":
                if line is not None:
                    line.close()
                line = None
                time.sleep(0.01)
        if line is not None:
            line.close()

    def _note(self, name: str, seen: Seen) -> None:
        is_whole = seen.end == "whole"
        with self._lock:
            self._busy.discard(name)
            self.answered[seen.status if is_whole else 0] += 1
            if is_whole and seen.status == 200:
                self.whole.add(name)

    def _named(self) -> str:
        with self._lock:
            self._count += 1
            name = f"p{self._count}"
            self._busy.add(name)
            return name

    def _request(self, name: str) -> bytes:
        asked = {"model": "gpt-4o", "user": name, "messages": []}
        if int(name[1:]) % 3 == 0:
            asked |= {"stream": True, "stream_options": {"include_usage": True}}
        own_headers = [("authorization", f"Bearer {self.secret}"), ("flatfare-labels", f"probe={name}")]
        return asking("POST", CHAT, json.dumps(asked).encode(), own_headers)


def name_in(row: Row) -> str:
    """The name of the call that a row is of."""
    return str(json.loads(row["labels"]).get("probe"))


def settled_rows(gateway: Gateway, within_s: float = 20.0) -> list[Row]:
    """All rows, once no call is open and no more come."""
    deadline = time.monotonic() + within_s
    before = -1
    while time.monotonic() < deadline:
        rows = gateway.rows()
        if len(rows) == before and not gateway.open_calls():
            return rows
        before = len(rows)
        time.sleep(0.5)
    raise AssertionError(f"calls stay open: {gateway.open_calls()}\n{gateway.log.decode()[-2000:]}")


def check_each_has_one_row(received: Sequence[Request], rows: Sequence[Row], in_flight: int) -> None:
    """Asserts P5: each request that the provider received has one row; others are few, and say so."""
    names = Counter(request.json()["user"] for request in received)
    booked = Counter(name_in(row) for row in rows)
    lost = [name for name in names if not booked[name]]
    assert not lost, f"{len(lost)} of {len(names)} calls are lost: {lost[:5]}"
    twice = [name for name, count in booked.items() if count > max(1, names[name])]
    assert not twice, f"{len(twice)} calls are booked more than once: {twice[:5]}"
    assert max(names.values()) == 1, "no call was sent twice"
    surplus = [row for row in rows if name_in(row) not in names]
    assert len(surplus) <= in_flight, f"{len(surplus)} rows without a request, {in_flight} were in flight"
    for row in rows:
        if row["delivery"] != "proven":
            continue
        assert name_in(row) in names, f"a row says it was delivered, and was not: {row}"
    for row in surplus:
        was_never_sent = row["status"] in ("cancelled", "failed", "refused") and row["cost_nano"] == 0
        assert row["delivery"] == "unproven" or was_never_sent, row
    for row in rows:
        if row["delivery"] == "unproven" and row["cost_nano"] != 0:
            assert row["cost_state"] in ("estimated", "unknown"), row


def children(gateway: Gateway) -> dict[str, list[int]]:
    """The gateway's processes by what they do; ``starting`` are those that do nothing yet."""
    pids = gateway.processes()
    listening, pages = _listening_inodes(gateway.port), _local_inodes("/pages.sock")
    roles = ("worker", "pages", "treasurer", "bookkeeper", "starting")
    found: dict[str, list[int]] = {"supervisor": pids[:1], **{role: [] for role in roles}}
    for pid in pids[1:]:
        open_files = _open_files(pid)
        marks = {
            "worker": listening & open_files,
            "pages": pages & open_files,
            "treasurer": {one for one in open_files if one.endswith("/.treasurer")},
            "bookkeeper": {one for one in open_files if one.endswith("/.booker")},
        }
        found[next((role for role, seen in marks.items() if seen), "starting")].append(pid)
    return found


def the(gateway: Gateway, role: str) -> int:
    """The only process that does this, as soon as it does."""
    found: list[int] = []

    def is_there() -> bool:
        found[:] = children(gateway)[role]
        return len(found) == 1

    gateway.wait(is_there, 5, f"there is not one {role}")
    return found[0]


def _local_inodes(part: str) -> set[str]:
    """Sockets of this machine that listen, whose path has this part."""
    lines = [line.split() for line in Path("/proc/net/unix").read_text().splitlines()[1:]]
    return {line[6] for line in lines if part in line[-1] and line[3] == "00010000"}


def _listening_inodes(port: int) -> set[str]:
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {line[9] for line in lines if line[3] == "0A" and int(line[1].rpartition(":")[2], 16) == port}


def _open_files(pid: int) -> set[str]:
    """What a process has open: paths, and the inodes of sockets."""
    found = set()
    with suppress(OSError):
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                found.add(str(entry.readlink()).removeprefix("socket:[").removesuffix("]"))
    return found


def load_on(pair: Pair, clients: int = 8) -> Load:
    """A load on this pair's gateway."""
    return Load(pair.gateway, pair.secret, clients)
