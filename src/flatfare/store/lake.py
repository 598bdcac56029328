"""The lake: sealed Parquet files, each listed in the book with its row count and checksum.

A file is written aside, synced, and moved to its name before the book lists it;
what the book does not list does not exist. A listed file never changes. The folder
says whose it is: a lake is of one book.
"""

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from flatfare.core.errors import StoreFailure
from flatfare.store.durable import make_folder, sync, write_over

_STAGING = "staging"
_LOCK = ".lock"
_ASIDE = "set-aside"
MARK = "book.json"
"""The file that says whose the lake is."""

_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Placed:
    """A file that stands in the lake, not yet listed."""

    path: str  # relative to the lake
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Mark:
    """Whose a lake is, as its folder says."""

    book_id: str
    kept_at: str  # where that book was when it took the lake


class Lake:
    """A folder of sealed files."""

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder).expanduser()

    def file(self, path: str) -> Path:
        """Where a listed file lies."""
        return self.folder / path

    @property
    def spill(self) -> Path | None:
        """Where an engine puts what its memory does not hold; nowhere, as long as there is no lake."""
        return self.folder / "spill" if self.folder.is_dir() else None

    @contextmanager
    def exclusive(self, on_wait: Callable[[str], None] | None = None) -> Iterator[None]:
        """Hold the lake for writing; waits for another writer, telling ``on_wait`` who that is.

        The lock goes with the process that holds it, however it ends.
        """
        with self._translated_errors():
            make_folder(self.folder)
            handle = os.open(self.folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if on_wait:
                    holder = os.pread(handle, 100, 0).decode(errors="replace").strip()
                    on_wait(holder or "another process")
                fcntl.flock(handle, fcntl.LOCK_EX)
            os.ftruncate(handle, 0)
            os.pwrite(handle, f"process {os.getpid()}".encode(), 0)
            yield
        finally:
            os.close(handle)

    def mark(self) -> Mark | None:
        """Whose the lake is; None where nobody has taken it yet."""
        try:
            said = json.loads((self.folder / MARK).read_bytes())
            return Mark(str(said["book"]), str(said["kept_at"]))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as problem:
            raise StoreFailure(
                f"The file {self.folder / MARK} says whose this lake is, and cannot be read: {problem}. "
                f"Restore it from a backup; where only one book was ever kept with this lake, delete it."
            ) from problem

    def write_mark(self, mark: Mark) -> None:
        """Say for good whose the lake is; call it while holding the lake."""
        said = {"book": mark.book_id, "kept_at": mark.kept_at}
        with self._translated_errors():
            write_over(self.folder / MARK, (json.dumps(said) + "\n").encode())

    @contextmanager
    def staging(self, name: str) -> Iterator[Path]:
        """A folder for files that are being written; gone afterwards, whatever happened."""
        folder = self.folder / _STAGING / name
        with self._translated_errors():
            folder.mkdir(parents=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def place(self, staged: Path, kind: str, segment_id: str) -> Placed:
        """Move a written file to its place for good: synced first, and its folder after."""
        with self._translated_errors():
            size, sha256 = staged.stat().st_size, checksum(staged)
            sync(staged)
            target = self.file(path_of(kind, segment_id))
            make_folder(target.parent)
            staged.rename(target)
            sync(target.parent)
        return Placed(path_of(kind, segment_id), size, sha256)

    def remove(self, path: str) -> None:
        """Take away a file that was placed but will not be listed."""
        self.file(path).unlink(missing_ok=True)

    def set_aside(self, path: str) -> str:
        """Move a file to where nothing looks for files of the lake; returns where that is."""
        aside = f"{_ASIDE}/{path}"
        with self._translated_errors():
            make_folder(self.file(aside).parent)
            self.file(path).rename(self.file(aside))
            sync(self.file(aside).parent)
            sync(self.file(path).parent)
        return aside

    def unlisted(self, listed: set[str], kinds: tuple[str, ...]) -> list[str]:
        """Files of these kinds that the book does not list, such as a killed import leaves behind."""
        return sorted(
            f"{kind}/{file.name}"
            for kind in kinds
            for file in (self.folder / kind).glob("*.parquet")
            if f"{kind}/{file.name}" not in listed
        )

    def sweep_staging(self) -> int:
        """Remove what killed writers left half-written; call it while holding the lake. Returns how many."""
        leftovers = list((self.folder / _STAGING).glob("*"))
        for leftover in leftovers:
            shutil.rmtree(leftover, ignore_errors=True)
        return len(leftovers)

    @contextmanager
    def _translated_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as problem:
            raise StoreFailure(
                f"The lake {self.folder} cannot be written: {problem.strerror or problem}. "
                "Nothing was changed; check the folder and the room on its disk."
            ) from problem


def path_of(kind: str, segment_id: str) -> str:
    """Where in a lake a sealed file of that id lies."""
    return f"{kind}/{segment_id}.parquet"


def checksum(file: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
