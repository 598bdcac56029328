"""Heads that were kept elsewhere are not looked at."""

from flatfare.service.selling import verifying

CAUGHT_BY = (
    "test_p10_ledger_cannot_be_edited_unnoticed.py::test_a_cut_tail_and_a_chain_hashed_anew_show_against_heads_kept_elsewhere",
)

_problems = verifying._problems
verifying._problems = lambda book, kept_heads: _problems(book, {})
