"""Alerts and their deliveries as the book keeps them: what is to be told, to whom, and whether it was.

An alert is written in the transaction of what it tells of, once; a delivery stands until its
channel has taken it.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from flatfare.store.book import Book, Row

LAST_US = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Alert:
    """Something somebody should know. Its id is made from what it tells of, so that it is told once."""

    id: str
    kind: str  # such as budget.crossed
    subject: str  # what it is about: a budget, a key, a task
    said: str  # the sentence
    content: Mapping[str, object]  # the figures, as JSON
    at_us: int


@dataclass(frozen=True, slots=True)
class Delivery:
    """One alert on its way to one channel."""

    alert: Alert
    channel: str
    due_at_us: int
    tries: int
    delivered_at_us: int | None
    given_up_at_us: int | None
    problem: str | None


_ALERT = "id, kind, subject, said, content, at_us"
_DELIVERY = "channel, due_at_us, tries, delivered_at_us, given_up_at_us, problem"


def insert(book: Book, alert: Alert) -> bool:
    """Write an alert, in the transaction that is open; False where it is there already."""
    return bool(
        book.execute(
            f"INSERT INTO alerts ({_ALERT}) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (
                alert.id,
                alert.kind,
                alert.subject,
                alert.said,
                json.dumps(alert.content, sort_keys=True, ensure_ascii=False),
                alert.at_us,
            ),
        )
    )


def insert_delivery(book: Book, alert_id: str, channel: str, due_at_us: int) -> None:
    """Owe a channel an alert, in the transaction that is open."""
    book.execute(
        "INSERT INTO deliveries (alert_id, channel, due_at_us, tries) VALUES (?, ?, ?, 0) "
        "ON CONFLICT DO NOTHING",
        (alert_id, channel, due_at_us),
    )


def claim(
    book: Book, *, now_us: int, until_us: int, channels: Iterable[str], limit: int, by: str | None = None
) -> list[Delivery]:
    """Take deliveries that are due, so that nobody else does before ``until_us``; the oldest first.

    Whoever dies before it has told of them leaves them to be taken again: after that time, or as
    soon as ``release`` is told who it was.
    """
    names = list(channels)
    marks = ", ".join("?" * len(names))
    is_due = "delivered_at_us IS NULL AND given_up_at_us IS NULL AND due_at_us <= ?"
    looked = f"SELECT 1 FROM deliveries WHERE {is_due} AND channel IN ({marks}) LIMIT 1"
    if not names or book.value(looked, (now_us, *names)) is None:
        return []  # most often, and without a lock
    with book.writing():
        rows = book.rows(
            f"SELECT {_prefixed(_ALERT, 'a')}, {_prefixed(_DELIVERY, 'd')} FROM deliveries AS d "
            "JOIN alerts AS a ON a.id = d.alert_id WHERE d.delivered_at_us IS NULL "
            f"AND d.given_up_at_us IS NULL AND d.due_at_us <= ? AND d.channel IN ({marks}) "
            "ORDER BY a.at_us, a.id LIMIT ?",
            (now_us, *names, limit),
        )
        found = [_read(row) for row in rows]
        for one in found:
            book.execute(
                "UPDATE deliveries SET due_at_us = ?, claimed_by = ? WHERE alert_id = ? AND channel = ?",
                (until_us, by, one.alert.id, one.channel),
            )
    return found


def release(book: Book, by: str, now_us: int) -> None:
    """Whoever claimed deliveries under this name is gone: they are due."""
    with book.writing():
        book.execute(
            "UPDATE deliveries SET due_at_us = ?, claimed_by = NULL WHERE claimed_by = ? "
            "AND delivered_at_us IS NULL AND given_up_at_us IS NULL",
            (now_us, by),
        )


def set_delivered(book: Book, delivery: Delivery, at_us: int) -> None:
    """The channel has taken it."""
    book.execute(
        "UPDATE deliveries SET delivered_at_us = ?, claimed_by = NULL, tries = tries + 1, problem = NULL "
        "WHERE alert_id = ? AND channel = ?",
        (at_us, delivery.alert.id, delivery.channel),
    )


def set_failed(book: Book, delivery: Delivery, problem: str, due_at_us: int | None, at_us: int) -> None:
    """The channel has not taken it: it is due again, or (None) given up."""
    book.execute(
        "UPDATE deliveries SET due_at_us = ?, given_up_at_us = ?, tries = tries + 1, problem = ?, "
        "claimed_by = NULL WHERE alert_id = ? AND channel = ?",
        (
            delivery.due_at_us if due_at_us is None else due_at_us,
            at_us if due_at_us is None else None,
            problem,
            delivery.alert.id,
            delivery.channel,
        ),
    )


def latest(
    book: Book, limit: int, *, since_us: int | None = None, until_us: int | None = None
) -> list[tuple[Alert, list[Delivery]]]:
    """The last alerts of a time, the newest first, each with its deliveries."""
    found = []
    for row in book.rows(
        f"SELECT {_ALERT} FROM alerts WHERE at_us >= ? AND at_us < ? ORDER BY at_us DESC, id DESC LIMIT ?",
        (since_us or 0, LAST_US if until_us is None else until_us, limit),
    ):
        alert = _alert(row)
        rows = book.rows(
            f"SELECT {_DELIVERY} FROM deliveries WHERE alert_id = ? ORDER BY channel", (alert.id,)
        )
        found.append((alert, [_delivery(alert, one) for one in rows]))
    return found


def owed_to(book: Book, alert_id: str) -> dict[str, Delivery]:
    """The deliveries of one alert, by channel."""
    rows = book.rows(
        f"SELECT {_prefixed(_ALERT, 'a')}, {_prefixed(_DELIVERY, 'd')} FROM deliveries AS d "
        "JOIN alerts AS a ON a.id = d.alert_id WHERE a.id = ? ORDER BY d.channel",
        (alert_id,),
    )
    return {one.channel: one for one in map(_read, rows)}


def _prefixed(columns: str, name: str) -> str:
    return ", ".join(f"{name}.{column}" for column in columns.split(", "))


def _read(row: Row) -> Delivery:
    return _delivery(_alert(row[:6]), row[6:])


def _alert(row: Row) -> Alert:
    content = json.loads(str(row[4]))
    return Alert(str(row[0]), str(row[1]), str(row[2]), str(row[3]), content, int(row[5] or 0))


def _delivery(alert: Alert, row: Row) -> Delivery:
    channel, due_at_us, tries, delivered_at_us, given_up_at_us, problem = row
    return Delivery(
        alert,
        str(channel),
        int(due_at_us or 0),
        int(tries or 0),
        None if delivered_at_us is None else int(delivered_at_us),
        None if given_up_at_us is None else int(given_up_at_us),
        None if problem is None else str(problem),
    )
