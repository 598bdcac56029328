"""What a plan includes: the dearest sales of its actions are taken off, whole, and come back once.

A sale that is taken back on the document that bills it takes no unit. One that is taken back later
frees its unit for another of its month: what the plan had taken off and no longer does is billed, so
that nothing is given back that was never paid.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from flatfare.core.invoice import Charge, Item, LineKind
from flatfare.service.invoicing.plans import Held


@dataclass(frozen=True, slots=True)
class Sold:
    """A sale on a document, and what of it has not been taken back."""

    item: Item
    action: str
    text: str
    left_nano: int

    @property
    def task(self) -> str:
        """Whose sale it is."""
        return str(self.item.task_id)


def sold_on(charges: Sequence[Charge]) -> list[Sold]:
    """The sales among these lines, each less what is taken back of it beside."""
    back: dict[str | None, int] = {}
    for charge in charges:
        if charge.kind is LineKind.REVERSAL:
            for item in charge.items:
                back[item.task_id] = back.get(item.task_id, 0) + item.amount_nano
    return [
        Sold(item, str(charge.action), charge.text, item.amount_nano + back.get(item.task_id, 0))
        for charge in charges
        if charge.kind is LineKind.USAGE
        for item in charge.items
    ]


def included(held: Sequence[Held], sold: Sequence[Sold]) -> list[Charge]:
    """The lines that take off what the plans of a month include."""
    groups: dict[tuple[str, int], int] = {}
    for one in _chosen(held, sold):
        groups[one.text, one.left_nano] = groups.get((one.text, one.left_nano), 0) + 1
    return [
        Charge(LineKind.INCLUDED, f"{text}, included in the plan", count, -count * nano, -nano)
        for (text, nano), count in groups.items()
    ]


def no_longer_included(
    held: Sequence[Held], sold: Sequence[Sold], later: Sequence[Item], here: frozenset[int], number: str
) -> list[Charge]:
    """What a former document took off and no longer would, by what was taken back of it later on.

    ``later`` are all such reversals in the order of the ledger; those ``here``, by their positions, are
    on the document that is made now.
    """
    by_task = {one.task: one for one in sold}
    before_nano = _off_nano(held, by_task)
    freed: dict[str, tuple[int, int]] = {}
    for item in later:
        one = by_task[str(item.task_id)]
        by_task[one.task] = replace(one, left_nano=one.left_nano + item.amount_nano)
        after_nano = _off_nano(held, by_task)
        if item.position in here and after_nano != before_nano:
            count, nano = freed.get(one.action, (0, 0))
            freed[one.action] = count + 1, nano + before_nano - after_nano
        before_nano = after_nano
    return [
        Charge(
            LineKind.INCLUDED,
            f"{action} taken back was included in the plan",
            count,
            nano,
            note=f"billed on {number}",
        )
        for action, (count, nano) in sorted(freed.items())
    ]


def _off_nano(held: Sequence[Held], sold: Mapping[str, Sold]) -> int:
    return sum(one.left_nano for one in _chosen(held, list(sold.values())))


def _chosen(held: Sequence[Held], sold: Sequence[Sold]) -> list[Sold]:
    """The sales that plans take off: of each action the dearest, settled while the plan was held.

    What came late, from a month before, counts to the first plan of the month.
    """
    chosen: list[Sold] = []
    for number, plan in enumerate(held):
        for action, units in sorted(plan.plan.included.items()):
            own = [
                one
                for one in sold
                if one.action == action
                and one.left_nano > 0
                and (plan.covers(one.item.at_us) or (one.item.is_late and number == 0))
            ]
            chosen += sorted(own, key=lambda one: (-one.left_nano, one.item.position))[:units]
    return chosen
