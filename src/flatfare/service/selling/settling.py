"""Settle and void: what is due is earned, the rest of the hold goes back; what the work cost is booked.

Only a verified outcome with its evidence is billed, unless the price says otherwise. The
outcome is read in the transaction that moves the money.
"""

from collections.abc import Mapping
from uuid import UUID

from flatfare.core.action_price import Due, due
from flatfare.core.errors import BadInput, NotFound
from flatfare.core.grant import Draw, Grant, unwind
from flatfare.core.identity import derived
from flatfare.core.ledger import Account, Entry, Verb, canonical
from flatfare.core.outcome import Outcome, Settlement
from flatfare.core.sale import (
    Costs,
    NotBillable,
    Sale,
    applied,
    check_move,
    draws_document,
    entry_of,
    moves_of_costs,
    moves_of_settle,
    moves_of_void,
)
from flatfare.service.selling.granting import returned
from flatfare.service.selling.posting import append_once, id_for, known, lock_of
from flatfare.store import ledger, sales, tasks
from flatfare.store.book import Book
from flatfare.store.sales import Standing

NO_SALE = "There is no sale of task {}: nothing was held for it."


def settle(
    book: Book,
    *,
    task_id: UUID | str,
    entry_id: UUID | None = None,
    at_us: int,
    attempts: int = 1,
    costs: Costs | None = None,
) -> Sale:
    """Bill what is due for a task whose outcome is known; the rest of its hold goes back.

    ``NotBillable`` where nothing is due, ``Conflict`` where the sale is voided or settled
    in other words, ``NotFound`` where nothing was held. ``costs`` are the task's in all.
    """
    task = str(task_id)
    own_id = id_for(entry_id, Verb.SETTLE, task)
    asked = {"attempts": attempts}
    with book.writing_of(lock_of(_customer(book, task))):
        standing = _standing(book, task)
        sale = standing.sale
        if sale.settlement is not Settlement.HELD:
            return _done_before(book, sale, Verb.SETTLE, own_id, asked, Settlement.SETTLED)
        owing = _due(book, standing, attempts)
        if not owing.amount_nano:
            raise NotBillable(f"Nothing is due for task {task}: {owing.reason}. Void its hold.")
        over_nano = 0 if sale.is_paid_by_unit else sale.held_nano - owing.amount_nano
        back, kept = unwind(sale.draws, over_nano)
        moves, final = moves_of_settle(sale, back, kept, standing.customer.owed)
        decided: dict[str, object] = {
            "attempts": attempts,
            "settled": sum(one.amount_nano for one in kept),
            "draws": draws_document(final),
            "lines": [[line.text, line.amount_nano] for line in owing.lines],
        }
        return _move(book, sale, Verb.SETTLE, moves, back, own_id, at_us, asked, decided, costs)


def void(
    book: Book,
    *,
    task_id: UUID | str,
    entry_id: UUID | None = None,
    at_us: int,
    reason: str,
    costs: Costs | None = None,
) -> Sale:
    """Give back all that is held: the task is not billed. What it has cost is booked all the same."""
    task = str(task_id)
    own_id = id_for(entry_id, Verb.VOID, task)
    with book.writing_of(lock_of(_customer(book, task))):
        sale = _standing(book, task).sale
        if sale.settlement is not Settlement.HELD:
            return _done_before(book, sale, Verb.VOID, own_id, {}, Settlement.VOIDED, reason)
        moves = moves_of_void(sale)
        return _move(book, sale, Verb.VOID, moves, sale.draws, own_id, at_us, {}, {}, costs, reason)


def book_costs(book: Book, *, task_id: UUID | str, costs: Costs, at_us: int) -> Sale:
    """Say what a sold task has cost in all by now: only the difference to what is booked is posted.

    May be said as often as there is news: late calls, rework, a correction downwards. What
    was known later stands: what is told late, or again, changes nothing.
    """
    task = str(task_id)
    _check_costs(costs)
    with book.writing_of(lock_of(_customer(book, task))):
        sale = _standing(book, task).sale
        if sale.costs == costs or at_us < sale.costs_at_us:
            return sale
        number = len(ledger.entries(book, "task_id = ? AND verb = ?", (task, str(Verb.COST))))
        entry = entry_of(
            Verb.COST,
            sale,
            sale.customer,
            moves_of_costs(sale.customer, sale.costs, costs),
            entry_id=str(derived("entry", Verb.COST, task, str(number))),
            at_us=at_us,
            asked={},
            decided={"costs": costs.document},
        )
        sale = applied(sale, append_once(book, entry), sale.quote)
        sales.write_sale(book, sale)
        return sale


