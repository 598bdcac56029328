"""What was recorded outlives the process, however it ends; what may be lost is what the docs say."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import flatfare_sdk
from tests.sdk.receiver import Receiver, receiving, until

NOWHERE = "http://127.0.0.1:1"
SOURCE = Path(flatfare_sdk.__file__).parent.parent


def environment(url: str, spool: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(SOURCE), "FLATFARE_URL": url, "FLATFARE_SPOOL": str(spool)}


def run(program: str, url: str, spool: Path, **more: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "import os, sys, time\nfrom flatfare_sdk import *\n" + program],
        env=environment(url, spool),
        capture_output=True,
        text=True,
        timeout=60,
        **more,
    )


def spooled(spool: Path) -> list[dict[str, Any]]:
    """Every event in the spool; a half-written last line would fail here."""
    return [
        json.loads(line)
        for file in sorted(spool.rglob("*.events"))
        for line in file.read_text().splitlines(keepends=True)
        if line.endswith("\n")
    ]


@pytest.fixture(scope="module")
def server() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


MANY = "for n in range(2000):\n    with task('x', id=f'{n}'): pass\n"


@pytest.mark.parametrize(
    ("end", "code"),
    [("", 0), ("sys.exit(3)", 3), ("raise ValueError('mine')", 1)],
    ids=["end", "exit", "raise"],
)
def test_nothing_is_lost_at_exit_without_a_server(tmp_path: Path, end: str, code: int) -> None:
    done = run(MANY + end, NOWHERE, tmp_path)
    assert done.returncode == code, done.stderr
    assert Counter(event["event"] for event in spooled(tmp_path)) == {
        "opened": 2000,
        "attempt_started": 2000,
        "attempt_ended": 2000,
        "closed": 2000,
    }


def test_nothing_is_lost_at_exit_with_one(tmp_path: Path) -> None:
    with receiving() as server:
        done = run(MANY, server.url, tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
        assert len({event["id"] for event in server.events} | {e["id"] for e in spooled(tmp_path)}) == 8000


def test_a_server_that_does_not_answer_holds_the_exit_up_for_two_seconds_at_most(tmp_path: Path) -> None:
    with receiving() as server:
        server.delay_s = 20.0
        started = time.monotonic()
        done = run("with task('x'): pass", server.url, tmp_path)
        assert done.returncode == 0
        assert time.monotonic() - started < 4.0
    assert len(spooled(tmp_path)) == 4


def test_one_signal_from_a_short_script_arrives(tmp_path: Path) -> None:
    with receiving() as server:
        run("signal('ticket-4711', 'accepted')", server.url, tmp_path)
        assert server.names() == ["signalled"]
    assert spooled(tmp_path) == []


def test_what_other_ends_of_the_program_say_is_kept_too(tmp_path: Path) -> None:
    program = "import atexit\natexit.register(lambda: signal('t', 'accepted'))\nsignal('t', 'csat', 5)\n"
    run(program, NOWHERE, tmp_path)
    assert [event["name"] for event in spooled(tmp_path)] == ["csat", "accepted"]


def lost_by_a_kill(folder: Path, delay_ms: int, fault: str = "") -> set[str]:
    """What ``flush`` acknowledged before the kill, and is not in the spool after it."""
    program = (
        "n = 0\nwhile True:\n"
        "    for _ in range(50):\n        n += 1\n        signal(f't{n}', 'accepted')\n"
        "    assert flush(5)\n    print(n, flush=True)\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", f"from flatfare_sdk import signal, flush\n{fault}\n{program}"],
        env=environment(NOWHERE, folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert child.stdout is not None
    acknowledged = int(child.stdout.readline())
    time.sleep(delay_ms / 1000)
    child.kill()
    for line in child.stdout.read().decode().splitlines():
        acknowledged = int(line)
    child.wait()
    child.stdout.close()
    return {f"t{number}" for number in range(1, acknowledged + 1)} - {e["task"] for e in spooled(folder)}


@pytest.mark.parametrize("delay_ms", [0, 20, 60, 150, 300])
def test_a_kill_loses_nothing_that_flush_acknowledged(tmp_path: Path, delay_ms: int) -> None:
    assert lost_by_a_kill(tmp_path, delay_ms) == set()


@pytest.mark.soak
def test_two_hundred_kills_lose_nothing_that_flush_acknowledged(tmp_path: Path) -> None:
    for number in range(200):
        assert lost_by_a_kill(tmp_path / str(number), number % 40) == set()


def test_the_check_of_kills_can_fail(tmp_path: Path) -> None:
    fault = "from flatfare_sdk import spool\nspool.Segment._write = lambda self, data: None\n"
    assert lost_by_a_kill(tmp_path, 20, fault)


def test_a_kill_loses_no_more_than_the_last_group(tmp_path: Path) -> None:
    """One event a millisecond: what is older than the interval, and some for a busy machine, is there."""
    program = "n = 0\nwhile True:\n    n += 1\n    signal(f't{n}', 'accepted')\n    time.sleep(0.001)\n"
    losses = []
    for number in range(3):
        folder = tmp_path / str(number)
        child = subprocess.Popen(
            [sys.executable, "-c", "import time\nfrom flatfare_sdk import signal\n" + program],
            env=environment(NOWHERE, folder),
            stderr=subprocess.DEVNULL,
        )
        assert until(lambda folder=folder: len(spooled(folder)) > 100)
        killed_us = time.time_ns() // 1000
        child.send_signal(signal.SIGKILL)
        child.wait()
        losses.append(killed_us - max(event["at"] for event in spooled(folder)))
    assert min(losses) < 120_000


def test_what_a_killed_process_left_goes_with_the_next_one(tmp_path: Path) -> None:
    program = "with task('first'): pass\nflush()\nos.kill(os.getpid(), 9)\n"
    with receiving() as server:
        url = server.url
    assert run(program, url, tmp_path).returncode == -9
    with receiving(int(url.rpartition(":")[2])) as server:
        run("signal('t', 'accepted')\ntime.sleep(1)", url, tmp_path)
        assert sorted(server.names()) == sorted(
            ["signalled", "opened", "attempt_started", "attempt_ended", "closed"]
        )
    assert list(tmp_path.rglob("*.events")) == []


def test_many_processes_share_a_spool_and_drain_it_once(tmp_path: Path) -> None:
    with receiving() as server:
        url = server.url
    for _ in range(5):
        run("for n in range(100): signal(f'{os.getpid()}-{n}', 'accepted')", url, tmp_path)
    assert len(spooled(tmp_path)) == 500
    with receiving(int(url.rpartition(":")[2])) as server:
        children = [
            subprocess.Popen(
                [sys.executable, "-c", "import time, flatfare_sdk as f\nf.signal('t', 'x')\ntime.sleep(2)"],
                env=environment(url, tmp_path),
            )
            for _ in range(4)
        ]
        assert [child.wait(30) for child in children] == [0] * 4
        assert len(server.events) == 504
        assert server.known == 0
    assert list(tmp_path.rglob("*.events")) == []


FORKS = """
with task("parent") as t:
    signal("t", "before")
    pid = os.fork()
    if pid == 0:
        assert current() is t
        t.signal("in-child")
        with task("child"): pass
        sys.exit(0)
    os.waitpid(pid, 0)
    signal("t", "after")
