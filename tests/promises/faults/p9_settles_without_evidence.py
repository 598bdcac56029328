"""A task is billed as verified though no verdict says on what evidence."""

from dataclasses import replace

from flatfare.service.selling import settling

CAUGHT_BY = ("../service/selling/test_sales.py::test_nothing_is_settled_without_evidence",)

_standing = settling._standing
settling._standing = lambda book, task: replace(_standing(book, task), has_evidence=True)