def due_of(book: Book, task_id: UUID | str, *, attempts: int = 1) -> Due:
    """What would be due for a task as it stands now; nothing is changed."""
    return _due(book, _standing(book, str(task_id)), attempts)


def _due(book: Book, standing: Standing, attempts: int) -> Due:
    quote = standing.sale.quote
    if standing.outcome is None:
        raise NotFound(f"There is no task {standing.sale.task_id} in the book: its outcome is not known.")
    if attempts < 0:
        raise BadInput(f"Found {attempts} attempts: expected a number from 0.")
    if standing.outcome is Outcome.OPEN:
        return Due(0, reason="the task is open, and what it comes to is not known yet")
    if standing.outcome is Outcome.VERIFIED and not standing.has_evidence:
        return Due(0, reason="no verdict says on what evidence the task is verified")
    return due(
        quote.price,
        outcome=standing.outcome,
        attempts=min(attempts, quote.attempts_max),  # never more than was held for
        size=quote.size,
        signals=sales.signals_of(book, standing.sale.task_id) if quote.price.conditions else {},
    )


def _move(
    book: Book,
    sale: Sale,
    verb: Verb,
    moves: list[tuple[Account, int]],
    back: tuple[Draw, ...],
    own_id: str,
    at_us: int,
    asked: Mapping[str, object],
    decided: Mapping[str, object],
    costs: Costs | None,
    reason: str | None = None,
) -> Sale:
    """Write the entry, the lots that it makes, and where the sale stands after it."""
    further, lots = returned(book, back, own_id, at_us)
    if costs is not None and at_us >= sale.costs_at_us:
        _check_costs(costs)
        further = [*further, *moves_of_costs(sale.customer, sale.costs, costs)]
        decided = {**decided, "costs": costs.document}
    entry = entry_of(
        verb,
        sale,
        sale.customer,
        [*moves, *further],
        entry_id=own_id,
        at_us=at_us,
        asked=asked,
        decided={**decided, **lots_document(lots)},
        reason=reason,
    )
    return written(book, sale, append_once(book, entry), lots)


def written(book: Book, sale: Sale, entry: Entry, lots: list[Grant]) -> Sale:
    """Keep the lots that an entry has made, and what the sale and its task have come to."""
    for lot in lots:
        sales.insert_grant(book, lot)
    after = applied(sale, entry, sale.quote)
    sales.write_sale(book, after)
    tasks.set_settlement(book, after.task_id, str(after.settlement))
    return after


def lots_document(lots: list[Grant]) -> dict[str, object]:
    """The lots that an entry makes, as it keeps them."""
    return {"grants": [sales.grant_document(lot) for lot in lots]} if lots else {}


def _done_before(
    book: Book,
    sale: Sale,
    verb: Verb,
    own_id: str,
    asked: Mapping[str, object],
    to: Settlement,
    reason: str | None = None,
) -> Sale:
    """A retry of the same verb is told what stands; any other finds that money cannot move there."""
    same = Entry(own_id, verb, sale.customer, 0, (), canonical(asked), task_id=sale.task_id, reason=reason)
    if known(book, same) is None:
        check_move(sale, to)
    return sale


def _customer(book: Book, task: str) -> str:
    found = sales.customer_of(book, task)
    if found is None:
        raise NotFound(NO_SALE.format(task))
    return found


def _standing(book: Book, task: str) -> Standing:
    found = sales.standing_of(book, task)
    if found is None:
        raise NotFound(NO_SALE.format(task))
    return found


def _check_costs(costs: Costs) -> None:
    if min(costs.work_nano, costs.verification_nano, costs.rework_nano) < 0:
        raise BadInput("Found a cost below zero: a task costs something or nothing.")
