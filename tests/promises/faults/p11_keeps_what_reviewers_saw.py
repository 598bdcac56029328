"""What reviewers were shown stays in the book once they have decided."""

from flatfare.store import reviews

CAUGHT_BY = ("../service/judging/test_reviewing.py::test_what_was_shown_is_erased_with_the_decision",)


def _set_decided(book, review_id, judgement, at_us):
    book.execute(
        "UPDATE reviews SET decided_at_us = ?, judgement = ? WHERE id = ?", (at_us, judgement, review_id)
    )


reviews.set_decided = _set_decided
