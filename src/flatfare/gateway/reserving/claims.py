"""Claims: which budgets a call falls under, each with the allowance that it draws on in this window.

A worker holds the budgets in memory, as of the last change, and remembers what calls fall under
as long as no window ends: many calls of one key say the same of whose they are.
"""

import re
from collections.abc import Hashable, Iterable
from functools import lru_cache

from flatfare.core.budget import Allowance, Budget, Whose
from flatfare.gateway.attribution import Attribution, labels_of
from flatfare.store import budgets
from flatfare.store.book import Book
from flatfare.store.keys import Key

CLAIMS_MAX = 4096
_NEVER_US = 2**63 - 1
_BETWEEN = re.compile(r"\n(?=\S+ \d+ )")
"""What stands between two allowances of a reservation: whose one is may hold a line's end itself."""


class Claim:
    """The budgets that a call falls under, each with the id of the allowance it draws on."""

    __slots__ = ("_text", "found", "hard", "is_open", "names", "queue_ms")

    def __init__(self, found: tuple[tuple[Budget, str], ...]) -> None:
        self.found = found
        self.hard = tuple(one for one in found if one[0].is_hard or _stops(one[0]))
        """Those that must not be exceeded."""
        self.is_open = all(budget.fail == "open" for budget, _ in self.hard)
        """Every one of those lets calls through where it cannot be asked."""
        self.names = [name for _, name in self.hard]
        self.queue_ms = min((budget.queue_ms for budget, _ in self.hard), default=0)
        self._text: tuple[str | None, str] | None = None

    def budget_of(self, allowance_id: str) -> Budget | None:
        """The budget of an allowance."""
        return next((budget for budget, name in self.found if name == allowance_id), None)

    def reservation_text(self, epoch: str | None) -> str:
        """What an intent says of its reservation: the epoch, and the allowances its cost is charged to."""
        held = self._text
        if held is None or held[0] != epoch:
            held = self._text = (epoch, "\n".join((epoch or "", *(name for _, name in self.found))))
        return held[1]


@lru_cache(maxsize=4096)
def reservation_of(text: str) -> tuple[str | None, tuple[Allowance, ...]]:
    """What a reservation's text says: its epoch, and its allowances.

    >>> reservation_of("e1\\nbud_1 0 search")
    ('e1', (Allowance(budget_id='bud_1', subject='search', begins_us=0),))
    """
    epoch, *ids = _BETWEEN.split(text)
    return epoch or None, tuple(map(Allowance.of, ids))


def whose_is(key: Key | None, whose: Attribution) -> Whose:
    """What of a call says which budgets and guards it falls under."""
    return Whose(
        None if key is None else key.id,
        None if key is None else key.project,
        whose.task_id,
        whose.session,
        labels_of(whose.labels),
    )


class BudgetList:
    """The budgets as a worker sees them: in memory, as of the last change."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._number: object = None
        self._held = Standing(())
        self.refresh()

    def refresh(self) -> None:
        """Take in what has changed; ``StoreFailure`` where the book is away, and the budgets known stay."""
        number = budgets.change_number(self._book)
        if number != self._number:
            # One object for all of it: this runs beside the calls, and none may see a half of two states.
            self._held, self._number = Standing(budgets.all_of(self._book)), number

    def claim(self, whose: Whose, at_us: int) -> Claim | None:
        """What a call falls under; None where no budget concerns it."""
        held = self._held
        held.hold_at(at_us)
        return held.claim(whose)

    def claim_of(self, key: Key | None, attribution: Attribution, at_us: int) -> Claim | None:
        """The same for a call of this key, remembered."""
        held = self._held
        held.hold_at(at_us)
        said = (key and key.id, key and key.project, attribution)
        claims = held.claims
        if said not in claims:
            if len(claims) >= CLAIMS_MAX:
                claims.clear()
            claims[said] = held.claim(whose_is(key, attribution))
        return claims[said]

    def at(self, at_us: int) -> "Standing":
        """The budgets in their windows of another moment, for calls that were sent then."""
        standing = Standing(self._held.budgets)
        standing.hold_at(at_us)
        return standing

    @property
    def held(self) -> tuple[Budget, ...]:
        """The budgets themselves."""
        return self._held.budgets

    def __len__(self) -> int:
        return len(self._held.budgets)


class Standing:
    """The budgets as of one change, and what calls fall under as long as no window ends."""

    __slots__ = ("_since_us", "_until_us", "_windows", "budgets", "claims")

    def __init__(self, found: Iterable[Budget]) -> None:
        self.budgets = tuple(found)
        self.claims: dict[Hashable, Claim | None] = {}
        self._windows: list[int] = []  # when that of each budget began
        self._since_us = self._until_us = 0  # from when to when these hold

    def __len__(self) -> int:
        return len(self.budgets)

    def hold_at(self, at_us: int) -> None:
        """See to it that the windows are those of a moment."""
        if not self._since_us <= at_us < self._until_us:
            spans = [budget.window.span(at_us) for budget in self.budgets]
            self._windows = [begins for begins, _ in spans]
            self._since_us = max(self._windows, default=0)
            self._until_us = min((end for _, end in spans if end is not None), default=_NEVER_US)
            self.claims.clear()

    def claim(self, whose: Whose) -> Claim | None:
        """What a call falls under in these windows."""
        found = []
        for budget, begins_us in zip(self.budgets, self._windows, strict=True):
            subject = budget.subject(whose)
            if subject is not None:
                found.append((budget, f"{budget.id} {begins_us} {subject}"))
        return Claim(tuple(found)) if found else None


def _stops(budget: Budget) -> bool:
    return any(one.action == "stop" for one in budget.thresholds)
