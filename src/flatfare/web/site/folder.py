"""Writing a folder as a whole: made aside and moved into place, so that no failure leaves half of it.

A folder that flatfare did not write, or that holds files it did not put there, is
left alone.
"""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flatfare.core.errors import BadUsage, StoreFailure

MARK = ".flatfare-site.json"
"""Lists what flatfare wrote into the folder, so that nothing else is ever removed."""


@contextmanager
def replaced(target: Path) -> Iterator[Path]:
    """A new folder to write into, which takes the target's place when all is written.

    Raises ``BadUsage`` where the target is not flatfare's to replace, ``StoreFailure``
    where it cannot be written; then nothing has changed.
    """
    target = target.expanduser().absolute()
    _check(target)
    fresh = target.parent / f".{target.name}.{os.getpid()}.new"
    with _told(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh.mkdir()
    try:
        with _told(target):
            yield fresh
            (fresh / MARK).write_text(json.dumps({"files": _files(fresh)}, indent=1), encoding="utf-8")
            _move(fresh, target)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _check(target: Path) -> None:
    if not target.exists():
        return
    if not target.is_dir():
        raise BadUsage(f"{target} is a file: name a folder for the site.")
    found = _files(target)
    if not found:
        return
    mark = target / MARK
    if not mark.is_file():
        raise BadUsage(
            f"{target} holds files that flatfare did not write, such as {found[0]}: "
            "name a new or empty folder."
        )
    strange = sorted(set(found) - set(_listed(mark)) - {MARK})
    if strange:
        raise BadUsage(
            f"{target} holds {strange[0]}, which flatfare did not write and would remove: "
            "move it away, or name another folder."
        )


def _listed(mark: Path) -> list[str]:
    try:
        return [str(name) for name in json.loads(mark.read_text(encoding="utf-8"))["files"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _files(folder: Path) -> list[str]:
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if not file.is_dir())


def _move(fresh: Path, target: Path) -> None:
    """Put the new folder in the target's place; should that fail, the old one is back."""
    if not target.exists():
        fresh.rename(target)
        return
    old = target.parent / f".{target.name}.{os.getpid()}.old"
    target.rename(old)
    try:
        fresh.rename(target)
    except OSError:
        old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)


@contextmanager
def _told(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as problem:
        raise StoreFailure(
            f"The site {target} cannot be written: {problem.strerror or problem}. Nothing was changed."
        ) from problem
