"""Attribution: whose an outcome is that several parts touched, by a rule that is declared and named.

Whatever the rule, the credit of a task adds up to the task: one where it was verified, none
where it was not. What each part spent is what its own calls cost, and no rule moves it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from itertools import combinations
from math import factorial

from flatfare.core.errors import BadInput

SHAPLEY_PARTS_MAX = 12
"""Parts that one task may have for Shapley values: their number of subsets doubles with each."""


class Rule(StrEnum):
    """How the credit of a task is given."""

    RESOLVER = "resolver"  # all to the last part at work before the outcome
    FIRST = "first"  # all to the part that touched it first
    LAST = "last"  # all to the part that touched it last
    SHARES = "shares"  # by declared weights of the parts that touched it
    SHAPLEY = "shapley"  # by what each part added, over all orders, as tasks with fewer parts show


@dataclass(frozen=True, slots=True)
class Touch:
    """One part's work on a task: from when to when."""

    part: str
    first_us: int
    last_us: int


@dataclass(frozen=True, slots=True)
class Touched:
    """One matured task: who worked on it, and whether it was verified."""

    touches: tuple[Touch, ...]
    is_verified: bool
    outcome_at_us: int | None = None


def credited(
    tasks: Sequence[Touched], rule: Rule, shares: Mapping[str, Fraction] | None = None
) -> dict[str, Fraction]:
    """How many verified outcomes are each part's; together they are the verified tasks that anybody touched.

    ``shares`` are the weights of ``Rule.SHARES``; a part without one has none. Raises ``BadInput``
    where a task has only parts without a weight, or more parts than Shapley values can be had of.

    >>> two = Touched((Touch("bot", 1, 2), Touch("human", 3, 4)), True, 5)
    >>> {part: float(credit) for part, credit in credited([two], Rule.FIRST).items()}
    {'bot': 1.0, 'human': 0.0}
    """
    found = {touch.part: Fraction(0) for task in tasks for touch in task.touches}
    if rule is Rule.SHAPLEY:
        return found | _shapley_credits(tasks)
    give: Callable[[Touched], Mapping[str, Fraction]] = {
        Rule.RESOLVER: lambda task: {_resolver(task): Fraction(1)},
        Rule.FIRST: lambda task: {min(task.touches, key=lambda t: (t.first_us, t.part)).part: Fraction(1)},
        Rule.LAST: lambda task: {max(task.touches, key=lambda t: (t.last_us, t.part)).part: Fraction(1)},
        Rule.SHARES: lambda task: _by_shares(task, shares or {}),
    }[rule]
    for task in tasks:
        if task.is_verified and task.touches:
            for part, credit in give(task).items():
                found[part] += credit
    return found


def _resolver(task: Touched) -> str:
    """The part whose last work before the outcome was the latest."""
    at_us = task.outcome_at_us
    before = [touch for touch in task.touches if at_us is None or touch.first_us <= at_us] or task.touches
    capped = {touch.part: touch.last_us if at_us is None else min(touch.last_us, at_us) for touch in before}
    return max(capped, key=lambda part: (capped[part], part))


def _by_shares(task: Touched, shares: Mapping[str, Fraction]) -> dict[str, Fraction]:
    weights = {touch.part: shares.get(touch.part, Fraction(0)) for touch in task.touches}
    total = sum(weights.values(), Fraction(0))
    if total <= 0:
        raise BadInput(
            f"Found a task touched by {', '.join(sorted(weights))} alone, and no share of theirs: "
            "give one of them a share above 0."
        )
    return {part: weight / total for part, weight in weights.items()}


def _shapley_credits(tasks: Iterable[Touched]) -> dict[str, Fraction]:
    """Of each set of parts, its tasks' verified outcomes, split by the Shapley values of its success rate."""
    counts: dict[frozenset[str], list[int]] = {}
    for task in tasks:
        if task.touches:
            count = counts.setdefault(frozenset(touch.part for touch in task.touches), [0, 0])
            count[0] += 1
            count[1] += task.is_verified
    rates = {parts: Fraction(verified, n) for parts, (n, verified) in counts.items()}
    found: dict[str, Fraction] = {}
    for parts, (n, _) in counts.items():
        for part, value in shapley(parts, rates).items():
            found[part] = found.get(part, Fraction(0)) + n * value
    return found


def shapley(parts: frozenset[str], rates: Mapping[frozenset[str], Fraction]) -> dict[str, Fraction]:
    """The Shapley value of each part in what all of them together reach; they add up to it exactly.

    ``rates`` are success rates of tasks by exactly these parts. Of parts that never worked alone
    together, what the best of their subsets reaches is taken; of none, nothing.

    >>> rates = {frozenset("a"): Fraction(1, 2), frozenset("ab"): Fraction(3, 4)}
    >>> {part: str(value) for part, value in sorted(shapley(frozenset("ab"), rates).items())}
    {'a': '5/8', 'b': '1/8'}
    """
    if len(parts) > SHAPLEY_PARTS_MAX:
        raise BadInput(
            f"Found a task touched by {len(parts)} parts: Shapley values are had of {SHAPLEY_PARTS_MAX} "
            "at most. Choose another rule, or coarser parts."
        )
    ordered = sorted(parts)
    reached: dict[frozenset[str], Fraction] = {frozenset(): Fraction(0)}
    for size in range(1, len(ordered) + 1):
        for chosen in map(frozenset, combinations(ordered, size)):
            smaller = (reached[chosen - {part}] for part in chosen)
            reached[chosen] = rates[chosen] if chosen in rates else max(smaller)
    n = len(ordered)
    values = dict.fromkeys(ordered, Fraction(0))
    for subset, value in reached.items():
        weight = factorial(len(subset)) * factorial(n - len(subset) - 1) if len(subset) < n else 0
        for part in parts - subset:
            values[part] += Fraction(weight, factorial(n)) * (reached[subset | {part}] - value)
    return values
