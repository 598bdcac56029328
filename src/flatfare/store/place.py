"""Where a node keeps on its own disk what belongs to a book: its journals, and texts that were asked for."""

from pathlib import Path

from flatfare.store.postgres import SCHEMES, name_of
from flatfare.store.sqlite import sqlite_path


def beside(database: str, what: str) -> Path:
    """A folder for one kind of thing, one for each book.

    It lies beside a book that is a file, and below the working folder for a book on a server.
    """
    if database.startswith(SCHEMES):
        return Path(what) / name_of(database)
    path = sqlite_path(database)
    return path.parent / what / path.stem
