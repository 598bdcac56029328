"""A picture that is not seen here is held as if its provider looked at it from afar."""

from flatfare.service.budgets.picture_tokens import Tiles

CAUGHT_BY = ("../service/budgets/test_bounding.py::test_a_picture_counts_as_the_dearest_there_is",)

Tiles.most = lambda rule, detail: rule.base