"""


def test_a_fork_records_its_own_and_repeats_nothing_of_its_parent_s(tmp_path: Path) -> None:
    done = run(FORKS, NOWHERE, tmp_path)
    assert done.returncode == 0, done.stderr
    events = spooled(tmp_path)
    assert len({event["id"] for event in events}) == len(events)
    assert Counter(event.get("name", event["event"]) for event in events) == {
        "parent": 1,
        "child": 1,
        "before": 1,
        "in-child": 1,
        "after": 1,
        "attempt_started": 2,
        "attempt_ended": 2,
        "closed": 2,
    }


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_workers_of_multiprocessing_lose_nothing(tmp_path: Path, method: str) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import multiprocessing, sys\nfrom flatfare_sdk import signal, task\n\n"
        "def work(n):\n    with task('x', id=str(n)):\n        signal(str(n), 'accepted')\n\n"
        "if __name__ == '__main__':\n"
        f"    context = multiprocessing.get_context({method!r})\n"
        "    signal('parent', 'accepted')\n"
        "    children = [context.Process(target=work, args=(n,)) for n in range(4)]\n"
        "    [child.start() for child in children]\n    [child.join() for child in children]\n"
        "    with context.Pool(2) as pool:\n        pool.map(work, range(10, 30))\n"
        "        pool.close(); pool.join()\n"
    )
    done = subprocess.run(
        [sys.executable, str(program)],
        env=environment(NOWHERE, tmp_path / "spool"),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    counted = Counter(event["event"] for event in spooled(tmp_path / "spool"))
    assert counted == {
        "opened": 24,
        "attempt_started": 24,
        "attempt_ended": 24,
        "closed": 24,
        "signalled": 25,
    }


def test_a_handler_of_signals_may_record(tmp_path: Path) -> None:
    program = (
        "import signal as s\n"
        "s.signal(s.SIGALRM, lambda *_: signal('t', 'interrupted'))\n"
        "s.setitimer(s.ITIMER_REAL, 0.0005, 0.0005)\n"
        "end = time.monotonic() + 1\n"
        "while time.monotonic() < end: signal('t', 'usual')\n"
        "s.setitimer(s.ITIMER_REAL, 0)\n"
        "print(status().waiting >= 0)\n"
    )
    done = run(program, NOWHERE, tmp_path)
    assert done.stdout == "True\n", done.stderr
    counted = Counter(event["name"] for event in spooled(tmp_path))
    assert counted["interrupted"] > 100
    assert counted["usual"] > 1000


def test_threads_record_together(tmp_path: Path) -> None:
    program = (
        "import threading\n"
        "def work(n):\n    for i in range(500): signal(f'{n}-{i}', 'accepted')\n"
        "threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]\n"
        "[t.start() for t in threads]; [t.join() for t in threads]\n"
    )
    run(program, NOWHERE, tmp_path)
    assert len({event["task"] for event in spooled(tmp_path)}) == 4000
