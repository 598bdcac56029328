"""Sources of signals as the book keeps them: their secrets sealed, and what came of each message."""

from dataclasses import dataclass

from flatfare.store.book import Book, Row

_SOURCE = "name, project, mapping, sealed, former_sealed, former_until_us, created_at_us, removed_at_us"
_MESSAGE = "source, message_id, body_hash, status, signals, reason, at_us"


@dataclass(frozen=True, slots=True)
class Source:
    """Another system that tells what became of tasks."""

    name: str
    project: str | None  # whose tasks it names
    mapping: str  # canonical JSON
    sealed: str  # its secret
    created_at_us: int
    former_sealed: str | None = None  # is taken until
    former_until_us: int | None = None
    removed_at_us: int | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """What came of one message; what it said is not kept."""

    source: str
    message_id: str
    body_hash: str
    status: str  # recorded, ignored, refused
    signals: int
    reason: str | None
    at_us: int


def put_source(book: Book, source: Source) -> None:
    """Write a source, or change the one of its name; in the transaction that is open."""
    book.execute(
        f"INSERT INTO signal_sources ({_SOURCE}) VALUES (?, ?, ?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (name) DO UPDATE SET project = excluded.project, mapping = excluded.mapping, "
        "sealed = excluded.sealed, former_sealed = excluded.former_sealed, "
        "former_until_us = excluded.former_until_us, created_at_us = excluded.created_at_us, "
        "removed_at_us = excluded.removed_at_us",
        (
            source.name,
            source.project,
            source.mapping,
            source.sealed,
            source.former_sealed,
            source.former_until_us,
            source.created_at_us,
            source.removed_at_us,
        ),
    )


def find_source(book: Book, name: str) -> Source | None:
    """The source of that name, removed or not."""
    rows = book.rows(f"SELECT {_SOURCE} FROM signal_sources WHERE name = ?", (name,))
    return _source(rows[0]) if rows else None


def sources(book: Book) -> list[Source]:
    """The sources that stand, by name."""
    rows = book.rows(f"SELECT {_SOURCE} FROM signal_sources WHERE removed_at_us IS NULL ORDER BY name")
    return [_source(row) for row in rows]


def find_message(book: Book, source: str, message_id: str) -> Message | None:
    """What came of a message of that id."""
    rows = book.rows(
        f"SELECT {_MESSAGE} FROM signal_messages WHERE source = ? AND message_id = ?", (source, message_id)
    )
    return _message(rows[0]) if rows else None


def put_message(book: Book, message: Message, *, forget_before_us: int) -> None:
    """Write what came of a message, and forget what came of old ones."""
    book.execute(
        f"INSERT INTO signal_messages ({_MESSAGE}) VALUES (?, ?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (source, message_id) DO UPDATE SET body_hash = excluded.body_hash, "
        "status = excluded.status, signals = excluded.signals, reason = excluded.reason, "
        "at_us = excluded.at_us",
        (
            message.source,
            message.message_id,
            message.body_hash,
            message.status,
            message.signals,
            message.reason,
            message.at_us,
        ),
    )
    book.execute(
        "DELETE FROM signal_messages WHERE source = ? AND at_us < ?", (message.source, forget_before_us)
    )


def messages(book: Book, source: str, limit: int) -> list[Message]:
    """The last messages of a source, the newest first."""
    rows = book.rows(
        f"SELECT {_MESSAGE} FROM signal_messages WHERE source = ? ORDER BY at_us DESC, message_id LIMIT ?",
        (source, limit),
    )
    return [_message(row) for row in rows]


def counts(book: Book, source: str) -> dict[str, int]:
    """How many of a source's messages came to what."""
    rows = book.rows(
        "SELECT status, COUNT(*) FROM signal_messages WHERE source = ? GROUP BY status", (source,)
    )
    return {str(status): int(count or 0) for status, count in rows}


def _source(row: Row) -> Source:
    return Source(
        name=str(row[0]),
        project=None if row[1] is None else str(row[1]),
        mapping=str(row[2]),
        sealed=str(row[3]),
        former_sealed=None if row[4] is None else str(row[4]),
        former_until_us=None if row[5] is None else int(row[5]),
        created_at_us=int(row[6] or 0),
        removed_at_us=None if row[7] is None else int(row[7]),
    )


def _message(row: Row) -> Message:
    return Message(
        source=str(row[0]),
        message_id=str(row[1]),
        body_hash=str(row[2]),
        status=str(row[3]),
        signals=int(row[4] or 0),
        reason=None if row[5] is None else str(row[5]),
        at_us=int(row[6] or 0),
    )
