"""Reverse: what was earned is given back, whole or in parts, to where it was drawn from, in whichever period.

All parts together are never more than what was settled; each is an entry of its own, once.
"""

from uuid import UUID

from flatfare.core.currency import payable_text
from flatfare.core.errors import BadInput, NotFound
from flatfare.core.grant import unwind
from flatfare.core.ledger import Entry, Verb, canonical
from flatfare.core.outcome import Settlement
from flatfare.core.sale import Sale, check_move, draws_document, entry_of, moves_of_reverse
from flatfare.service.selling.granting import returned
from flatfare.service.selling.posting import append_once, id_for, known, lock_of
from flatfare.service.selling.settling import NO_SALE, lots_document, written
from flatfare.store import ledger, sales
from flatfare.store.book import Book


def reverse(
    book: Book,
    *,
    task_id: UUID | str,
    entry_id: UUID | None = None,
    at_us: int,
    reason: str,
    amount_nano: int | None = None,
) -> Sale:
    """Give back what a task was billed and is not given back yet, or part of it, by a new entry.

    It goes back to the same lots, what was drawn last first; what a lot that has expired
    gave comes back as a promotional lot; what was to be invoiced lowers the next invoice.
    The sale is reversed when nothing of it is left. Each part has an id of its own; the first
    may go without. ``Conflict`` where nothing is left to give back, or the id was used in other
    words; ``BadInput`` for an amount of nothing or of more than is left.
    """
    task = str(task_id)
    own_id = id_for(entry_id, Verb.REVERSE, task)
    customer = sales.customer_of(book, task)
    if customer is None:
        raise NotFound(NO_SALE.format(task))
    asked = {"amount": amount_nano}
    with book.writing_of(lock_of(customer)):
        sale = sales.sale_of(book, task)
        assert sale is not None  # a sale is never deleted
        if _is_given_back(book, sale, own_id, asked, reason):
            return sale
        check_move(sale, Settlement.REVERSED)
        given_nano = sale.net_nano if amount_nano is None else amount_nano
        _check_amount(sale, given_nano)
        back, kept = unwind(sale.draws, given_nano)
        further, lots = returned(book, back, own_id, at_us)
        decided = {"reversed": given_nano, "left": sale.net_nano - given_nano}
        entry = entry_of(
            Verb.REVERSE,
            sale,
            customer,
            [*moves_of_reverse(sale, back), *further],
            entry_id=own_id,
            at_us=at_us,
            asked=asked,
            decided={**decided, "draws": draws_document(kept), **lots_document(lots)},
            reason=reason,
            reverses=_settlement(book, task),
        )
        return written(book, sale, append_once(book, entry), lots)


def _check_amount(sale: Sale, given_nano: int) -> None:
    if not 0 < given_nano <= sale.net_nano:
        left = payable_text(sale.net_nano, sale.currency)
        raise BadInput(
            f"Found {payable_text(given_nano, sale.currency)} {sale.currency} to give back of {left} that "
            "are left: at most what was settled and not given back before, and more than nothing."
        )
    if sale.is_paid_by_unit and given_nano != sale.settled_nano:
        raise BadInput("A unit of a pack paid for this: it is given back whole. Leave the amount out.")


def _is_given_back(book: Book, sale: Sale, own_id: str, asked: dict[str, int | None], reason: str) -> bool:
    """This was given back before by this id; ``Conflict`` where the id was used in other words."""
    settled = _settlement(book, sale.task_id)
    same = Entry(
        own_id,
        Verb.REVERSE,
        sale.customer,
        0,
        (),
        canonical(asked),
        task_id=sale.task_id,
        reverses=settled,
        reason=reason,
    )
    return known(book, same) is not None


def _settlement(book: Book, task: str) -> str | None:
    """The id of the entry that settled the task."""
    found = ledger.entries(book, "task_id = ? AND verb = ?", (task, str(Verb.SETTLE)))
    return found[0].id if found else None
