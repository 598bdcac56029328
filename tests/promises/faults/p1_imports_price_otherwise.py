"""What is imported is priced a nano-dollar beside what the gateway books for the same usage."""

from flatfare.service.costing import bulk_pricing

CAUGHT_BY = ("test_p1_every_way.py::test_one_answer_costs_the_same_by_every_way",)

_priced_sql = bulk_pricing.priced_sql
bulk_pricing.priced_sql = lambda *asked, **more: (
    f"SELECT * REPLACE (computed_nano - 1 AS computed_nano) FROM ({_priced_sql(*asked, **more)})"
)
