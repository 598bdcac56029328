"""Pricing anew writes over what a call was booked at."""

from flatfare.store import adjustments

CAUGHT_BY = (
    "test_p1_every_way.py::test_a_rate_that_is_added_later_leaves_booked_calls_and_what_is_priced_anew_is_appended",
)

_write = adjustments.write


def _written_over(book, corrections, **record):
    found = [one for one in corrections if one.is_needed]
    count = _write(book, found, **record)
    for one in found:
        newest = int(one.call["revision"]) + 1
        book.execute("DELETE FROM calls WHERE id = ? AND revision < ?", (one.call["id"], newest))
        book.execute("DELETE FROM calls WHERE id = ? AND n < 0", (one.call["id"],))
    return count


adjustments.write = _written_over
