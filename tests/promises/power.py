"""A loss of power, as far as a process can bring it about: what was never synced is not there afterwards.

Of each file stays what it held when it was last synced, and of each folder the names that it had
when that was: as strict as POSIX allows a disk to be. Written from what ``os.fsync`` and
``os.fdatasync`` are called with, so it sees only what this process syncs, through Python.
"""

import os
import stat
from pathlib import Path

import pytest

_Node = tuple[int, int]


class Power:
    """Watches every sync from now on; ``lost`` rebuilds what would be left below a folder."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._content: dict[_Node, bytes] = {}
        self._names: dict[_Node, dict[str, tuple[_Node, bool]]] = {}
        self._fsync, self._fdatasync = os.fsync, os.fdatasync
        monkeypatch.setattr(os, "fsync", self._on_fsync)
        monkeypatch.setattr(os, "fdatasync", self._on_fdatasync)

    def lost(self, folder: Path, copy: Path) -> Path:
        """What is left below a folder, which itself stands since long, as a copy elsewhere."""
        copy.mkdir(parents=True)
        for name, (node, is_folder) in self._names.get(_node(os.stat(folder)), {}).items():
            if is_folder:
                self._lost(node, copy / name)
            else:
                _write(copy / name, self._content.get(node, b""))
        return copy

    def _lost(self, folder: _Node, copy: Path) -> None:
        copy.mkdir()
        for name, (node, is_folder) in self._names.get(folder, {}).items():
            if is_folder:
                self._lost(node, copy / name)
            else:
                _write(copy / name, self._content.get(node, b""))

    def _on_fsync(self, handle: int) -> None:
        self._fsync(handle)
        self._keep(handle)

    def _on_fdatasync(self, handle: int) -> None:
        self._fdatasync(handle)
        self._keep(handle)

    def _keep(self, handle: int) -> None:
        found = os.fstat(handle)
        if stat.S_ISDIR(found.st_mode):
            with os.scandir(handle) as entries:
                self._names[_node(found)] = {
                    one.name: (_node(one.stat(follow_symlinks=False)), one.is_dir()) for one in entries
                }
        else:
            path = Path(f"/proc/self/fd/{handle}")
            self._content[_node(found)] = path.read_bytes()


def _write(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    file.chmod(0o600)


def _node(found: os.stat_result) -> _Node:
    return found.st_dev, found.st_ino
