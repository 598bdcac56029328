"""Sizes as people write them in an action file."""

import re

from flatfare.core.errors import BadInput

_SIZE = re.compile(r"(\d{1,12})\s*(B|kB|KB|MB)?")
_SIZES = {None: 1, "B": 1, "kB": 1000, "KB": 1000, "MB": 1_000_000}


def size_bytes(text: str) -> int:
    """Bytes of a size.

    >>> size_bytes("400 kB"), size_bytes("2 MB")
    (400000, 2000000)
    """
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise BadInput(f"Found {text[:40]!r} where a size was expected: write it like 400 kB or 2 MB.")
    return int(found[1]) * _SIZES[found[2]]
