"""A repair takes whatever the book does not list for what a killed writer left."""

from flatfare.store import segments
from flatfare.store.layout import KINDS

CAUGHT_BY = (
    "../service/test_doctoring.py::test_a_file_that_nobody_here_began_is_never_removed_and_moved_aside_on_request",
    "../service/test_doctoring.py::test_a_book_that_was_restored_keeps_the_files_it_no_longer_lists",
)


def _remove_unlisted(book, lake, paths=None):
    over = lake.unlisted({segment.path for segment in segments.listed(book)}, tuple(KINDS))
    for path in over:
        lake.remove(path)
    return over


segments.remove_begun = _remove_unlisted
