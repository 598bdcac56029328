"""A lot that has expired still pays."""

from flatfare.core.grant import Grant

CAUGHT_BY = (
    "../service/selling/test_grants.py::test_an_expired_or_foreign_lot_is_never_drawn",
    "test_p9_ledger_histories.py::test_a_year_by_a_clock_that_jumps_leaves_the_ledger_whole[1]",
)

Grant.is_usable = lambda grant, action, at_us: (
    grant.effective_at_us <= at_us and (not grant.actions or action in grant.actions)
)
