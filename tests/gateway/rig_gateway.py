"""A gateway as an operator starts it, in processes of its own, and its book read with SQLite alone."""

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from flatfare.gateway.keyring import REFRESH_S
from flatfare.service.access import keys as issuing
from flatfare.service.access.keys import Issued, Terms
from flatfare.store.book import open_book
from tests.gateway.rig import Provider, Seen, ask, asking
from tests.gateway.rig_recorded import NAMES, Recorded

ROOT = Path(__file__).parent.parent.parent
CREDENTIAL = "sk-provider-credential-that-nobody-may-see"
START_S = 30.0

Row = dict[str, Any]


def free_port() -> int:
    """A port of this machine that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def configuration(provider: Provider, hosts: Iterable[str], **more: object) -> dict[str, Any]:
    """Settings with these hosts of the provider under their names."""
    providers = {}
    for host in hosts:
        name = NAMES[host]
        base = provider.url(host, "/v1" if name == "openai" else "")
        providers[name] = {"base_url": base, "api_key": CREDENTIAL}
        if name == "bedrock":
            providers[name] = {"base_url": base, "api_key": CREDENTIAL, "region": "us-east-1"}
    return {"providers": providers, **more}


def fault_applied() -> str:
    """The fault that this run of the tests is under, as Python; mostly none. See tests/promises/faults."""
    name = os.environ.get("FLATFARE_FAULT")
    if not name:
        return ""
    return "\n" + (ROOT / "tests" / "promises" / "faults" / f"{name}.py").read_text()


@dataclass
class Gateway:
    """``flatfare serve`` in a folder of its own."""

    folder: Path
    settings: Mapping[str, Any]
    workers: int = 1
    environment: Mapping[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    secret: str = ""
    prelude: str = ""  # Python that runs in each of its processes before anything else: for faults
    process: subprocess.Popen[bytes] | None = None
    seen_rows: set[str] = field(default_factory=set)

    def __enter__(self) -> "Gateway":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def book(self) -> Path:
        """The book's file."""
        return self.folder / "flatfare.db"

    @property
    def log(self) -> bytes:
        """All that it printed."""
        file = self.folder / "serve.log"
        return file.read_bytes() if file.exists() else b""

    def start(self) -> None:
        """Start it, and wait until it is ready."""
        self.folder.mkdir(parents=True, exist_ok=True)
        settings = {
            "listen": f"127.0.0.1:{self.port}",
            "database": f"sqlite:///{self.book}",
            "lake": str(self.folder / "lake"),
            "timeouts": {"drain": 2, "stop": 10},
            **self.settings,
        }
        config = self.folder / "flatfare.yaml"
        config.write_text(yaml.safe_dump(settings))
        environment = {**os.environ, "PYTHONPATH": self._python_path(), **self.environment}
        command = [sys.executable, "-m", "flatfare", "--config", str(config)]
        with (self.folder / "serve.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "serve", "--workers", str(self.workers)],
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env=environment,
                start_new_session=True,
            )
        self.wait_ready()

    def _python_path(self) -> str:
        """The product, and before it what makes each process run the prelude first."""
        path = str(ROOT / "src")
        prelude = self.prelude + fault_applied()
        if not prelude:
            return path
        site = self.folder / "site"
        site.mkdir(exist_ok=True)
        (site / "sitecustomize.py").write_text(prelude)
        return f"{site}{os.pathsep}{path}"

    def wait_ready(self) -> None:
        """Wait until ``/readyz`` says so."""
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            assert self.process is not None
            assert self.process.poll() is None, self.log.decode()[-3000:]
            with suppress(OSError):
                if (
                    ask(self.port, asking("GET", "/readyz", headers=[("connection", "close")]), 2).status
                    == 200
                ):
                    return
            time.sleep(0.02)
        raise AssertionError(f"the gateway was not ready within {START_S} s:\n{self.log.decode()[-3000:]}")

    def stop(self, how: int = signal.SIGTERM, within_s: float = 30.0) -> None:
        """Stop it in good order, or as told, and wait until all its processes are gone."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(10)
            raise AssertionError(f"the gateway did not stop within {within_s} s") from None
        finally:
            self._end_all()
        self.process = None

    def kill(self) -> None:
        """End every process of it at once."""
        assert self.process is not None
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)
        self._end_all()
        self.process = None

    def _end_all(self) -> None:
        assert self.process is not None
        deadline = time.monotonic() + 10
        while _in_session(self.process.pid) and time.monotonic() < deadline:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            time.sleep(0.01)

    def processes(self) -> list[int]:
        """All its processes, the first one first."""
        assert self.process is not None
        return sorted(_in_session(self.process.pid), key=lambda pid: pid != self.process.pid)  # type: ignore[union-attr]

    def issue(self, name: str = "test", **terms: Any) -> Issued:
        """A key, made beside the running gateway as the command does; known to it within a second."""
        with open_book(str(self.book)) as book:
            return issuing.create(book, Terms(name, **terms), at_us=time.time_ns() // 1000, by_whom="test")

    def wait_for_key(self, secret: str, within_s: float = 5.0) -> None:
        """Wait until every worker lets this key in: a provider that is not there is refused, the key not."""
        answers = [0]
        if self.workers > 1:
            time.sleep(REFRESH_S + 0.2)  # chance alone could ask the same workers again and again

        def is_known() -> bool:
            answers.append(self.ask(secret, "GET", "/p/nowhere/x").status)
            return answers[-5 * self.workers :].count(404) == 5 * self.workers

        self.wait(is_known, within_s, "the key is not let in")

    def ask(
        self,
        secret: str,
        method: str,
        target: str,
        body: bytes = b"",
        headers: Iterable[tuple[str, str]] = (),
        timeout_s: float = 10.0,
    ) -> Seen:
        """Ask with this key, on a connection of its own."""
        own = [("authorization", f"Bearer {secret}"), *headers]
        return ask(self.port, asking(method, target, body, own), timeout_s)

    def rows(self, where: str = "TRUE", *values: str) -> list[Row]:
        """The calls as they stand in the book: the newest revision of each, as SQLite gives it.

        Opened as if to write: after a kill, who reads first has to recover the log.
        """
        with closing(sqlite3.connect(f"file:{self.book}?mode=rw", uri=True, timeout=10)) as connection:
            connection.row_factory = sqlite3.Row
            wanted = f"SELECT * FROM calls WHERE {where} ORDER BY at_us, id, revision, n DESC"
            found = [dict(row) for row in connection.execute(wanted, values)]
        newest = {row["id"]: row for row in found if row["n"] == 1}
        counts = Counter[str]()
        for row in found:
            counts[row["id"]] += row["n"]
        assert all(count == 1 for count in counts.values()), "each call counts once"
        return list(newest.values())

    def row(self, call_id: str, within_s: float = 10.0) -> Row:
        """The row of a call, as soon as it is booked."""
        found: list[Row] = []

        def is_there() -> bool:
            found[:] = self.rows("id = ?", call_id)
            return bool(found)

        self.wait(is_there, within_s, f"call {call_id} is not booked")
        return found[0]

    def new_rows(self, count: int, within_s: float = 10.0) -> list[Row]:
        """The rows that came since this was last asked: so many, as soon as they are booked."""
        found: list[Row] = []

        def are_there() -> bool:
            found[:] = [row for row in self.rows() if row["id"] not in self.seen_rows]
            return len(found) >= count

        self.wait(are_there, within_s, f"{count} calls are not booked: only {found}")
        self.seen_rows |= {row["id"] for row in found}
        assert len(found) == count, [(row["endpoint"], row["status"]) for row in found]
        return found

    def forget_rows(self, quiet_s: float = 0.15) -> None:
        """What is booked by now, and until nothing more comes for a while, is not new."""
        while True:
            time.sleep(quiet_s)
            fresh = {row["id"] for row in self.rows()} - self.seen_rows
            self.seen_rows |= fresh
            if not fresh and not self.open_calls():
                return

    def open_calls(self) -> int:
        """How many calls have begun and not ended, as the book knows it."""
        with closing(sqlite3.connect(f"file:{self.book}?mode=rw", uri=True, timeout=10)) as connection:
            return int(connection.execute("SELECT COUNT(*) FROM open_calls").fetchone()[0])

    def alive(self, session: int) -> list[int]:
        """The processes that are left of a start."""
        return _in_session(session)

    def wait(self, is_so: Callable[[], bool], within_s: float, otherwise: str) -> None:
        """Wait until it is so."""
        deadline = time.monotonic() + within_s
        while not is_so():
            assert time.monotonic() < deadline, f"{otherwise}\n{self.log.decode(errors='replace')[-3000:]}"
            time.sleep(0.02)


def _in_session(session: int) -> list[int]:
    """The processes of a session that are alive."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                after = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(after[3]) == session and after[0] != "Z":
                    found.append(int(entry.name))
    return found


