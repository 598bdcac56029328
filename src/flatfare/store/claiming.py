"""Claiming a lake: it is of one book, and both say so.

Nobody seals, imports or removes in a lake that is of another book. A lake whose files nobody has
claimed yet goes to a book that lists some of them, and an empty one to a book that lists none.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from flatfare.core.errors import Conflict, FlatfareError
from flatfare.store import segments
from flatfare.store.book import Book
from flatfare.store.lake import MARK, Lake, Mark
from flatfare.store.layout import KINDS

_OWN = "Give each book a lake of its own: --lake, or 'lake:' in flatfare.yaml."


@contextmanager
def held(book: Book, lake: Lake, on_wait: Callable[[str], None] | None = None) -> Iterator[None]:
    """Hold a lake of this book for writing, on all machines; what killed writers had half-written is gone.

    Waits for another writer, telling ``on_wait`` who that is. Raises ``Conflict`` where the
    lake is not of this book; then nothing has changed.
    """
    with lake.exclusive(on_wait), book.alone("lake", on_wait):
        _claim(book, lake)
        lake.sweep_staging()
        yield


def is_of(book: Book, lake: Lake) -> FlatfareError | None:
    """Why this book must not write to the lake; None where it may."""
    try:
        mark = lake.mark()
    except FlatfareError as problem:
        return problem
    if mark is not None and mark.book_id == _identity(book):
        return None
    files = set(lake.unlisted(set(), tuple(KINDS)))
    sealed = segments.listed(book)
    if not files:
        return _not_there(book, lake, len(sealed)) if sealed else None
    own = sum(segment.path in files for segment in sealed)
    if mark is not None:
        return _of_another(book, lake, mark, own)
    return None if own else _of_strangers(book, lake, len(files))


def _claim(book: Book, lake: Lake) -> None:
    if (problem := is_of(book, lake)) is not None:
        raise problem
    own = Mark(_identity(book), book.place if book.is_shared else os.path.abspath(book.place))
    now = lake.mark()
    if now is None or now.book_id != own.book_id:
        lake.write_mark(own)


def _identity(book: Book) -> str:
    return str(book.value("SELECT id FROM book_identity"))


def _not_there(book: Book, lake: Lake, sealed: int) -> Conflict:
    """As where a disk is not mounted: what is written to the empty folder would be hidden behind it."""
    return Conflict(
        f"The lake {lake.folder} is empty, and the book {book.place} lists {sealed} files in its lake. "
        "Nothing was written. Check that its disk is there, and that --lake, or 'lake:' in flatfare.yaml, "
        "names the folder; where the files are lost, restore them from a backup."
    )


def _of_strangers(book: Book, lake: Lake, files: int) -> Conflict:
    return Conflict(
        f"The lake {lake.folder} holds {files} sealed files, and the book {book.place} lists none of "
        f"them: another book does, or this one did before it was restored. Nothing was written. {_OWN}"
    )


def _of_another(book: Book, lake: Lake, mark: Mark, own: int) -> Conflict:
    found = (
        f"The lake {lake.folder} is of the book {mark.book_id}, kept at {mark.kept_at} when it took it. The "
        f"book {book.place} is {_identity(book)}"
    )
    if not own:
        return Conflict(f"{found}, and lists no file in it. Nothing was written. {_OWN}")
    return Conflict(
        f"{found}, and lists {own} files in it. Nothing was written. {_OWN} For this one copy the folder, "
        f"delete {MARK} in the copy, and name the copy."
    )
