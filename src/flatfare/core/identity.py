"""Ids: 128 bits, made by the client or the edge, and idempotency keys everywhere.

Live records take a time-ordered id. Imported records take one derived from what
they are, so that importing the same record again is a no-op.
"""

import hashlib
import uuid

from flatfare.core.errors import BadInput

Id = uuid.UUID


def time_ordered(at_us: int, randomness: bytes) -> Id:
    """An id that sorts by its moment (RFC 9562, version 7); ten random bytes make it unique.

    >>> time_ordered(1_700_000_000_000_000, bytes(10))
    UUID('018bcfe5-6800-7000-8000-000000000000')
    """
    if len(randomness) != 10:
        raise ValueError(f"expected 10 random bytes, found {len(randomness)}")
    milliseconds = (at_us // 1000) & ((1 << 48) - 1)
    tail = int.from_bytes(randomness, "big")
    high, low = (tail >> 62) & 0xFFF, tail & ((1 << 62) - 1)
    return Id(int=(milliseconds << 80) | (0x7 << 76) | (high << 64) | (0b10 << 62) | low)


def moment_of(given: str) -> int | None:
    """When a time-ordered id was made, to the millisecond, in microseconds; None for another kind of id.

    >>> moment_of("018bcfe5-6800-7000-8000-000000000000"), moment_of("contract-7")
    (1700000000000000, None)
    """
    try:
        found = Id(given)
    except ValueError:
        return None
    return (found.int >> 80) * 1000 if found.version == 7 else None


def within(whole: str, name: str) -> Id:
    """The id of a named part of what has a time-ordered id: of the same moment, and always the same.

    >>> within("018bcfe5-6800-7000-8000-000000000000", "line 1")
    UUID('018bcfe5-6800-77d2-a162-f2445612f087')
    """
    milliseconds = Id(whole).int >> 80
    return time_ordered(milliseconds * 1000, hashlib.sha256(f"{whole}\x1f{name}".encode()).digest()[:10])


class BadName(BadInput, ValueError):
    """A part of an id that would be read as two."""


def derived(*parts: str) -> Id:
    """The id of a record that is identified by what it says (MD5 of the parts, as the lake computes it too).

    The parts are joined by the unit separator, which no part may hold (``BadName``).
    MD5 serves as a fingerprint here, not as a seal: the chains use SHA-256.

    >>> derived("task", "tau2", "17")
    UUID('71212a66-70ed-4877-8fee-b0aa964abf4c')
    """
    if any("\x1f" in part for part in parts):
        raise BadName(f"Found a unit separator in one of {parts!r}: a name is written without it.")
    joined = "\x1f".join(parts)
    return Id(hashlib.md5(joined.encode(), usedforsecurity=False).hexdigest())


def task_id(project: str | None, name: str) -> Id:
    """The id of a task that a client names: within a project, nobody else's can be named.

    Without a project a UUID is taken as it is; any other name stands in the namespace that
    imports without a source share, so that calls, events and imports of one task meet.

    >>> task_id("shop", "17") == derived("task", "shop", "17")
    True
    """
    if project is None:
        try:
            return Id(name)
        except ValueError:
            pass
    return derived("task", project or "import", name)


def attempt_id(task: Id | None, name: str) -> Id:
    """The id of an attempt that a client names: a UUID as it is, else derived within its task."""
    try:
        return Id(name)
    except ValueError:
        return derived("attempt", "import" if task is None else str(task), name)
