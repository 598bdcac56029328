"""Ids that the client makes, so that sending a record twice records it once."""

import os

_VARIANT = dict(zip("0123456789abcdef", "89ab" * 4, strict=True))  # two of its bits are given


def new_id(at_us: int) -> str:
    """A UUID that sorts by its moment (RFC 9562, version 7), from microseconds since 1970 UTC.

    The randomness is the system's each time: a forked process does not repeat its parent's ids.

    >>> new_id(1_700_000_000_000_000)[:15]
    '018bcfe5-6800-7'
    """
    random = os.urandom(10).hex()
    moment = f"{(at_us // 1000) & 0xFFFF_FFFF_FFFF:012x}"
    variant = _VARIANT[random[3]]
    return f"{moment[:8]}-{moment[8:]}-7{random[:3]}-{variant}{random[4:7]}-{random[7:19]}"