@contextmanager
def serving(
    folder: Path,
    provider: Provider,
    hosts: Iterable[str],
    workers: int = 1,
    prelude: str = "",
    **settings: object,
) -> Iterator[Gateway]:
    """A gateway in front of these hosts of the provider."""
    settled = configuration(provider, hosts, **settings)
    gateway = Gateway(folder, settled, workers, prelude=prelude)
    folder.mkdir(parents=True, exist_ok=True)
    gateway.secret = gateway.issue("rig").secret  # before the start, so that it never serves without a key
    with gateway:
        yield gateway


def check_booked(row: Row, recorded: Recorded, request_body: bytes | None = None) -> None:
    """Asserts that a row says what the meter says of the same bytes, to the nano-dollar (P1)."""
    said = recorded.metered(request_body)
    if said.at_from == "now":
        said = recorded.metered(request_body, at_us=row["at_us"])
    usage = {unit: str(count) for unit, count in said.usage.items()}
    assert usage_of(row) == usage, recorded.name
    assert row["cost_nano"] == said.cost.amount_nano or said.cost.currency != "USD", recorded.name
    assert row["cost_state"] == said.cost.state, (recorded.name, row["cost_reason"], said.cost.reason)
    assert row["computed_nano"] == said.computed_cost.amount_nano, recorded.name
    if said.cost.amount_nano is None:
        assert row["cost_reason"] == said.cost.reason, recorded.name
    assert row["http_status"] == recorded.status


def usage_of(row: Row) -> dict[str, str]:
    """What a row says was used, unit to count as text."""
    from flatfare.store.layout import COUNT_COLUMNS

    counts = {unit: str(row[unit]) for unit in COUNT_COLUMNS if row[unit]}
    return {**counts, **json.loads(row["other_usage"] or "{}")}
