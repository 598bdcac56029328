"""Which process works at a run, and whether it still lives: the grounds on which another may take over."""

import os
import secrets
import socket
from contextlib import suppress
from pathlib import Path

LEASE_US = 30_000_000
"""How long a process is believed to live without a sign; it gives one three times as often."""


def own_name() -> str:
    """This process, told apart from every other that ever had its number."""
    return f"{_machine()}/{os.getpid()}/{_born(os.getpid())}/{secrets.token_hex(4)}"


def is_gone(owner: str | None, alive_until_us: int, now_us: int) -> bool:
    """The process is known to have ended, or has given no sign for longer than its lease."""
    if owner is None:
        return True
    host, _, rest = owner.partition("/")
    pid, _, rest = rest.partition("/")
    born = rest.partition("/")[0]
    if host == _machine() and pid.isdigit() and born != "0":
        return _born(int(pid)) != born
    return alive_until_us < now_us


def _machine() -> str:
    """This start of this machine, and the room in it in which numbers name processes."""
    with suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}.{os.readlink('/proc/self/ns/pid')}"
    return socket.gethostname().replace("/", "_")


def _born(pid: int) -> str:
    """When a process of this machine began, in its own measure; 0 where that cannot be told."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return "0" if not Path("/proc/self/stat").exists() else "gone"
    return "gone" if fields[0] in "ZX" else fields[19]
