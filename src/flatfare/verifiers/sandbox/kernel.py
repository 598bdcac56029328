"""The few calls of the Linux kernel that Python 3.11 lacks, each raising an ``OSError`` that names it.

Numbers and constants are those of the kernel's own headers (Linux 6.12, read 2026-11-21).
"""

import ctypes
import functools
import os
import platform

NEW_MOUNTS = 0x00020000
NEW_CGROUPS = 0x02000000
NEW_HOSTNAME = 0x04000000
NEW_IPC = 0x08000000
NEW_USERS = 0x10000000
NEW_PROCESSES = 0x20000000
NEW_NETWORK = 0x40000000

NO_SUID, NO_DEVICES, NO_EXECUTION = 0x2, 0x4, 0x8
BIND, RECURSIVE, PRIVATE = 0x1000, 0x4000, 0x40000

_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41, "riscv64": 41}
_MOUNT_SETATTR = 442  # the same on each of them; Linux 5.12
_AT_FDCWD, _AT_RECURSIVE = -100, 0x8000
_ATTRIBUTE_READ_ONLY, _ATTRIBUTE_NO_SUID, _ATTRIBUTE_NO_DEVICES = 0x1, 0x2, 0x4
_DETACH = 0x2

_SET_DEATH_SIGNAL, _SET_DUMPABLE, _SET_SECCOMP, _DROP_BOUNDING, _SET_NO_NEW_PRIVILEGES = 1, 4, 22, 24, 38
_SECCOMP_FILTER = 2
_CAPABILITIES_MAX = 64

MACHINES = frozenset(_PIVOT_ROOT)
"""The processors whose system calls are known here."""


def machine() -> str:
    """The processor, as the kernel calls it."""
    return platform.machine()


def release() -> tuple[int, int]:
    """The kernel's version, its first two numbers."""
    first, second, *_ = os.uname().release.split(".")
    return int(first), int("".join(filter(str.isdigit, second)) or 0)


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _checked(result: int, what: str) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def unshare(what: int) -> None:
    """Part from the machine's namespaces that ``what`` names."""
    _checked(_libc().unshare(ctypes.c_int(what)), "unshare")


def mount(source: str, target: str, kind: str = "", flags: int = 0, options: str = "") -> None:
    """Mount, with the kernel's flags and the file system's options."""
    arguments = (os.fsencode(source), os.fsencode(target), kind.encode() or None)
    result = _libc().mount(*arguments, ctypes.c_ulong(flags), options.encode() or None)
    _checked(result, f"mount on {target}")


def unmount(target: str) -> None:
    """Take away a mount and all below it."""
    _checked(_libc().umount2(os.fsencode(target), _DETACH), f"unmount {target}")


def pivot_root(new: str, old: str) -> None:
    """Make ``new`` the root, and put the one there was at ``old``."""
    call = ctypes.c_long(_PIVOT_ROOT[machine()])
    _checked(_libc().syscall(call, os.fsencode(new), os.fsencode(old)), "pivot_root")


class _MountAttributes(ctypes.Structure):
    _fields_ = (
        ("set", ctypes.c_uint64),
        ("clear", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("users", ctypes.c_uint64),
    )


def make_read_only(target: str, *, and_below: bool) -> None:
    """Let nothing be written to a mount, nor run as its owner, nor opened as a device."""
    wanted = _ATTRIBUTE_READ_ONLY | _ATTRIBUTE_NO_SUID | _ATTRIBUTE_NO_DEVICES
    attributes = _MountAttributes(wanted, 0, 0, 0)
    flags = _AT_RECURSIVE if and_below else 0
    result = _libc().syscall(
        ctypes.c_long(_MOUNT_SETATTR),
        ctypes.c_int(_AT_FDCWD),
        os.fsencode(target),
        ctypes.c_uint(flags),
        ctypes.byref(attributes),
        ctypes.c_size_t(ctypes.sizeof(attributes)),
    )
    _checked(result, f"make {target} read-only")


def die_with_parent(signal_number: int) -> None:
    """Have the kernel send this process a signal when its parent dies."""
    _checked(_prctl(_SET_DEATH_SIGNAL, signal_number), "set the death signal")


def be_closed_to_others() -> None:
    """Keep processes of the same user out of this one's memory and its files under ``/proc``."""
    _checked(_prctl(_SET_DUMPABLE, 0), "be undumpable")


def gain_nothing() -> None:
    """Never gain a right again: no capability is left to gain, and no program lends its owner's."""
    for capability in range(_CAPABILITIES_MAX):
        if _prctl(_DROP_BOUNDING, capability) < 0:
            break
    _checked(_prctl(_SET_NO_NEW_PRIVILEGES, 1), "forbid new privileges")


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def filter_calls(instructions: bytes) -> None:
    """Filter the system calls (BPF, eight bytes an instruction) of this process and all that come of it."""
    program = _Program(len(instructions) // 8, instructions)
    result = _libc().prctl(ctypes.c_int(_SET_SECCOMP), ctypes.c_ulong(_SECCOMP_FILTER), ctypes.byref(program))
    _checked(result, "filter system calls")


def _prctl(option: int, value: int) -> int:
    zero = ctypes.c_ulong(0)
    result = _libc().prctl(ctypes.c_int(option), ctypes.c_ulong(value), zero, zero, zero)
    return int(result)
