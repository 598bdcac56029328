"""How many units of work are left in a budget on an action: what is left over what a verified one costs.

An estimate, from the action's matured tasks in the book, said with how many of them were
verified. Where that is not known, nothing is said.
"""

from collections.abc import Iterable, Mapping

from flatfare.core.budget import Budget
from flatfare.core.errors import BadUsage
from flatfare.core.unit_cost import ACTION, UnitCost
from flatfare.service.reporting import Row, report
from flatfare.store.book import Book
from flatfare.store.lake import Lake


def unit_costs(book: Book, lake: Lake, budgets: Iterable[Budget], now_us: int) -> Mapping[str, UnitCost]:
    """What a unit costs, by action; nothing is asked where no budget is on an action."""
    if not any(budget.scope.key == ACTION for budget in budgets):
        return {}
    found = _by(book, lake, ACTION, now_us)
    try:
        labelled = _by(book, lake, f"label.{ACTION}", now_us)
    except BadUsage:  # no task and no call has such a label
        labelled = {}
    return {**labelled, **found}


def _by(book: Book, lake: Lake, key: str, now_us: int) -> dict[str, UnitCost]:
    rows = report(book, lake, now_us=now_us, by=(key,)).rows
    return {name: cost for row in rows if (name := row.keys[0]) is not None and (cost := _cost(row))}


def _cost(row: Row) -> UnitCost | None:
    nano = row.cost_per_verified_nano
    if row.is_published or not row.is_priced or not nano:
        return None
    return UnitCost(nano, row.verified)
