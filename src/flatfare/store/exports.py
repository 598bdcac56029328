"""What other billing systems were sent: each event of each receiver once, and whether it was taken.

A row is written before an event goes out and again when it was taken, so that neither a crash nor a later
export sends an event anew that its receiver may have counted and forgotten.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from flatfare.store.book import Book

_TOGETHER = 500


@dataclass(frozen=True, slots=True)
class Sent:
    """When an event was first sent to a receiver, and when that took it; None where no answer came."""

    begun_at_us: int
    taken_at_us: int | None


def sent(book: Book, receiver: str, event_ids: Sequence[str]) -> dict[str, Sent]:
    """What a receiver was sent of these events."""
    found: dict[str, Sent] = {}
    for start in range(0, len(event_ids), _TOGETHER):
        part = event_ids[start : start + _TOGETHER]
        rows = book.rows(
            "SELECT event_id, begun_at_us, taken_at_us FROM sent_events WHERE receiver = ? "
            f"AND event_id IN ({', '.join('?' * len(part))})",
            (receiver, *part),
        )
        for event, begun, taken in rows:
            found[str(event)] = Sent(int(str(begun)), None if taken is None else int(str(taken)))
    return found


def begin(book: Book, receiver: str, event_id: str, at_us: int) -> None:
    """An event is about to be sent; one that was sent before keeps the moment of the first time."""
    book.execute(
        "INSERT INTO sent_events (receiver, event_id, begun_at_us) VALUES (?, ?, ?) "
        "ON CONFLICT (receiver, event_id) DO NOTHING",
        (receiver, event_id, at_us),
    )


def take(book: Book, receiver: str, event_id: str, at_us: int) -> None:
    """The receiver has taken an event."""
    book.execute(
        "UPDATE sent_events SET taken_at_us = ? WHERE receiver = ? AND event_id = ? AND taken_at_us IS NULL",
        (at_us, receiver, event_id),
    )


def refuse(book: Book, receiver: str, event_id: str) -> None:
    """The receiver has refused an event: it counted nothing, and may be sent it again at any time."""
    book.execute(
        "DELETE FROM sent_events WHERE receiver = ? AND event_id = ? AND taken_at_us IS NULL",
        (receiver, event_id),
    )
