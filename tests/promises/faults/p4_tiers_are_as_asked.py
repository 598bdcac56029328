"""What is held is the tier that a request names, not the dearest that its provider may serve it at."""

from flatfare.service.budgets import bounding

CAUGHT_BY = (
    "../service/budgets/test_bounding.py::test_the_dearest_tier_is_held_that_the_provider_may_serve_by_itself",
)

bounding.tiers_of = lambda provider, tier: (tier,)
