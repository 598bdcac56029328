"""The process that builds the sandbox, watches over it from outside, and brings back what is left.

Started alone, by ``containing.run``, with an order on its input; it writes one answer to its
output. It enters namespaces of its own, starts the sandbox's first process, and kills that
one at a limit; the kernel then kills all the others.
"""

import errno
import os
import signal
import stat
import sys
import time
from collections.abc import Callable, Iterator

from flatfare.verifiers.sandbox import kernel
from flatfare.verifiers.sandbox.first import Ends, live
from flatfare.verifiers.sandbox.order import FOLDER, Ended, Limits, Order, Refused, answer_to_json
from flatfare.verifiers.sandbox.watch import Watch, json_of

KERNEL_MIN = (5, 14)  # counts processes per user namespace; 5.12 has read-only mounts with all below them
ALL_BUT_USERS = (
    kernel.NEW_MOUNTS
    | kernel.NEW_PROCESSES
    | kernel.NEW_NETWORK
    | kernel.NEW_IPC
    | kernel.NEW_HOSTNAME
    | kernel.NEW_CGROUPS
)
BUILD_SECONDS = 10.0
FREE_IDS = 0x7000_0000  # above every range that is given to users, services and containers


class CannotContain(Exception):
    """Something here cannot be contained; says what."""


def main() -> None:
    """Answer the order on the standard input."""
    order = Order.from_json(sys.stdin.buffer.read())
    try:
        answer = carry_out(order)
    except CannotContain as problem:
        answer = Refused(str(problem))
    sys.stdout.buffer.write(answer_to_json(answer))
    sys.stdout.buffer.flush()


def carry_out(order: Order) -> Ended | Refused:
    """Contain the command, run it, and read back what is kept."""
    kernel.die_with_parent(signal.SIGKILL)
    is_root = os.geteuid() == 0
    user, group = enter(is_root)
    go, report, output = os.pipe(), os.pipe(), os.pipe()
    first = os.fork()
    if first == 0:
        for end in (go[1], report[0], output[0]):
            os.close(end)
        live(order, user, group, is_root, Ends(go[0], report[1], output[1]))
    for end in (go[0], report[1], output[1]):
        os.close(end)
    answer = json_of(_watched(order.limits, Watch(order.limits, report[0], output[0]), go[1], first))
    if isinstance(answer, Refused):
        return answer
    kept = dict(_kept(order))
    return Ended(answer.exit_code, answer.stopped, answer.output, kept)


def _watched(limits: Limits, watch: Watch, go: int, first: int) -> Watch:
    """What was seen until the end; whatever then still lives is killed."""
    try:
        _wait(watch, lambda: watch.is_ready, BUILD_SECONDS)
        if watch.is_ready:
            os.write(go, b"g")
            if not _wait(watch, lambda: watch.is_over, limits.seconds):
                watch.stop("time")
    finally:
        os.kill(first, signal.SIGKILL)
        os.waitpid(first, 0)
        watch.drain()
    return watch


def _wait(watch: Watch, is_so: Callable[[], bool], seconds: float) -> bool:
    """Look until it is so, or the sandbox has ended; False when the time is up."""
    deadline = time.monotonic() + seconds
    while not (is_so() or watch.is_over):
        if time.monotonic() > deadline:
            return False
        watch.look()
    return True


def enter(is_root: bool) -> tuple[int, int]:
    """Part from the machine, and say which user and group the command will be."""
    if kernel.release() < KERNEL_MIN:
        raise CannotContain("the kernel is older than Linux 5.14, which cannot count the command's processes")
    if kernel.machine() not in kernel.MACHINES:
        raise CannotContain(f"the system calls of a {kernel.machine()} processor are not known")
    user, group = (_free_id("uid_map"), _free_id("gid_map")) if is_root else (os.getuid(), os.getgid())
    try:
        kernel.unshare(ALL_BUT_USERS if is_root else ALL_BUT_USERS | kernel.NEW_USERS)
        if not is_root:
            _write("/proc/self/setgroups", "deny")
            _write("/proc/self/uid_map", f"{user} {user} 1")
            _write("/proc/self/gid_map", f"{group} {group} 1")
    except OSError as problem:
        raise CannotContain(_advice(is_root, problem)) from None
    return user, group


def _advice(is_root: bool, problem: OSError) -> str:
    if is_root:
        return f"namespaces are refused here although this is root ({problem}): run as another user"
    return (
        f"namespaces are refused to users here ({problem}): allow them (sysctl user.max_user_namespaces, "
        "kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns), or run as root"
    )


def _free_id(which: str) -> int:
    """An id that nobody here has: above all ranges in use, or else the highest of the last range mapped."""
    with open(f"/proc/self/{which}", encoding="utf-8") as lines:
        ranges = [tuple(map(int, line.split())) for line in lines]
    wanted = FREE_IDS + int.from_bytes(os.urandom(3), "big")
    if any(first <= wanted < first + count for first, _, count in ranges):
        return wanted
    first, _, count = max(ranges)
    if first + count <= 1:
        raise CannotContain("this is root of a namespace that has no other user to run the command as")
    return first + count - 1


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def _kept(order: Order) -> Iterator[tuple[str, bytes]]:
    for path in order.kept:
        content = _regular_file(path, order.limits.file_bytes)
        if content is not None:
            yield path, content


def _regular_file(path: str, bytes_max: int) -> bytes | None:
    """A file of the folder, never followed through a link: what was run could point it anywhere."""
    folder = os.open(FOLDER, os.O_RDONLY | os.O_DIRECTORY)
    try:
        *above, name = path.split("/")
        for part in above:
            inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
            os.close(folder)
            folder = inner
        file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    except OSError as problem:
        if problem.errno in (errno.ENOENT, errno.ELOOP, errno.ENOTDIR, errno.EACCES, errno.ENXIO):
            return None
        raise
    finally:
        os.close(folder)
    with open(file, "rb") as opened:
        return opened.read(bytes_max) if stat.S_ISREG(os.fstat(file).st_mode) else None
