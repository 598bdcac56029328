"""A lot that has expired still pays."""

from flatfare.core.grant import Grant

CAUGHT_BY = (
    "../service/selling/test_grants.py::test_an_expired_or_foreign_lot_is_never_drawn",
    "test_p9_ledger_histories.py::test_every_history_ends_as_the_oracle_says",
)

Grant.is_usable = lambda grant, action, at_us: (
    grant.effective_at_us <= at_us and (not grant.actions or action in grant.actions)
)
