"""Chained records: what was changed, by whom and why, each hashed together with the one before it.

A record is appended in the transaction that makes the change, so that neither stands without the other.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from flatfare.core.chain import GENESIS, first_break, link
from flatfare.store.book import Book, Value

ORGANISATION = "organisation"
"""The chain of settings changes: keys, budgets, prices."""

_SAYS = "position, at_us, kind, subject, by_whom, reason, content"


def append(
    book: Book,
    chain: str,
    *,
    kind: str,
    subject: str,
    by_whom: str,
    at_us: int,
    content: str,
    reason: str | None = None,
) -> None:
    """Write the next record of a chain, in the transaction that is open; ``content`` is JSON."""
    last = book.rows(
        "SELECT position, hash FROM chained_records WHERE chain = ? ORDER BY position DESC LIMIT 1", (chain,)
    )
    position = int(str(last[0][0])) + 1 if last else 0
    previous = str(last[0][1]) if last else GENESIS
    says = (str(position), str(at_us), kind, subject, by_whom, reason or "", content)
    book.execute(
        f"INSERT INTO chained_records (chain, {_SAYS}, previous_hash, hash) VALUES (?{', ?' * 9})",
        (
            chain,
            position,
            at_us,
            kind,
            subject,
            by_whom,
            reason,
            content,
            previous,
            link(previous, chain, *says),
        ),
    )


def record_change(
    book: Book,
    kind: str,
    subject: str,
    content: Mapping[str, object],
    *,
    at_us: int,
    by_whom: str,
    reason: str | None = None,
) -> None:
    """Write a change of settings behind the organisation's last, in the transaction that makes it."""
    said = json.dumps(content, sort_keys=True, ensure_ascii=False)
    append(
        book,
        ORGANISATION,
        kind=kind,
        subject=subject,
        by_whom=by_whom,
        at_us=at_us,
        content=said,
        reason=reason,
    )


@dataclass(frozen=True, slots=True)
class Record:
    """One record of a chain."""

    position: int
    at_us: int
    kind: str
    subject: str
    by_whom: str
    reason: str | None
    content: str  # JSON
    hash: str


def latest(
    book: Book,
    chain: str,
    limit: int,
    *,
    before: int | None = None,
    kind: str | None = None,
    since_us: int | None = None,
    until_us: int | None = None,
) -> list[Record]:
    """The last records of a chain, the newest first; ``kind`` is a beginning such as ``key.``."""
    conditions: list[str] = ["chain = ?"]
    values: list[Value] = [chain]
    if before is not None:
        conditions.append("position < ?")
        values.append(before)
    if kind is not None:
        conditions.append("kind LIKE ?")
        values.append(f"{kind}%")
    if since_us is not None:
        conditions.append("at_us >= ?")
        values.append(since_us)
    if until_us is not None:
        conditions.append("at_us < ?")
        values.append(until_us)
    rows = book.rows(
        f"SELECT {_SAYS}, hash FROM chained_records WHERE {' AND '.join(conditions)} "
        "ORDER BY position DESC LIMIT ?",
        (*values, limit),
    )
    return [
        Record(
            int(position or 0),
            int(at_us or 0),
            str(kind),
            str(subject),
            str(by_whom),
            None if reason is None else str(reason),
            str(content),
            str(own),
        )
        for position, at_us, kind, subject, by_whom, reason, content, own in rows
    ]


def broken_at(book: Book, chain: str) -> int | None:
    """The position where a chain first fails to hold; None if it holds."""
    rows = book.rows(
        f"SELECT previous_hash, hash, {_SAYS} FROM chained_records WHERE chain = ? ORDER BY position",
        (chain,),
    )
    return first_break(
        (
            str(previous),
            str(own),
            (chain, *("" if value is None else str(value) for value in says)),
        )
        for previous, own, *says in rows
    )
