"""Giving way: who works in the background leaves a core to whoever answers a call as soon as that wakes.

Being nice says how much of a core one gets, not how soon it goes back: Linux lets a process finish
its slice of some milliseconds first. A short slice is asked for where the kernel takes such a wish.
"""

import ctypes
import os
import platform
import sys

SLICE_NS = 200_000
"""How long it keeps a core at most while others wait. Linux takes such a wish since 6.12, from 0.1 ms on:
sched_attr.sched_runtime of a normal process (commit 857b158dc5e8, 2024-08). Kernels before read nothing
from it."""

_NUMBERS = {"x86_64": 314, "aarch64": 274, "riscv64": 274}
"""The system call sched_setattr, which libc has no name for (man 2 sched_setattr; syscalls(2))."""


class _Attributes(ctypes.Structure):
    """``struct sched_attr`` as it was first published."""

    _fields_ = (
        ("size", ctypes.c_uint32),
        ("policy", ctypes.c_uint32),
        ("flags", ctypes.c_uint64),
        ("nice", ctypes.c_int32),
        ("priority", ctypes.c_uint32),
        ("runtime", ctypes.c_uint64),
        ("deadline", ctypes.c_uint64),
        ("period", ctypes.c_uint64),
    )


def give_way(by: int) -> None:
    """Let this process, and every thread that it starts from here on, stand back by so many steps of nice.

    Where the system knows no slices, or refuses, the process is only nice.
    """
    nice = os.nice(by)
    number = _NUMBERS.get(platform.machine())
    if sys.platform != "linux" or number is None or os.sched_getscheduler(0) != os.SCHED_OTHER:
        return
    wish = _Attributes(size=ctypes.sizeof(_Attributes), nice=nice, runtime=SLICE_NS)
    ctypes.CDLL(None).syscall(number, 0, ctypes.byref(wish), 0)
