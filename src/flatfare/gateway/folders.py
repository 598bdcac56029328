"""Where the journals lie: a folder for each worker that ever started, locked while it lives.

A worker is alive exactly as long as the kernel holds its lock; its number in the
process table says nothing. A folder is seen only once it is locked.
"""

import fcntl
import os
import time
import uuid
from pathlib import Path

from flatfare.config import Settings
from flatfare.core.errors import StoreFailure
from flatfare.store.durable import make_file, make_folder, sync
from flatfare.store.place import beside

_LOCK = "lock"
_NODE = ".node"
_UNBORN = ".new-"
_SUFFIX = ".log"
_BIRTH_S_MAX = 60


def journal_folder(settings: Settings) -> Path:
    """The folder of the journals that this node books into its book.

    Where none is set: beside a book that is a file; for a book on a server below the working folder.
    """
    return Path(settings.journal).expanduser() if settings.journal else beside(settings.database, "journal")


def node_id(folder: Path) -> str:
    """The id of the node whose journals lie in this folder, kept beside them.

    Raises ``StoreFailure`` where it cannot be kept.
    """
    file = folder / _NODE
    try:
        if not file.exists():
            make_file(file, uuid.uuid4().hex.encode())
        return file.read_text()
    except OSError as problem:
        raise StoreFailure(f"The node's id {file} cannot be kept: {problem}.") from problem


def new_worker(folder: Path, worker_id: str) -> tuple[Path, int]:
    """Make and lock a worker's folder; returns it and the handle that is its life.

    Raises ``StoreFailure`` where it cannot be made.
    """
    unborn, born = folder / f"{_UNBORN}{worker_id}", folder / worker_id
    try:
        make_folder(folder)
        unborn.mkdir()
        handle = os.open(unborn / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(handle, fcntl.LOCK_EX)
        unborn.rename(born)
        sync(folder)
    except OSError as problem:
        raise StoreFailure(
            f"The journal {born} cannot be made: {problem.strerror or problem}. "
            "Check that the book's folder is yours to write and its disk has room."
        ) from problem
    return born, handle


def is_alive(worker: Path) -> bool:
    """Whether the worker still runs; what it wrote before it died is all there once this is False."""
    try:
        handle = os.open(worker / _LOCK, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def workers(folder: Path) -> list[Path]:
    """The folders of all workers, the oldest first."""
    if not folder.is_dir():
        return []
    return sorted(
        Path(entry.path) for entry in os.scandir(folder) if entry.is_dir() and not entry.name.startswith(".")
    )


def log_file(worker: Path, number: int) -> Path:
    """A worker's file of that number, from 1."""
    return worker / f"{number:04d}{_SUFFIX}"


def log_numbers(worker: Path) -> list[int]:
    """The numbers of a worker's files, in order."""
    names = (entry.name for entry in os.scandir(worker))
    return sorted(int(name.removesuffix(_SUFFIX)) for name in names if name.endswith(_SUFFIX))


def remove_worker(worker: Path) -> None:
    """Take away the folder of a worker that is dead and booked; its lock goes last."""
    for number in log_numbers(worker):
        log_file(worker, number).unlink(missing_ok=True)
    (worker / _LOCK).unlink(missing_ok=True)
    worker.rmdir()


def remove_unborn(folder: Path) -> None:
    """Take away what a worker left that died while it made its folder."""
    for left in folder.glob(f"{_UNBORN}*"):
        if time.time() - left.stat().st_mtime > _BIRTH_S_MAX and not is_alive(left):
            (left / _LOCK).unlink(missing_ok=True)
            left.rmdir()
