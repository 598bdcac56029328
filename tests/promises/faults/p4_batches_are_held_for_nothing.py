"""Making a batch is taken for free, as if its answers were not billed."""

from flatfare.gateway.forwarding import batch
from flatfare.gateway.reserving.worth import Worth
from flatfare.service.budgets.bounding import Bound

CAUGHT_BY = (
    "../gateway/test_batches.py::test_the_most_that_a_batch_can_cost_is_held_until_its_answers_are_here",
)

batch.worth_of = lambda step, known, claim: Worth(Bound(0, 0, "it is free"), None)
