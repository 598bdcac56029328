"""The filter of system calls that closes what namespaces leave open.

Sockets outside the network namespace (to the hypervisor, say), memory that no limit
counts, the kernel's key rings, and the making of new namespaces, in which a process would
have rights again. What is unknown here is a processor that is refused, never one let through.
"""

import errno
import struct

# From asm/unistd_64.h and asm-generic/unistd.h of Linux 6.12, read 2026-11-21.
_X86 = {
    "socket": 41, "clone": 56, "unshare": 272, "setns": 308, "mount": 165, "pivot_root": 155,
    "memfd_create": 319, "shmget": 29, "msgget": 68, "semget": 64, "mq_open": 240,
    "add_key": 248, "request_key": 249, "keyctl": 250,
    "bpf": 321, "perf_event_open": 298, "userfaultfd": 323, "fanotify_init": 300,
}  # fmt: skip
_GENERIC = {
    "socket": 198, "clone": 220, "unshare": 97, "setns": 268, "mount": 40, "pivot_root": 41,
    "memfd_create": 279, "shmget": 194, "msgget": 186, "semget": 190, "mq_open": 180,
    "add_key": 217, "request_key": 218, "keyctl": 219,
    "bpf": 280, "perf_event_open": 241, "userfaultfd": 282, "fanotify_init": 262,
}  # fmt: skip
_EVERYWHERE = {
    "memfd_secret": 447, "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427,
    "clone3": 435, "open_tree": 428, "move_mount": 429, "fsopen": 430, "fsconfig": 431,
    "fsmount": 432, "fspick": 433,
}  # fmt: skip

_ABI = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7, "riscv64": 0xC00000F3}  # linux/audit.h
_X32_BIT = 0x40000000
_FAMILIES = (1, 2, 10, 16)  # Unix, IPv4, IPv6, netlink: the ones that a network namespace holds
_NEW_NAMESPACES = 0x7E020000  # every CLONE_NEW… that clone takes
_MISSING = ("clone3", "io_uring_setup")  # programs fall back to another call where these do not exist

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16
_ALLOW, _KILL, _ERROR = 0x7FFF0000, 0x80000000, 0x00050000


def instructions(machine: str) -> bytes:
    """The filter for a processor; ``KeyError`` where its calls are not known.

    >>> len(instructions("x86_64")) % 8
    0
    """
    calls = {**_EVERYWHERE, **(_X86 if machine == "x86_64" else _GENERIC)}
    parts = [_step(_LOAD, _ARCHITECTURE), _step(_EQUAL, _ABI[machine], 1, 0), _step(_RETURN, _KILL)]
    parts.append(_step(_LOAD, _NUMBER))
    if machine == "x86_64":
        parts += [_step(_AT_LEAST, _X32_BIT, 0, 1), _error(errno.ENOSYS)]
    for name, number in sorted(calls.items()):
        if name not in ("socket", "clone"):
            answer = errno.ENOSYS if name in _MISSING else errno.EPERM
            parts += [_step(_EQUAL, number, 0, 1), _error(answer)]
    namespaces = [_step(_ANY_BIT, _NEW_NAMESPACES, 0, 1), _error(errno.EPERM)]
    parts += _on_first_argument(calls["clone"], namespaces)
    families = [_step(_EQUAL, family, len(_FAMILIES) - place, 0) for place, family in enumerate(_FAMILIES)]
    parts += _on_first_argument(calls["socket"], [*families, _error(errno.EAFNOSUPPORT)])
    return b"".join([*parts, _step(_RETURN, _ALLOW)])


def _on_first_argument(number: int, steps: list[bytes]) -> list[bytes]:
    """Look at one call's first argument; whoever falls through is allowed."""
    body = [_step(_LOAD, _FIRST_ARGUMENT), *steps, _step(_RETURN, _ALLOW)]
    return [_step(_EQUAL, number, 0, len(body)), *body]


def _error(number: int) -> bytes:
    return _step(_RETURN, _ERROR | number)


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)
