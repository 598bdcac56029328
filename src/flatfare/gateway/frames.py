"""Frames: how a record stands in a file, so that a torn or damaged one is seen and never misread.

A frame is a mark, the record's length and a checksum over both (CRC-32, seeded by the
worker it belongs to), then the record. What fails the checksum is no record; reading
goes on at the next frame that holds.
"""

import struct
from dataclasses import dataclass
from zlib import crc32

RECORD_BYTES_MAX = 1 << 20
"""No record is longer; a longer one found is damage."""

_MARK = b"\xffFJ1"
_HEAD = struct.Struct("<4sII")
HEAD_BYTES = _HEAD.size


def salt_of(worker_id: str) -> int:
    """The seed of a worker's checksums: text inside a record cannot pass for a frame of its own."""
    return crc32(worker_id.encode())


def framed(record: bytes, salt: int) -> bytes:
    """The record in its frame."""
    length = len(record)
    return _HEAD.pack(_MARK, length, crc32(record, salt ^ length)) + record


@dataclass(frozen=True, slots=True)
class Scanned:
    """What stands in a stretch of a file."""

    records: list[bytes]
    consumed: int  # bytes up to the first frame that is not whole or does not hold
    gaps: list[tuple[int, int]]  # damaged stretches, each followed by a frame that holds


def scan(data: bytes, salt: int) -> Scanned:
    """Every record in the data, which begins at a frame; damage is skipped where a frame follows it."""
    records: list[bytes] = []
    gaps: list[tuple[int, int]] = []
    at = 0
    while True:
        end = _end_of(data, at, salt)
        if end is None:
            next_at = _next_frame(data, at + 1, salt)
            if next_at is None:
                return Scanned(records, at, gaps)
            gaps.append((at, next_at))
            at = next_at
        else:
            records.append(data[at + HEAD_BYTES : end])
            at = end


def _end_of(data: bytes, at: int, salt: int) -> int | None:
    """Where the frame that begins here ends; None if none does, or not all of it is there."""
    start = at + HEAD_BYTES
    if start > len(data):
        return None
    mark, length, checksum = _HEAD.unpack_from(data, at)
    end = start + length
    if mark != _MARK or length > RECORD_BYTES_MAX or end > len(data):
        return None
    return end if crc32(data[start:end], salt ^ length) == checksum else None


def _next_frame(data: bytes, at: int, salt: int) -> int | None:
    while (at := data.find(_MARK, at)) >= 0:
        if _end_of(data, at, salt) is not None:
            return at
        at += 1
    return None
