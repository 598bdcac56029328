"""What stands for sealed files is believed as it is listed, without a look at the chain."""

from flatfare.store import gathering

CAUGHT_BY = ("test_p10_past_in_the_lake.py::test_a_copy_that_nobody_gathered_is_found",)

gathering.contradicted = lambda book: iter(())
