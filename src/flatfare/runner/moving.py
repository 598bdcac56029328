"""The money of a run: held before its work, settled or voided after it, each once whatever happens."""

import json
from collections.abc import Iterable, Sequence
from uuid import UUID

from flatfare.core.action import Action, Size
from flatfare.core.identity import derived
from flatfare.core.moments import HOUR_US
from flatfare.core.outcome import Settlement
from flatfare.runner.books import Shelf
from flatfare.service import selling
from flatfare.service.actions.receipts import sale_of
from flatfare.service.invoicing import plans
from flatfare.service.selling import Costs, Sale
from flatfare.store import runs
from flatfare.store.runs import Attempt, Run

_LOST = "the process that did the work ended before the result was handed over"


def promise(shelf: Shelf, run: Run, action: Action, now_us: int) -> UUID | None:
    """Quote the run; the quote's id. A run without a customer moves no money."""
    if run.customer is None:
        return None
    quote_id = derived("quote", run.id, str(run.take))
    promised = selling.quote_of(shelf.book, quote_id)
    price = plans.price_for(shelf.book, run.customer, action.name, now_us) or action.price
    if promised is not None:  # a run that was cut short keeps the price it began with
        price = promised.price
    quote = selling.quote(
        shelf.book,
        quote_id=quote_id,
        customer=run.customer,
        action=action.name,
        action_version=str(action.version),
        price=price,
        size=Size(*json.loads(run.size)).by(price.size),
        attempts_max=action.limits.attempts,
        at_us=now_us,
        valid_us=max(action.limits.deadline_us + run.patience_us, HOUR_US),
    )
    return UUID(quote.id)


def hold(shelf: Shelf, run: Run, quote_id: UUID | None, now_us: int) -> None:
    """Hold the most that a run can come to, as it was quoted."""
    if quote_id is not None:
        selling.hold(shelf.book, task_id=run.task_id, quote_id=quote_id, at_us=now_us)


def settle(shelf: Shelf, run: Run, now_us: int, reason: str) -> Sale | None:
    """Bill what is due for a run that is decided, or give everything back."""
    sale = sale_of(shelf.book, run)
    if sale is None or sale.settlement is not Settlement.HELD:
        return sale
    made = runs.attempts_of(shelf.book, run.id)
    costs, attempts = costs_of(made, run.take), billable(made, run.take)
    if selling.due_of(shelf.book, run.task_id, attempts=attempts).amount_nano:
        return selling.settle(shelf.book, task_id=run.task_id, at_us=now_us, attempts=attempts, costs=costs)
    return selling.void(shelf.book, task_id=run.task_id, at_us=now_us, reason=reason, costs=costs)


def give_back(shelf: Shelf, run: Run, now_us: int, reason: str = _LOST) -> Sale | None:
    """Give everything back, also what was settled: the result was never handed over."""
    sale = sale_of(shelf.book, run)
    if sale is None:
        return None
    costs = costs_of(runs.attempts_of(shelf.book, run.id), run.take)
    if sale.settlement is Settlement.HELD:
        return selling.void(shelf.book, task_id=run.task_id, at_us=now_us, reason=reason, costs=costs)
    if sale.settlement is Settlement.SETTLED:
        own_id = derived("given back", run.task_id)
        return selling.reverse(shelf.book, task_id=run.task_id, entry_id=own_id, at_us=now_us, reason=reason)
    return sale


def book_costs(shelf: Shelf, run: Run, costs: Costs, now_us: int) -> None:
    """Say what the run's task has cost in all by now."""
    if sale_of(shelf.book, run) is not None:
        selling.book_costs(shelf.book, task_id=run.task_id, costs=costs, at_us=now_us)


def billable(attempts: Iterable[Attempt], take: int) -> int:
    """Attempts that may be billed where the price says so: those that came to an end of their own."""
    return sum(one.take == take and one.ending not in (None, "interrupted") for one in attempts)


def costs_of(attempts: Sequence[Attempt], take: int) -> Costs:
    """What the attempts have cost, as far as it is known."""
    own = [one for one in attempts if one.take == take]
    work = verification = 0
    reasons = [one.cost_reason for one in own if one.cost_reason]
    for attempt in own:
        calls = [(purpose, cost or 0) for _, purpose, cost in json.loads(attempt.calls)]
        verified = sum(cost for purpose, cost in calls if purpose == "verification")
        verification += verified
        work += (attempt.cost_nano or 0) - verified
    return Costs(work_nano=work, verification_nano=verification, reason=reasons[0] if reasons else None)
