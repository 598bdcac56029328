"""Money follows the truth: what turned out not to be done is given back, and signals change what is due.

A sale that is settled is reversed when its task's outcome is; and where the price has
conditions on signals, what a signal that came later makes of it is given back. Each once,
by the same rule as any reversal, in whatever period it falls.
"""

from dataclasses import dataclass

from flatfare.core.identity import derived
from flatfare.core.moments import DAY_US
from flatfare.core.sale import Sale
from flatfare.service.selling.reversing import reverse
from flatfare.service.selling.settling import due_of
from flatfare.store import sales
from flatfare.store.book import Book

BATCH = 500
SIGNALS_SINCE_US = 35 * DAY_US
"""Signals that are older than this when they are told change no price any more."""


@dataclass(frozen=True, slots=True)
class Followed:
    """What one round gave back."""

    turned: int = 0  # sales of tasks whose outcome was reversed
    signalled: int = 0  # sales that a signal made cheaper


def follow(book: Book, *, now_us: int) -> Followed:
    """Give back what is owed back by now; any number may run at once, and twice is once."""
    turned = 0
    while found := sales.turned(book, BATCH):
        for task_id, cause in found:
            reverse(
                book,
                task_id=task_id,
                entry_id=derived("turned", task_id),
                at_us=now_us,
                reason=f"the task was reversed by {cause}",
            )
        turned += len(found)
    signalled = sum(
        _follow_signal(book, sale, now_us) for sale in sales.signalled(book, now_us - SIGNALS_SINCE_US)
    )
    return Followed(turned, signalled)


def _follow_signal(book: Book, sale: Sale, now_us: int) -> bool:
    """Give back what is no longer due for a settled sale under the signals that are known by now."""
    owing = due_of(book, sale.task_id, attempts=sale.attempts)
    over_nano = sale.net_nano - owing.amount_nano
    if sale.is_paid_by_unit:
        over_nano = 0 if owing.amount_nano else sale.net_nano
    if over_nano <= 0:
        return False
    reason = owing.reason or "; ".join(line.text for line in owing.lines)
    reverse(
        book,
        task_id=sale.task_id,
        entry_id=derived("signalled", sale.task_id, str(sale.reversed_nano)),
        at_us=now_us,
        reason=f"due by now: {reason}",
        amount_nano=over_nano,
    )
    return True
