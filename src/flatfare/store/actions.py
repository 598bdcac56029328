"""Published actions: every version as it was published; none is ever changed."""

from dataclasses import dataclass

from flatfare.store.book import Book, Row, Value

_COLUMNS = "name, version, content, hash, definition_version, published_at_us, by_whom, from_us"


@dataclass(frozen=True, slots=True)
class ActionRow:
    """One version of an action; ``content`` is canonical JSON."""

    name: str
    version: int
    content: str
    hash: str
    definition_version: int
    published_at_us: int
    by_whom: str
    from_us: int | None = None  # a moment to come, when it was published; None: it held at once

    @property
    def begins_us(self) -> int:
        """From when on it is what is sold."""
        return self.published_at_us if self.from_us is None else self.from_us


def insert(book: Book, row: ActionRow) -> None:
    """Write a version, in the transaction that is open."""
    book.execute(
        f"INSERT INTO actions ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            row.name,
            row.version,
            row.content,
            row.hash,
            row.definition_version,
            row.published_at_us,
            row.by_whom,
            row.from_us,
        ),
    )


def find(book: Book, name: str, version: int | None = None, *, at_us: int | None = None) -> ActionRow | None:
    """A version of an action: the one that is named, else the newest, of those that had begun at a moment."""
    where, given = _which(name, version, at_us)
    rows = book.rows(
        f"SELECT {_COLUMNS} FROM actions WHERE name = ? {where} ORDER BY version DESC LIMIT 1", given
    )
    return _read(rows[0]) if rows else None


def _which(name: str, version: int | None, at_us: int | None) -> tuple[str, tuple[Value, ...]]:
    if version is not None:
        return "AND version = ?", (name, version)
    if at_us is not None:
        return "AND COALESCE(from_us, published_at_us) <= ?", (name, at_us)
    return "", (name,)


def identified(book: Book, name: str, version: int | None = None, *, at_us: int | None = None) -> str | None:
    """The hash of the content of the version that ``find`` finds."""
    where, given = _which(name, version, at_us)
    found = book.value(
        f"SELECT hash FROM actions WHERE name = ? {where} ORDER BY version DESC LIMIT 1", given
    )
    return None if found is None else str(found)


def all_of(book: Book) -> list[ActionRow]:
    """Every version of every action, by name and version."""
    return [_read(row) for row in book.rows(f"SELECT {_COLUMNS} FROM actions ORDER BY name, version")]


def _read(row: Row) -> ActionRow:
    name, version, content, digest, definition, at_us, by_whom, from_us = row
    return ActionRow(
        str(name),
        int(str(version)),
        str(content),
        str(digest),
        int(str(definition)),
        int(str(at_us)),
        str(by_whom),
        None if from_us is None else int(str(from_us)),
    )
