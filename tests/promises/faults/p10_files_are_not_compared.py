"""Sealed files are believed as they are listed, without a look at the chain of what was sealed."""

from flatfare.store import segments

CAUGHT_BY = (
    "test_p10_past_in_the_lake.py::test_a_sealed_outcome_that_was_changed_is_found",
    "test_p10_past_in_the_lake.py::test_a_file_that_nobody_sealed_is_found",
)

segments.contradicted = lambda book: iter(())
