"""The view of the machine that a command gets: programs to read, one folder to write, nothing else.

Built by the sandbox's first process, in namespaces of its own already. The new root is a small
file system in memory; what is not put there does not exist for the command: no home folders,
no other processes, no devices but the harmless ones. Its folder is in memory too, of a bounded
size, so that nothing at all is written to the machine's disks.
"""

import os
from pathlib import Path

from flatfare.verifiers.sandbox import kernel
from flatfare.verifiers.sandbox.order import FOLDER, Limits

SYSTEM = ("usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32")
CONFIGURATION = ("etc/ld.so.cache", "etc/alternatives", "etc/localtime", "etc/mime.types")
DEVICES = ("null", "zero", "full", "random", "urandom")

_BASE = "/tmp"  # any folder that each machine has: the new root is put over it, seen by nobody else
_OLD, _NEW = "/old", "/new"
_INERT = kernel.NO_SUID | kernel.NO_DEVICES


def build(readable: tuple[str, ...], limits: Limits, user: int, group: int) -> None:
    """Make the new root the root, and leave nothing of the old one behind."""
    kernel.mount("none", "/", flags=kernel.RECURSIVE | kernel.PRIVATE)
    kernel.mount("tmpfs", _BASE, "tmpfs", _INERT, "mode=0755,size=4m")
    for name in (_OLD, _NEW):
        os.mkdir(_BASE + name)
    kernel.pivot_root(_BASE, _BASE + _OLD)
    os.chdir("/")
    kernel.mount("tmpfs", _NEW, "tmpfs", _INERT, "mode=0755,size=4m,nr_inodes=4k")
    for name in SYSTEM:
        _show(name)
    _make_folder(limits, user, group)
    for path in (*CONFIGURATION, *(path.lstrip("/") for path in readable)):
        _show(path)
    _make_devices()
    _write_accounts(user, group)
    os.mkdir(_NEW + "/proc")
    # While the old one is still in sight: the kernel shows processes only to who could see them before.
    kernel.mount("proc", _NEW + "/proc", "proc", _INERT | kernel.NO_EXECUTION)
    os.chdir(_NEW)
    kernel.pivot_root(".", ".")
    kernel.unmount(".")
    os.chdir("/")
    kernel.make_read_only("/", and_below=False)


def _show(path: str) -> None:
    """Put a file or folder of the machine under its own path, to be read only; none where none is."""
    source, target = f"{_OLD}/{path}", f"{_NEW}/{path}"
    if os.path.lexists(target) or not os.path.lexists(source):
        return
    os.makedirs(os.path.dirname(target), exist_ok=True)
    if os.path.islink(source):
        os.symlink(os.readlink(source), target)
        return
    if os.path.isdir(source):
        os.mkdir(target)
    else:
        Path(target).touch()
    kernel.mount(source, target, flags=kernel.BIND | kernel.RECURSIVE)
    kernel.make_read_only(target, and_below=True)


def _make_devices() -> None:
    os.mkdir(_NEW + "/dev")
    for name in DEVICES:
        Path(f"{_NEW}/dev/{name}").touch()
        kernel.mount(f"{_OLD}/dev/{name}", f"{_NEW}/dev/{name}", flags=kernel.BIND)
    for name, target in (("fd", "/proc/self/fd"), ("stdin", "/proc/self/fd/0")):
        os.symlink(target, f"{_NEW}/dev/{name}")
    for name, number in (("stdout", 1), ("stderr", 2)):
        os.symlink(f"/proc/self/fd/{number}", f"{_NEW}/dev/{name}")
    os.symlink("/tmp", f"{_NEW}/dev/shm")


def _make_folder(limits: Limits, user: int, group: int) -> None:
    os.mkdir(_NEW + FOLDER)
    size = f"size={limits.folder_bytes},nr_inodes={limits.folder_files}"
    owner = f"mode=0700,uid={user},gid={group}"
    kernel.mount("tmpfs", _NEW + FOLDER, "tmpfs", _INERT, f"{size},{owner}")
    temporary = f"{_NEW}{FOLDER}/.tmp"
    os.mkdir(temporary, 0o755)
    os.chown(temporary, user, group)
    os.mkdir(_NEW + "/tmp")
    kernel.mount(temporary, _NEW + "/tmp", flags=kernel.BIND)


def _write_accounts(user: int, group: int) -> None:
    configuration = Path(_NEW, "etc")
    configuration.mkdir(exist_ok=True)
    (configuration / "passwd").write_text(f"task:x:{user}:{group}::{FOLDER}:/bin/sh\n", encoding="utf-8")
    (configuration / "group").write_text(f"task:x:{group}:\n", encoding="utf-8")
    (configuration / "hosts").write_text("127.0.0.1 localhost\n", encoding="utf-8")
