"""Rows of settings are believed without a look at the chain of their changes."""

from flatfare.service import settled_terms

CAUGHT_BY = (
    "test_p10_past_settings.py::test_each_row_of_settings_that_was_edited_by_hand_is_found",
    "test_p10_past_settings.py::test_a_row_that_nobody_made_is_found",
)

settled_terms._difference = lambda said, stands: None
