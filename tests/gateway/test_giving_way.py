"""Giving way, as the kernel tells of it."""

import os
import platform
import subprocess
import sys

import pytest

SAID = """
import ctypes, os, threading
from flatfare.gateway import giving_way as g
before = os.getpriority(os.PRIO_PROCESS, 0)
g.give_way(3)
def say():
    is_ = g._Attributes()
    asked = {314: 315, 274: 275}[g._NUMBERS[os.uname().machine]]
    refused = ctypes.CDLL(None).syscall(asked, 0, ctypes.byref(is_), ctypes.sizeof(is_), 0)
    print("does not say" if refused else f"{is_.policy} {is_.nice - before} {is_.runtime}")
say()
thread = threading.Thread(target=say)
thread.start()
thread.join()
"""


@pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() not in ("x86_64", "aarch64", "riscv64"),
    reason="only Linux tells of slices, and these machines' system calls are known",
)
def test_the_kernel_takes_the_wish_for_the_process_and_its_threads() -> None:
    said = subprocess.run([sys.executable, "-c", SAID], capture_output=True, text=True, check=True).stdout
    if "does not say" in said:
        pytest.skip("this system does not say how long a process keeps a core")
    slice_ns = "200000" if _kernel() >= (6, 12) else "0"
    assert said.split("\n")[:2] == [f"{os.SCHED_OTHER} 3 {slice_ns}"] * 2


def _kernel() -> tuple[int, ...]:
    return tuple(int(part) for part in platform.release().split(".")[:2])
