"""Each thing a hostile command would do is tried, and held: as root and as an ordinary user.

The commands are bounded themselves, so that a sandbox that fails harms nothing.
"""

import os
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from flatfare.verifiers.sandbox import containing
from flatfare.verifiers.sandbox.order import MEGABYTE, Ended, Limits, Order, Refused

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="containment is Linux's")

PYTHON = "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable
# After a change of user a process is closed to its own user, who could then not map itself.
AS_USER = (
    "import ctypes, os, sys; sys.path.insert(0, sys.argv[1]); "
    "from flatfare.verifiers.sandbox.stage import main; "
    "os.setgroups([]); os.setresgid(65533, 65533, 65533); os.setresuid(65533, 65533, 65533); "
    "ctypes.CDLL(None).prctl(4, 1, 0, 0, 0); main()"
)
SMALL = Limits(seconds=5, memory_bytes=256 * MEGABYTE, processes=24, output_bytes=20_000)

Shell = Callable[..., Ended]


@pytest.fixture(params=["root", "user"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways in: with the rights of root, and without."""
    if os.geteuid() != 0 and request.param == "root":
        pytest.skip("needs root")
    if os.geteuid() == 0 and request.param == "user":
        monkeypatch.setattr(containing, "_START", AS_USER)
    probe = containing.run(Order(("true",)))
    if isinstance(probe, Refused):
        pytest.skip(f"this machine cannot contain a command: {probe.reason}")
    return request.param


@pytest.fixture
def shell(way: str) -> Shell:
    """Runs a line of shell in the sandbox."""
    return lambda line, **given: ran(("sh", "-c", line), **given)


@pytest.fixture
def python(way: str) -> Shell:
    """Runs a program of Python in the sandbox."""
    return lambda text, **given: ran((PYTHON, "program.py"), files={"program.py": text.encode()}, **given)


def ran(argv: tuple[str, ...], *, limits: Limits = SMALL, **given: object) -> Ended:
    answer = containing.run(Order(argv, limits=limits, **given))  # type: ignore[arg-type]
    assert isinstance(answer, Ended), answer
    return answer


def test_a_command_ends_with_its_exit_code_and_its_output(shell: Shell) -> None:
    answer = shell("echo out; echo err >&2; exit 7")
    assert (answer.exit_code, answer.stopped, answer.output) == (7, None, b"out\nerr\n")


def test_a_killing_signal_is_told(shell: Shell) -> None:
    assert shell("kill -TERM $$").exit_code == -15


def test_files_are_given_and_kept(shell: Shell) -> None:
    answer = shell(
        "tr a-z A-Z < a/given > a/made",
        files={"a/given": b"text"},
        kept=("a/made", "a/missing"),
    )
    assert answer.kept == {"a/made": b"TEXT"}


def test_an_executable_file_can_be_run(way: str) -> None:
    assert ran(("./go",), files={"go": b"#!/bin/sh\necho ran\n"}).output == b"ran\n"


def test_a_command_that_is_not_there_is_refused(way: str) -> None:
    answer = containing.run(Order(("no-such-program",)))
    assert isinstance(answer, Refused)
    assert "'no-such-program' could not be started" in answer.reason


# --- what a hostile command would do


def test_a_fork_bomb_is_held(python: Shell) -> None:
    answer = python(
        "import os, time\n"
        "made = 0\n"
        "for _ in range(300):\n"
        "    try:\n"
        "        if os.fork() == 0:\n"
        "            time.sleep(3); os._exit(0)\n"
        "        made += 1\n"
        "    except BlockingIOError:\n"
        "        break\n"
        "print(made, flush=True)\n"
        "os._exit(0)\n"
    )
    assert 1 <= int(answer.output) <= SMALL.processes + 2


def test_threads_count_as_processes(python: Shell) -> None:
    answer = python(
        "import threading, time, os\n"
        "made = 0\n"
        "try:\n"
        "    for _ in range(300):\n"
        "        threading.Thread(target=time.sleep, args=(3,), daemon=True).start(); made += 1\n"
        "except RuntimeError: pass\n"
        "print(made, flush=True); os._exit(0)\n"
    )
    assert 1 <= int(answer.output) <= SMALL.processes + 2


def test_an_endless_loop_is_stopped(shell: Shell) -> None:
    began = time.monotonic()
    answer = shell("while :; do :; done", limits=Limits(seconds=1))
    assert (answer.exit_code, answer.stopped) == (None, "time")
    assert time.monotonic() - began < 8


def test_a_command_that_ignores_signals_is_stopped(python: Shell) -> None:
    text = "import signal, time\nfor n in (1, 2, 15): signal.signal(n, signal.SIG_IGN)\ntime.sleep(20)"
    assert python(text, limits=Limits(seconds=1)).stopped == "time"


def test_huge_output_is_cut_and_stopped(shell: Shell) -> None:
    answer = shell("head -c 200000000 /dev/zero", limits=Limits(seconds=10, output_bytes=5000))
    assert answer.stopped == "output"
    assert answer.output == bytes(5000)


def test_nothing_outside_its_folder_can_be_written(shell: Shell, tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    for folder in tmp_path.parents:
        if folder.stat().st_uid == os.geteuid() and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o011)
    victim = tmp_path / "victim"
    victim.write_text("whole")
    victim.chmod(0o666)
    places = [
        str(victim),
        str(tmp_path / "new"),
        "/new",
        "/usr/new",
        "/etc/passwd",
        "/usr/bin/env",
        "/dev/new",
        "/proc/sys/kernel/hostname",
        "/proc/sysrq-trigger",
    ]
    lines = "".join(f"(echo x > {place}) 2>/dev/null && echo WROTE {place}; " for place in places)
    assert shell(f"{lines} echo done", readable=(str(tmp_path),)).output == b"done\n"
    assert victim.read_text() == "whole"
    assert sorted(tmp_path.iterdir()) == [victim]


def test_what_it_writes_is_written_to_no_disk(shell: Shell) -> None:
    name = f"left-{uuid.uuid4().hex}"
    assert shell(f"echo x > /tmp/{name} && echo x > {name} && ls /tmp | grep -c left").output == b"1\n"
    assert not Path("/tmp", name).exists()
    assert not Path("/task", name).exists()


def test_only_what_is_named_can_be_read(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    for place in (
        tmp_path / "secret",
        Path("/etc/shadow"),
        Path("/etc/hostname"),
        Path("/var"),
        Path("/sys"),
    ):
        assert shell(f"cat {place} || ls {place}").exit_code != 0, place


def test_a_file_may_not_grow_past_its_limit(shell: Shell) -> None:
    answer = shell(
        "head -c 3000000 /dev/zero > big; ls -l big", limits=Limits(seconds=5, file_bytes=MEGABYTE)
    )
    assert b" 1048576 " in answer.output


def test_many_files_may_not_fill_the_machine(shell: Shell) -> None:
    limits = Limits(seconds=20, folder_bytes=4 * MEGABYTE, folder_files=50)
    full = shell("for i in 1 2 3 4 5 6 7 8; do head -c 1000000 /dev/zero > $i; done; du -sk .", limits=limits)
    assert int(full.output.split()[-2]) <= 4 * 1024
    many = shell("for i in $(seq 200); do touch $i; done 2>/dev/null; ls | wc -l", limits=limits)
    assert int(many.output.split()[-1]) <= 50


def test_one_process_may_not_take_more_memory(python: Shell) -> None:
    text = "try: held = bytearray(400 << 20); print('HELD')\nexcept MemoryError: print('refused')"
    assert python(text).output == b"refused\n"


def test_all_processes_together_may_not_take_more_memory(python: Shell) -> None:
    answer = python(
        "import os, time\n"
        "for _ in range(4):\n"
        "    if os.fork() == 0:\n"
        "        held = bytearray(100 << 20)\n"
        "        held[::4096] = bytes(len(held[::4096])).replace(b'\\0', b'x')\n"
        "        time.sleep(4); os._exit(0)\n"
        "time.sleep(4)\n"
    )
    assert answer.stopped == "memory"


@pytest.mark.parametrize("call", ["os.memfd_create('x')", "ctypes_shmget()", "keyctl()", "io_uring()"])
def test_memory_and_keys_that_no_limit_counts_are_refused(python: Shell, call: str) -> None:
    answer = python(
        "import ctypes, os, platform\n"
        "x86 = platform.machine() == 'x86_64'\n"
        "def do(number, *given):\n"
        "    libc = ctypes.CDLL(None, use_errno=True)\n"
        "    if libc.syscall(ctypes.c_long(number), *given) < 0: raise OSError(ctypes.get_errno(), '')\n"
        "def ctypes_shmget(): do(29 if x86 else 194, 0, ctypes.c_size_t(4096), 0o1600)\n"
        "def keyctl(): do(250 if x86 else 219, 0, -3, 0)\n"
        "def io_uring(): do(425, 1, ctypes.create_string_buffer(256))\n"
        f"try: {call}; print('GOT IT')\n"
        "except OSError as problem: print('refused', problem.errno)\n"
    )
    assert answer.output in (b"refused 1\n", b"refused 38\n")


def test_the_environment_holds_no_secret(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-of-the-host")
    answer = shell("env; cat /proc/*/environ | tr '\\0' '\\n'", environment={"GIVEN": "yes"})
    assert b"GIVEN=yes" in answer.output
    assert b"secret" not in answer.output


def test_another_process_cannot_be_looked_into(python: Shell) -> None:
    answer = python(
        "import os\n"
        "for place in ('environ', 'mem', 'maps', 'root', 'cwd', 'fd'):\n"
        "    try:\n"
        "        path = f'/proc/1/{place}'\n"
        "        os.listdir(path) if place in ('root', 'cwd', 'fd') else open(path, 'rb').read(1)\n"
        "        print('READ', place)\n"
        "    except OSError: pass\n"
        "print(sorted(int(n) for n in os.listdir('/proc') if n.isdigit() and int(n) > 2))\n"
        f"try: os.kill({os.getpid()}, 0); print('SEEN')\n"
        "except ProcessLookupError: print('no such process')\n"
    )
    assert answer.output == b"[]\nno such process\n"


def test_the_first_process_cannot_be_killed_or_traced(python: Shell) -> None:
    answer = python(
        "import ctypes, os, signal\n"
        "for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGSTOP):\n"
        "    try: os.kill(1, number)\n"
        "    except OSError: pass\n"
        "libc = ctypes.CDLL(None)\n"
        "print('traced' if libc.ptrace(16, 1, 0, 0) == 0 else 'alone')\n"
    )
    assert (answer.exit_code, answer.output) == (0, b"alone\n")


def test_no_socket_reaches_this_machine_or_another(python: Shell) -> None:
    with socket.socket() as listener, socket.socket(socket.AF_UNIX) as abstract:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        name = f"\0flatfare-{uuid.uuid4().hex}"
        abstract.bind(name)
        abstract.listen()
        answer = python(
            "import socket\n"
            f"tries = [(socket.AF_INET, ('127.0.0.1', {listener.getsockname()[1]})),\n"
            "    (socket.AF_INET, ('192.0.2.1', 80)), (socket.AF_INET6, ('::1', 80)),\n"
            f"    (socket.AF_UNIX, {name!r}), (40, (2, 1024)), (17, None), (38, None)]\n"
            "for family, address in tries:\n"
            "    try:\n"
            "        with socket.socket(family, socket.SOCK_STREAM) as s:\n"
            "            s.settimeout(1); s.connect(address); print('CONNECTED', family)\n"
            "    except OSError: pass\n"
            "try: print(socket.getaddrinfo('example.com', 80))\n"
            "except OSError: pass\n"
        )
    assert answer.output == b""


def test_it_cannot_gain_rights(python: Shell) -> None:
    answer = python(
        "import ctypes, os\n"
        "libc = ctypes.CDLL(None)\n"
        "for flag in (0x10000000, 0x00020000, 0x40000000):\n"
        "    print(libc.unshare(flag), end=' ')\n"
        "print(libc.mount(b'tmpfs', b'/task/.tmp', b'tmpfs', 0, None), end=' ')\n"
        "print(libc.syscall(ctypes.c_long(56 if os.uname().machine == 'x86_64' else 220),\n"
        "    ctypes.c_ulong(0x10000011), 0, 0, 0, 0), end=' ')\n"
        "print([line.split()[1] for line in open('/proc/self/status') if line[:6] in ('CapEff', 'CapBnd')])\n"
    )
    assert answer.output == b"-1 -1 -1 -1 -1 ['0000000000000000', '0000000000000000']\n"


def test_a_daemon_left_behind_dies(python: Shell) -> None:
    mark = f"daemon-{uuid.uuid4().hex}"
    answer = python(
        "import os, sys, time\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    if os.fork() == 0:\n"
        f"        os.execv({PYTHON!r}, ['python3', '-c', 'import time; time.sleep(20)', {mark!r}])\n"
        "    os._exit(0)\n"
        "time.sleep(0.3)\n"
        "print('left')\n"
    )
    assert (answer.exit_code, answer.output) == (0, b"left\n")
    assert processes_with(mark) == []


def test_nothing_is_left_of_one_that_is_stopped(shell: Shell) -> None:
    seconds = 30 + int.from_bytes(os.urandom(2), "big") / 1e5
    shell(f"sleep {seconds} & sleep {seconds}", limits=Limits(seconds=0.5))
    assert processes_with(str(seconds)) == []


def test_it_dies_with_the_process_that_ordered_it(way: str) -> None:
    seconds = f"{31 + int.from_bytes(os.urandom(2), 'big') / 1e5}"
    owner = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "from flatfare.verifiers.sandbox import containing as c; "  # noqa: ISC004
            f"c._START = {containing._START!r}; "
            "from flatfare.verifiers.sandbox.order import Order; "
            f"c.run(Order(('sleep', '{seconds}')))",
        ],
        env={**os.environ, "PYTHONPATH": str(Path(containing.__file__).parents[3])},
    )
    wait_until(lambda: bool(processes_with(seconds, "sleep")))
    owner.kill()
    owner.wait()
    wait_until(lambda: not processes_with(seconds, "sleep"))


def test_a_link_out_of_the_folder_is_not_followed(shell: Shell) -> None:
    answer = shell(
        "ln -s /etc/passwd report.xml; ln -s /usr deep; mkfifo pipe",
        kept=("report.xml", "deep/bin/env", "pipe"),
    )
    assert answer.kept == {}


# --- where it cannot be contained


def test_what_cannot_be_contained_is_not_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(containing.sys, "platform", "darwin")
    answer = containing.run(Order(("touch", str(tmp_path / "ran"))))
    assert answer == Refused("darwin is not Linux")
    assert not (tmp_path / "ran").exists()


def test_a_kernel_that_refuses_namespaces_refuses_the_command(
    way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusing = containing._START.replace(
        "main()",
        "from flatfare.verifiers.sandbox import kernel\n"
        "def refuse(what): raise PermissionError(1, 'unshare: Operation not permitted')\n"
        "kernel.unshare = refuse\nmain()",
    )
    monkeypatch.setattr(containing, "_START", refusing)
    answer = containing.run(Order(("true",)))
    assert isinstance(answer, Refused)
    assert "namespaces are refused" in answer.reason
    assert "run as" in answer.reason


def test_it_runs_uncontained_only_when_told_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(containing.sys, "platform", "darwin")
    order = Order(
        ("sh", "-c", "cat in; echo made > out"), files={"in": b"given\n"}, kept=("out",), limits=SMALL
    )
    answer = containing.run(order, allow_uncontained=True)
    assert answer == Ended(0, None, b"given\n", {"out": b"made\n"}, "darwin is not Linux")


@pytest.mark.parametrize(
    ("line", "stopped"),
    [("sleep 30", "time"), ("sleep 30 & echo", "time"), ("head -c 90000 /dev/zero", "output")],
)
def test_uncontained_it_still_has_limits(monkeypatch: pytest.MonkeyPatch, line: str, stopped: str) -> None:
    monkeypatch.setattr(containing.sys, "platform", "darwin")
    limits = Limits(seconds=1, output_bytes=1000)
    answer = containing.run(Order(("sh", "-c", line), limits=limits), allow_uncontained=True)
    assert isinstance(answer, Ended)
    assert answer.stopped == stopped


def processes_with(mark: str, program: str = "") -> list[str]:
    """Processes of the machine with this in their arguments."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and folder.name != str(os.getpid()):
            try:
                arguments = (folder / "cmdline").read_bytes()
            except OSError:
                continue
            if mark.encode() in arguments and arguments.startswith(program.encode()):
                found.append(folder.name)
    return found


def wait_until(is_so: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
