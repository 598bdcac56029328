"""Figures: the sums of one group of tasks, and what is said of them.

Sums are whole numbers and add up: over groups, over sealed and hot rows, over any order.
What is derived from them is computed once, here, and rounded once, half to even.
"""

import operator
from collections.abc import Callable
from dataclasses import dataclass, fields

from flatfare.core.money import half_even
from flatfare.core.statistics import (
    COUNTS_ONLY,
    MIN_SUCCESSES,
    CostSums,
    Interval,
    Ratio,
    cost_per_success,
    cost_per_success_from_counts,
    wilson,
)

FEW_SUCCESSES = f"fewer than {MIN_SUCCESSES} verified"
"""Said where a cost per verified outcome has no interval."""

MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Figures:
    """The sums of one group; every amount in nano-dollars, every square in their square.

    The headline is over matured tasks: work, verification and rework. Beside it stand
    what open tasks cost, what calls outside tasks cost, and simulation and test; all
    five together are the group's ``spend_nano``.
    """

    tasks: int = 0  # matured
    verified: int = 0
    failed: int = 0
    assumed: int = 0
    reversed: int = 0
    open: int = 0
    attempts: int = 0
    cost_nano: int = 0  # the known part of what matured tasks cost
    success_nano: int = 0
    success_squared: int = 0
    failure_nano: int = 0  # failed and reversed
    failure_squared: int = 0
    assumed_nano: int = 0
    assumed_squared: int = 0
    costed_tasks: int = 0  # matured tasks of whose cost anything is known
    unknown_cost_tasks: int = 0  # matured tasks of whose cost anything is not known
    unknown_cost_calls: int = 0
    verification_nano: int = 0
    unknown_verification_tasks: int = 0
    rework_nano: int = 0
    unknown_rework_tasks: int = 0
    fixed_nano: int = 0  # allocated from commitments
    open_nano: int = 0
    unknown_open_tasks: int = 0
    outside_nano: int = 0
    outside_calls: int = 0
    unknown_outside_calls: int = 0
    simulation_nano: int = 0
    unknown_simulation_calls: int = 0
    test_nano: int = 0
    unknown_test_calls: int = 0
    calls: int = 0  # for work and verification, of matured tasks
    called_tasks: int = 0  # matured tasks whose number of calls is known
    input_tokens: int = 0
    output_tokens: int = 0
    token_cost_nano: int = 0  # inference cost of the tasks that have both tokens and a whole cost
    priced_tokens: int = 0
    computed_nano: int = 0
    computed_calls: int = 0
    reported_nano: int = 0
    reported_calls: int = 0

    def __add__(self, other: "Figures") -> "Figures":
        return Figures(*map(operator.add, _all_of(self), _all_of(other)))

    @property
    def spend_nano(self) -> int:
        """All that is known to have been spent, by any purpose, matured or not."""
        return self.cost_nano + self.open_nano + self.outside_nano + self.simulation_nano + self.test_nano

    @property
    def unknown_of_spend(self) -> int:
        """How many tasks and calls have a cost that is not wholly known, by any purpose."""
        tasks = self.unknown_cost_tasks + self.unknown_open_tasks
        beside = self.unknown_simulation_calls + self.unknown_test_calls
        return tasks + self.unknown_outside_calls + beside

    @property
    def is_at_least(self) -> bool:
        """Part of the headline's cost is not known."""
        return self.unknown_cost_tasks > 0

    @property
    def is_costed(self) -> bool:
        """What is known of the cost says anything: a zero with gaps does not."""
        if not self.tasks:
            return True
        return self.costed_tasks > 0 and (self.cost_nano > 0 or not self.unknown_cost_tasks)

    @property
    def is_empty(self) -> bool:
        """Nothing was counted: what stood here was corrected away."""
        return not any(_all_of(self))

    def sums(self, handoff_nano: int = 0) -> CostSums:
        """What the statistics need, in nano-dollars; each failure costs ``handoff_nano`` more.

        Assumed tasks are not verified, and nobody has to finish them either: no handoff.
        """
        failures = CostSums(0, 0, 0, self.failed + self.reversed, self.failure_nano, self.failure_squared)
        assumed = CostSums(0, 0, 0, self.assumed, self.assumed_nano, self.assumed_squared)
        successes = CostSums(self.verified, self.success_nano, self.success_squared)
        return successes + (failures.with_handoff(handoff_nano) if handoff_nano else failures) + assumed

    def handoff_nano(self, handoff_nano: int) -> int:
        """What finishing the failures by hand would cost."""
        return handoff_nano * (self.failed + self.reversed)


