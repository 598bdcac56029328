"""Hash chains: a record's hash covers what it says and the record before it.

There is a chain per task, per account and per organisation, so that no write waits
for another. An edit, a drop, a swap or an insertion breaks the chain at that
place; a cut tail or a chain that was hashed anew shows against a head kept elsewhere.
"""

import hashlib
from collections.abc import Iterable

GENESIS = "0" * 64
"""What the first record of a chain comes after."""


def link(previous_hash: str, *fields: str) -> str:
    """The hash of a record that says these fields and stands after ``previous_hash``.

    Each field stands behind its length in characters, so that no two records read
    the same (SHA-256, hexadecimal). The lake computes the same in SQL.
    """
    content = previous_hash + "".join(f"{len(field)}:{field}" for field in fields)
    return hashlib.sha256(content.encode()).hexdigest()


def first_break(records: Iterable[tuple[str, str, tuple[str, ...]]]) -> int | None:
    """Where a chain of (previous hash, hash, fields) first fails to hold, from 0; None if it holds."""
    previous = GENESIS
    for position, (previous_hash, own_hash, fields) in enumerate(records):
        if previous_hash != previous or link(previous_hash, *fields) != own_hash:
            return position
        previous = own_hash
    return None
