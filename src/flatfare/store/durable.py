"""Names and files that outlive a loss of power, once they are said to stand.

What is in a file is on the disk when the file is synced; its name is there only when its folder is.
"""

import os
import secrets
from contextlib import suppress
from pathlib import Path


def make_folder(folder: Path, mode: int = 0o777) -> None:
    """Make a folder, and those above it that are missing; raises ``OSError``."""
    missing = []
    at = folder
    while not at.is_dir():
        missing.append(at)
        at = at.parent
    for one in reversed(missing):
        one.mkdir(mode=mode, exist_ok=True)
        sync(one.parent)


def make_file(file: Path, data: bytes) -> bool:
    """Make a file that only its owner reads, whole or not at all; False where there is one already.

    Raises ``OSError``.
    """
    make_folder(file.parent)
    aside = file.with_name(f".{file.name}-{secrets.token_hex(8)}")
    try:
        handle = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        try:
            os.link(aside, file)
        except FileExistsError:
            return False
    finally:
        with suppress(OSError):
            aside.unlink(missing_ok=True)
    sync(file.parent)
    return True


def write_over(file: Path, data: bytes) -> None:
    """Put a file there, or another in its place, whole or not at all; raises ``OSError``."""
    make_folder(file.parent)
    aside = file.with_name(f".{file.name}-{secrets.token_hex(8)}")
    try:
        aside.write_bytes(data)
        sync(aside)
        aside.rename(file)
    finally:
        with suppress(OSError):
            aside.unlink(missing_ok=True)
    sync(file.parent)


def sync(path: Path) -> None:
    """See that a file's content, or the names in a folder, are on the disk; raises ``OSError``."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
