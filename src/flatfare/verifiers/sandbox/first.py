"""The first process of the sandbox: it gives up every right, starts the command, and outlives it by nothing.

When it ends the kernel kills whatever the command left behind; it ends when the command
does, when a limit is reached, and when the process that built the sandbox dies.
"""

import json
import os
import resource
import signal
from dataclasses import dataclass
from pathlib import Path

from flatfare.verifiers.sandbox import kernel, syscalls
from flatfare.verifiers.sandbox.order import FOLDER, Order
from flatfare.verifiers.sandbox.rooms import build

OWN_PROCESSES = 3  # this one, and those that built the sandbox where they are counted with it


@dataclass(frozen=True, slots=True)
class Ends:
    """The ends of the pipes it holds: the word to go, its reports, the command's output."""

    go: int
    report: int
    output: int


def live(order: Order, user: int, group: int, is_root: bool, ends: Ends) -> None:
    """Run the command; never returns."""
    try:
        build(order.readable, order.limits, user, group)
        _give_up_rights(user, group, is_root)
        _write_files(order)
        _report(ends.report, ready=True)
        if os.read(ends.go, 1) != b"g":
            os._exit(0)
        child = os.fork()
        if child == 0:
            _become_command(order, ends)
        os.close(ends.output)
        _report(ends.report, ended=_wait_for(child))
    except (OSError, KeyError) as problem:
        _report(ends.report, refused=f"the sandbox could not be prepared ({problem})")
    finally:
        os._exit(0)


def _report(end: int, **fields: object) -> None:
    os.write(end, json.dumps(fields).encode() + b"\n")


def _give_up_rights(user: int, group: int, is_root: bool) -> None:
    for number in (signal.SIGINT, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)  # the first process gets no signal it has no handler for
    kernel.gain_nothing()
    if is_root:
        os.setgroups([])
        os.setresgid(group, group, group)
        os.setresuid(user, user, user)
    kernel.be_closed_to_others()
    kernel.die_with_parent(signal.SIGKILL)  # after the change of user, which clears it


def _write_files(order: Order) -> None:
    os.umask(0o022)
    for path, content in order.files.items():
        place = Path(FOLDER, path)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
        if content.startswith((b"#!", b"\x7fELF")):
            place.chmod(0o755)


def _wait_for(child: int) -> int:
    """The command's exit code, having reaped everything that died before it."""
    while True:
        process, status = os.wait()
        if process == child:
            return os.waitstatus_to_exitcode(status)


def _become_command(order: Order, ends: Ends) -> None:
    try:
        os.setsid()
        os.chdir(FOLDER)
        os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
        for stream in (1, 2):
            os.dup2(ends.output, stream)
        os.set_inheritable(ends.report, False)
        for end in range(3, 256):
            if end != ends.report:
                _close(end)
        set_limits(order)
        kernel.filter_calls(syscalls.instructions(kernel.machine()))
        os.execvpe(order.argv[0], order.argv, dict(order.environment))
    except (OSError, ValueError, KeyError) as problem:
        _report(ends.report, refused=f"{order.argv[0]!r} could not be started ({problem})")
    finally:
        os._exit(127)


def _close(end: int) -> None:
    try:
        os.close(end)
    except OSError:
        return


def set_limits(order: Order) -> None:
    """Put the limits on this process that the kernel keeps by itself."""
    limits = order.limits
    wanted = {
        resource.RLIMIT_AS: limits.memory_bytes,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_CPU: int(limits.seconds) + 1,
        resource.RLIMIT_FSIZE: limits.file_bytes,
        resource.RLIMIT_MEMLOCK: 0,
        resource.RLIMIT_MSGQUEUE: 0,
        resource.RLIMIT_NOFILE: limits.open_files,
        resource.RLIMIT_NPROC: limits.processes + OWN_PROCESSES,
        resource.RLIMIT_SIGPENDING: 1024,
    }
    for which, most in wanted.items():
        _, hard = resource.getrlimit(which)
        value = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(which, (value, value))
