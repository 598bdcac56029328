"""How much of each budget is spent, where something depends on it: as the book had it half a second ago."""

from collections.abc import Iterable

from flatfare.core.budget import Budget
from flatfare.core.guard import Guard
from flatfare.gateway.reserving.claims import Claim
from flatfare.store import budgets
from flatfare.store.book import Book

THROTTLE = "throttle"


class Shares:
    """The percent of budgets that is spent, for subjects that are past the first line that counts."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._percent: dict[tuple[str, str], int] = {}
        self._lines: dict[str, int] = {}  # from which percent on a budget is spent slowly

    @property
    def is_slow_anywhere(self) -> bool:
        """Any budget is to be spent slowly by now."""
        return bool(self._lines) and bool(self._percent)

    def refresh(self, held: Iterable[Budget], guards: Iterable[Guard], now_us: int) -> None:
        """Look at the budgets on which a threshold or a guard depends; nothing is asked where none does."""
        models = [guard for guard in guards if guard.kind == "models"]
        lines = {budget.id: line for budget in held if (line := slow_from(budget)) is not None}
        percent: dict[tuple[str, str], int] = {}
        for budget in held:
            wanted = [guard.limit for guard in models if guard.budget in (None, budget.name)]
            wanted += [lines[budget.id]] if budget.id in lines else []
            if wanted:
                self._look_at(budget, min(wanted), now_us, percent)
        self._percent, self._lines = percent, lines

    def _look_at(self, budget: Budget, line: int, now_us: int, percent: dict[tuple[str, str], int]) -> None:
        least = min([budget.amount_nano, *(one.amount_nano for one in budget.top_ups if one.replaces)])
        for subject, spent in budgets.spent_beyond(self._book, budget, now_us, least * line // 100):
            limit = budget.limit_nano(now_us, subject)
            share = 100 * spent // limit if limit > 0 else 1000
            if share >= line:
                percent[budget.id, subject] = share

    def of(self, claim: Claim | None, name: str | None = None) -> int:
        """The greatest share among a call's budgets, or of the one of that name; 0 where it is low."""
        if claim is None or not self._percent:
            return 0
        found = (
            self._percent.get((budget.id, allowance.split(" ", 2)[2]), 0)
            for budget, allowance in claim.found
            if name in (None, budget.name)
        )
        return max(found, default=0)

    def slow(self, claim: Claim | None) -> list[str]:
        """The budgets of a call that are to be spent slowly, each with the subject it is spent for."""
        if claim is None:
            return []
        found = []
        for budget, allowance in claim.found:
            line = self._lines.get(budget.id)
            subject = allowance.split(" ", 2)[2]
            if line is not None and self._percent.get((budget.id, subject), -1) >= line:
                found.append(f"{budget.id} {subject}")
        return found


def slow_from(budget: Budget) -> int | None:
    """From which percent on a budget is to be spent slowly; None where it never is."""
    return min((one.percent for one in budget.thresholds if one.action == THROTTLE), default=None)
