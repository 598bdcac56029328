"""Grants: lots of prepaid credit or of a pack's units, the order in which they are drawn down and unwound.

A lot never changes; what is left of it is what the ledger says. Drawing takes from lots
in one stated order and from the wallet last; what comes back goes back to where it was
drawn from, what was drawn last first.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from flatfare.core.ledger import Account, Kind

PROMOTION_DAYS = 30
"""So long may be used what comes back to a lot that has expired in the meantime."""

PRIORITY = 100
"""Of a grant that names none; lower numbers are drawn first."""


class Category(StrEnum):
    """Whether somebody paid for it."""

    PROMOTION = "promotion"
    PAID = "paid"


@dataclass(frozen=True, slots=True)
class Grant:
    """One lot: money for some actions or all, or so many units of an action at a price each."""

    id: str
    customer: str
    currency: str
    amount_nano: int
    category: Category
    effective_at_us: int
    expires_at_us: int | None = None
    priority: int = PRIORITY
    actions: tuple[str, ...] = ()  # none: all of them
    unit_nano: int | None = None  # of a pack: a sale takes one unit, whatever its price
    pack: str | None = None

    @property
    def account(self) -> Account:
        """Where what is left of it stands."""
        return Account(Kind.GRANT, self.id, self.currency)

    @property
    def units(self) -> int | None:
        """How many units it had; None of a lot of money."""
        return None if self.unit_nano is None else self.amount_nano // self.unit_nano

    def units_of(self, amount_nano: int) -> int | None:
        """How many units an amount of it is."""
        return None if self.unit_nano is None else amount_nano // self.unit_nano

    def is_usable(self, action: str, at_us: int) -> bool:
        """It may pay for this action at this moment."""
        return (
            self.effective_at_us <= at_us
            and (self.expires_at_us is None or at_us < self.expires_at_us)
            and (not self.actions or action in self.actions)
        )

    @property
    def order(self) -> tuple[int, bool, int, bool, int, str]:
        """Its place in the order of drawing: priority, what expires first, gifts first, the oldest first."""
        return (
            self.priority,
            self.expires_at_us is None,
            self.expires_at_us or 0,
            self.category is Category.PAID,
            self.effective_at_us,
            self.id,
        )


@dataclass(frozen=True, slots=True)
class Draw:
    """An amount drawn from an account for a sale; of a pack, one unit of it."""

    account: Account
    amount_nano: int
    is_unit: bool = False


def draw(
    grants: Iterable[tuple[Grant, int]],
    rest_of: Sequence[tuple[Account, int]],
    action: str,
    nano: int,
    at_us: int,
) -> tuple[tuple[Draw, ...], int]:
    """What pays for a sale, in the stated order; and how much of it nothing pays for.

    ``grants`` come with what is left of them; ``rest_of`` are the accounts that pay what
    no grant covers, with what they have. A pack that has a unit of this action pays for
    the whole sale with it; else lots of money pay, and the rest is paid by the others.
    """
    usable = sorted(
        ((grant, left) for grant, left in grants if left > 0 and grant.is_usable(action, at_us)),
        key=lambda pair: pair[0].order,
    )
    for grant, left in usable:
        if grant.unit_nano is not None and left >= grant.unit_nano:
            return (Draw(grant.account, grant.unit_nano, is_unit=True),), 0
    draws: list[Draw] = []
    missing = nano
    lots = [(grant.account, left) for grant, left in usable if grant.unit_nano is None]
    for account, left in (*lots, *rest_of):
        if missing and left > 0:
            draws.append(Draw(account, min(left, missing)))
            missing -= min(left, missing)
    return tuple(draws), missing


def unwind(draws: Sequence[Draw], nano: int) -> tuple[tuple[Draw, ...], tuple[Draw, ...]]:
    """What goes back and what stays when so much comes back: what was drawn last goes back first.

    >>> wallet, lot = Account(Kind.WALLET, "a", "USD"), Account(Kind.GRANT, "g", "USD")
    >>> back, kept = unwind([Draw(lot, 30), Draw(wallet, 20)], 25)
    >>> [one.amount_nano for one in back], [one.amount_nano for one in kept]
    ([20, 5], [25])
    """
    back: list[Draw] = []
    kept: list[Draw] = []
    for one in reversed(draws):
        returned = min(one.amount_nano, nano)
        nano -= returned
        if returned:
            back.append(Draw(one.account, returned, one.is_unit))
        if returned < one.amount_nano:
            kept.append(Draw(one.account, one.amount_nano - returned, one.is_unit))
    return tuple(back), tuple(reversed(kept))
