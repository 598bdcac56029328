"""Commitments as the book keeps them: dated, and ended rather than edited."""

import json
from datetime import date
from fractions import Fraction

from flatfare.core.commitment import AllocatedBy, Commitment, CommitmentKind, Every, Serves
from flatfare.store.book import Book, Row

_COLUMNS = (
    "id, name, kind, amount_nano, currency, every, from_day, until_day, serves, allocated_by, units, "
    "overage_nano, multipliers"
)


def insert(book: Book, commitment: Commitment, recorded_at_us: int, by_whom: str) -> None:
    """Write a commitment, in the transaction that is open."""
    serves = commitment.serves
    stated = {
        "provider": serves.provider,
        "model": serves.model,
        "key": serves.key,
        "labels": dict(serves.labels),
    }
    book.execute(
        f"INSERT INTO commitments ({_COLUMNS}, recorded_at_us, by_whom) VALUES ({', '.join('?' * 15)})",
        (
            commitment.id,
            commitment.name,
            commitment.kind,
            commitment.amount_nano,
            commitment.currency,
            commitment.every,
            commitment.from_day.isoformat(),
            commitment.until_day.isoformat() if commitment.until_day else None,
            json.dumps(stated, sort_keys=True),
            commitment.allocated_by,
            commitment.units,
            commitment.overage_nano,
            json.dumps(
                {pattern: str(times) for pattern, times in commitment.multipliers.items()}, sort_keys=True
            ),
            recorded_at_us,
            by_whom,
        ),
    )


def end(book: Book, commitment_id: str, until_day: date) -> None:
    """Let a commitment be owed no longer than to a day, in the transaction that is open."""
    book.execute("UPDATE commitments SET until_day = ? WHERE id = ?", (until_day.isoformat(), commitment_id))


def all_of(book: Book) -> list[Commitment]:
    """Every commitment there ever was, in the order of their beginning."""
    return [
        _read(row) for row in book.rows(f"SELECT {_COLUMNS} FROM commitments ORDER BY from_day, name, id")
    ]


def _read(row: Row) -> Commitment:
    text = [None if value is None else str(value) for value in row]
    serves = json.loads(text[8] or "{}")
    multipliers = json.loads(text[12] or "{}")
    return Commitment(
        id=text[0] or "",
        name=text[1] or "",
        kind=CommitmentKind(text[2] or ""),
        amount_nano=int(text[3] or 0),
        currency=text[4] or "USD",
        every=Every(text[5] or ""),
        from_day=date.fromisoformat(text[6] or ""),
        until_day=date.fromisoformat(text[7]) if text[7] else None,
        serves=Serves(serves["provider"], serves["model"], serves["key"], serves["labels"]),
        allocated_by=AllocatedBy(text[9] or ""),
        units=int(text[10]) if text[10] else None,
        overage_nano=int(text[11] or 0),
        multipliers={pattern: Fraction(times) for pattern, times in multipliers.items()},
    )
