"""Nobody looks whose a lake is before writing to it."""

from flatfare.store import claiming

CAUGHT_BY = (
    "../store/test_claiming.py::test_another_book_changes_nothing_in_it",
    "../store/test_claiming.py::test_a_lake_without_a_mark_goes_to_the_book_that_lists_its_files",
)

claiming._claim = lambda book, lake: None
