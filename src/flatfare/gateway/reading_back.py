"""Reading a worker's journal back: every whole record once, in order, from where it was left.

What is torn or damaged is reported with its place and size. A file that may still
grow is read as far as it is whole; its end is torn only once nobody writes it.
"""

import os
import time
from dataclasses import dataclass
from pathlib import Path

from flatfare.gateway.folders import log_file, log_numbers
from flatfare.gateway.frames import Scanned, salt_of, scan

PORTION_BYTES = 2 << 20
_SETTLE_S = 0.02


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a worker's journal: everything before it has been read."""

    number: int = 1
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Note:
    """Something in a journal that could not be read, or was not as expected."""

    worker_id: str
    place: Place
    size_bytes: int
    kind: str  # torn, damaged, missing, shorter, unreadable, orphan
    said: str


@dataclass(frozen=True, slots=True)
class Portion:
    """The next records of a worker."""

    records: list[bytes]
    place: Place  # behind them
    notes: list[Note]
    is_end: bool  # there is nothing more, for now


def read_portion(worker: Path, start: Place, *, is_alive: bool, size_bytes: int = PORTION_BYTES) -> Portion:
    """The next records from a place on, at most about so many bytes of them and of one file.

    ``is_alive`` must have been asked before: what a dead worker left is complete.
    Raises ``OSError`` where a file cannot be read.
    """
    numbers = log_numbers(worker)  # before reading: a file is complete once a later one exists
    later = [number for number in numbers if number > start.number]
    if start.number not in numbers:
        return _elsewhere(worker, start, later)
    may_grow = is_alive and not later
    handle = os.open(log_file(worker, start.number), os.O_RDONLY)
    try:
        scanned, data, is_whole_file = _scanned(
            handle, start.offset, size_bytes, salt_of(worker.name), may_grow
        )
        length = os.fstat(handle).st_size
    finally:
        os.close(handle)
    notes = [_damage(worker, start, begin, end) for begin, end in scanned.gaps]
    if start.offset > length:
        notes.append(_shorter(worker, start, length))
    place = Place(start.number, start.offset + scanned.consumed)
    if is_whole_file and not may_grow:
        if scanned.consumed < len(data):
            notes.append(_torn(worker, place, len(data) - scanned.consumed))
        place = Place(later[0], 0) if later else Place(start.number, start.offset + len(data))
    return Portion(scanned.records, place, notes, is_end=is_whole_file and not later)


def _elsewhere(worker: Path, start: Place, later: list[int]) -> Portion:
    """The file is not there: not yet, or it was booked and removed, or it is lost."""
    if not later:
        return Portion([], start, [], is_end=True)
    said = f"The file {log_file(worker, start.number).name} is missing: the calls in it are not booked."
    return Portion([], Place(later[0], 0), [Note(worker.name, start, 0, "missing", said)], is_end=False)


def _scanned(
    handle: int, offset: int, size_bytes: int, salt: int, may_grow: bool
) -> tuple[Scanned, bytes, bool]:
    """The records of the next bytes, those bytes, and whether they reach the end of the file."""
    while True:
        data = os.pread(handle, size_bytes, offset)
        scanned = scan(data, salt)
        if scanned.gaps and may_grow:
            # A write that was cut back after a full disk may have been seen in its middle.
            time.sleep(_SETTLE_S)
            if os.pread(handle, len(data), offset) != data:
                continue
        is_whole_file = len(data) < size_bytes
        if is_whole_file or scanned.consumed:
            return scanned, data, is_whole_file
        size_bytes *= 2  # not one frame that holds: look further, to the end of the file if need be


def _damage(worker: Path, start: Place, begin: int, end: int) -> Note:
    place = Place(start.number, start.offset + begin)
    said = (
        f"{end - begin} bytes at {place.offset} of {log_file(worker, place.number)} are damaged and were "
        "skipped: a call whose intent stood there is booked from its result alone, one whose result "
        "stood there as unproven."
    )
    return Note(worker.name, place, end - begin, "damaged", said)


def _torn(worker: Path, place: Place, size_bytes: int) -> Note:
    said = (
        f"The last {size_bytes} bytes of {log_file(worker, place.number)} are an unfinished record, as a "
        "killed worker leaves it: nobody was told that it was kept."
    )
    return Note(worker.name, place, size_bytes, "torn", said)


def _shorter(worker: Path, start: Place, length: int) -> Note:
    said = (
        f"{log_file(worker, start.number)} has {length} bytes, and {start.offset} were booked: the machine "
        "lost power before all of it was on its disk. What was booked stands."
    )
    return Note(worker.name, start, start.offset - length, "shorter", said)
