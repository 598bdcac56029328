"""What a sale has come to is written apart from its entry, and may be lost between."""

from flatfare.service.selling import settling

CAUGHT_BY = (
    "test_p9_settled_exactly_once.py::test_a_disk_that_fails_at_any_statement_leaves_nothing_half_written[I/O]",
)

_append_once = settling.append_once


def _kept_at_once(book, entry):
    written = _append_once(book, entry)
    book.execute("COMMIT")
    book.execute("BEGIN IMMEDIATE")
    return written


settling.append_once = _kept_at_once