_all_of: Callable[[Figures], tuple[int, ...]] = operator.attrgetter(
    *(field.name for field in fields(Figures))
)


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Cost per task by nearest rank: the smallest cost that at least so many tasks do not exceed.

    Over the matured tasks whose cost is wholly known; None where there is none.
    """

    p50_nano: int | None = None
    p90_nano: int | None = None
    p99_nano: int | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a report."""

    keys: tuple[str | None, ...]
    figures: Figures
    percentiles: Percentiles = Percentiles()
    is_published: bool = False  # a published aggregate: counts and totals, no single tasks
    handoff_nano: int = 0

    @property
    def n(self) -> int:
        """Matured tasks."""
        return self.figures.tasks

    @property
    def verified(self) -> int:
        """Tasks verified and not reversed."""
        return self.figures.verified

    @property
    def sums(self) -> CostSums:
        """What the statistics need, handoff included, in nano-dollars."""
        return self.figures.sums(self.handoff_nano)

    @property
    def success_rate(self) -> float | None:
        """Verified tasks among the matured."""
        return self.verified / self.n if self.n else None

    @property
    def success_interval(self) -> Interval | None:
        """Wilson's interval of the success rate."""
        return wilson(self.verified, self.n) if self.n else None

    @property
    def cost_nano(self) -> int | None:
        """What the matured tasks cost, the known part; None where nothing of it is known."""
        return self.figures.cost_nano if self.figures.is_costed else None

    @property
    def cost_with_handoff_nano(self) -> int:
        """The known cost and what handing over the failures adds."""
        return self.figures.cost_nano + self.figures.handoff_nano(self.handoff_nano)

    @property
    def cost_per_verified(self) -> Ratio | None:
        """Cost per verified outcome in nano-dollars; None where nothing of the cost is known."""
        if not self.figures.is_costed or not self.n:
            return None
        if self.is_published:
            return cost_per_success_from_counts(self.n, self.verified, self.cost_with_handoff_nano)
        return cost_per_success(self.sums)

    @property
    def cost_per_verified_nano(self) -> int | None:
        """Cost per verified outcome, exactly divided and rounded once; None without a success."""
        if not self.figures.is_costed or not self.verified:
            return None
        return half_even(self.cost_with_handoff_nano, self.verified)

    @property
    def is_priced(self) -> bool:
        """Enough succeeded, and enough is known, to print a cost per verified outcome."""
        return self.figures.is_costed and self.verified >= MIN_SUCCESSES

    @property
    def note(self) -> str | None:
        """What has to be said beside the cost per verified outcome."""
        if not self.n:
            return None
        said = []
        if not self.figures.is_costed:
            return "cost unknown"
        if self.verified < MIN_SUCCESSES:
            said.append(FEW_SUCCESSES)
        if self.figures.is_at_least:
            said.append("at least: part of the cost is unknown")
        if self.is_published:
            said.append(f"published aggregate: interval from {COUNTS_ONLY}")
        return "; ".join(said) or None

    @property
    def cost_per_attempt_nano(self) -> int | None:
        """What one try at a task costs; a task without recorded attempts is one try."""
        return _divided(self.cost_nano, self.figures.attempts)

    @property
    def unverified_share(self) -> float | None:
        """The share of the matured tasks' spend that went into tasks not verified."""
        spent = self.figures.cost_nano
        if self.is_published or not spent:
            return None
        return (spent - self.figures.success_nano) / spent

    @property
    def calls_per_task(self) -> float | None:
        """Calls for work and verification per matured task, among those whose calls are known."""
        return self.figures.calls / self.figures.called_tasks if self.figures.called_tasks else None

    @property
    def price_per_million_nano(self) -> int | None:
        """What a million tokens cost, all kinds together, over tasks with both tokens and a whole cost."""
        return _divided(self.figures.token_cost_nano * MILLION, self.figures.priced_tokens)

    @property
    def tokens_per_task(self) -> float | None:
        """Tokens in and out per matured task whose calls are known."""
        tokens = self.figures.input_tokens + self.figures.output_tokens
        return tokens / self.figures.called_tasks if tokens and self.figures.called_tasks else None


def _divided(amount: int | None, by: int) -> int | None:
    return half_even(amount, by) if amount is not None and by else None
