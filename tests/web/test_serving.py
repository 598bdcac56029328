"""``flatfare serve``: one address for calls, pages and API, and the token that lets its user in."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def served(folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A gateway of its own processes, and its first line."""
    command = [sys.executable, "-m", "flatfare", "serve", "--listen", "127.0.0.1:0"]
    command += ["--database", f"sqlite:///{folder}/book.db", "--lake", f"{folder}/lake"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ, cwd=folder
    )
    try:
        assert process.stderr is not None
        yield process, process.stderr.readline()
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        process.stderr.close()


def get(url: str, token: str | None = None) -> tuple[int, bytes]:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=20) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as problem:
        with problem:
            return problem.code, problem.read()


def test_the_first_line_lets_the_user_in_and_nobody_else(tmp_path: Path) -> None:
    with served(tmp_path) as (_, line):
        found = re.fullmatch(
            r"Flatfare serves at (http://127\.0\.0\.1:\d+) \(yours: \1/\?token=(\S+)\)\n", line
        )
        assert found is not None, line
        status, body = get(f"{found[1]}/api/report", found[2])
        assert status == 200
        assert json.loads(body)["rows"] == []
        assert get(f"{found[1]}/api/report")[0] == 401
        assert get(f"{found[1]}/healthz") == (200, b'{"status":"ok"}')


def test_a_program_that_reads_stdout_finds_the_first_line_there_alone(tmp_path: Path) -> None:
    with served(tmp_path) as (process, line):
        assert process.stdout is not None
        assert process.stdout.readline() == line
        process.send_signal(signal.SIGTERM)
        assert process.stdout.read() == ""


def test_the_process_of_pages_is_started_anew_when_it_is_killed(tmp_path: Path) -> None:
    with served(tmp_path) as (process, line):
        url = line.split()[3]
        assert get(f"{url}/openapi.json")[0] == 200
        for pid in _pages(process.pid):
            os.kill(pid, signal.SIGKILL)
        assert get(f"{url}/healthz")[0] == 200
        deadline = time.monotonic() + 20
        while get(f"{url}/openapi.json")[0] != 200:
            assert time.monotonic() < deadline
            time.sleep(0.1)


def _pages(supervisor: int) -> list[int]:
    """Children that hold the socket of pages."""
    lines = [line.split() for line in Path("/proc/net/unix").read_text().splitlines()[1:]]
    wanted = {f"socket:[{line[6]}]" for line in lines if line[-1].endswith("/pages.sock")}
    children = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()
    return [
        int(pid)
        for pid in children
        if wanted & {os.readlink(entry) for entry in Path(f"/proc/{pid}/fd").iterdir()}
    ]
