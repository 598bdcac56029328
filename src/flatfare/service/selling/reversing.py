"""Reverse: what was earned is given back, once, to where it was drawn from, in whichever period."""

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
    """Give back what a task was billed, or part of it, by a new entry that names the one it reverses.

    It goes back to the same lots, what was drawn last first; what a lot that has expired
    gave comes back as a promotional lot; what was to be invoiced lowers the next invoice.
    ``Conflict`` where the sale is not settled or was reversed in other words;
    ``BadInput`` for an amount of nothing or of more than was settled.
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
        if sale.settlement is not Settlement.SETTLED:
            return _done_before(book, sale, own_id, asked, reason)
        given_nano = sale.settled_nano if amount_nano is None else amount_nano
        _check_amount(sale, given_nano)
        back, kept = unwind(sale.draws, given_nano)
        further, lots = returned(book, back, own_id, at_us)
        entry = entry_of(
            Verb.REVERSE,
            sale,
            customer,
            [*moves_of_reverse(sale, back), *further],
            entry_id=own_id,
            at_us=at_us,
            asked=asked,
            decided={"reversed": given_nano, "draws": draws_document(kept), **lots_document(lots)},
            reason=reason,
            reverses=_settlement(book, task),
        )
        return written(book, sale, append_once(book, entry), lots)


def _check_amount(sale: Sale, given_nano: int) -> None:
    if not 0 < given_nano <= sale.settled_nano:
        settled = payable_text(sale.settled_nano, sale.currency)
        raise BadInput(
            f"Found {payable_text(given_nano, sale.currency)} {sale.currency} to give back of {settled}: "
            "at most what was settled, and more than nothing."
        )
    if sale.is_paid_by_unit and given_nano != sale.settled_nano:
        raise BadInput("A unit of a pack paid for this: it is given back whole. Leave the amount out.")


def _done_before(book: Book, sale: Sale, own_id: str, asked: dict[str, int | None], reason: str) -> Sale:
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
    if known(book, same) is None:
        check_move(sale, Settlement.REVERSED)
    return sale


def _settlement(book: Book, task: str) -> str | None:
    """The id of the entry that settled the task."""
    found = ledger.entries(book, "task_id = ? AND verb = ?", (task, str(Verb.SETTLE)))
    return found[0].id if found else None
