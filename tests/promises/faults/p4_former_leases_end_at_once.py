"""A new treasurer gives back what the former had leased, whatever is still sent under it."""

from flatfare.gateway.reserving.treasurer import Treasurer
from flatfare.store import budgets

CAUGHT_BY = ("test_p4_no_overspend.py::test_what_the_dead_held_is_not_free[treasurer]",)


def _ended_at_once(treasurer, book, here):
    for epoch in budgets.epochs_of(book, treasurer._node) - {treasurer.epoch}:
        with book.writing():
            budgets.end_epoch(book, epoch)


Treasurer._end_former_epochs = _ended_at_once
