"""Published actions: every version as it was published; none is ever changed."""

from dataclasses import dataclass

from flatfare.store.book import Book, Row

_COLUMNS = "name, version, content, hash, definition_version, published_at_us, by_whom"


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


def insert(book: Book, row: ActionRow) -> None:
    """Write a version, in the transaction that is open."""
    book.execute(
        f"INSERT INTO actions ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            row.name,
            row.version,
            row.content,
            row.hash,
            row.definition_version,
            row.published_at_us,
            row.by_whom,
        ),
    )


def find(book: Book, name: str, version: int | None = None) -> ActionRow | None:
    """A version of an action, the newest unless one is named."""
    where, given = ("AND version = ?", (name, version)) if version is not None else ("", (name,))
    rows = book.rows(
        f"SELECT {_COLUMNS} FROM actions WHERE name = ? {where} ORDER BY version DESC LIMIT 1", given
    )
    return _read(rows[0]) if rows else None


def identified(book: Book, name: str, version: int | None = None) -> str | None:
    """The hash of a version's content, the newest unless one is named."""
    where, given = ("AND version = ?", (name, version)) if version is not None else ("", (name,))
    found = book.value(
        f"SELECT hash FROM actions WHERE name = ? {where} ORDER BY version DESC LIMIT 1", given
    )
    return None if found is None else str(found)


def all_of(book: Book) -> list[ActionRow]:
    """Every version of every action, by name and version."""
    return [_read(row) for row in book.rows(f"SELECT {_COLUMNS} FROM actions ORDER BY name, version")]


def _read(row: Row) -> ActionRow:
    name, version, content, digest, definition, at_us, by_whom = row
    return ActionRow(
        str(name),
        int(str(version)),
        str(content),
        str(digest),
        int(str(definition)),
        int(str(at_us)),
        str(by_whom),
    )
