"""What a path has shown on one benchmark: tasks done, tasks verified, and what they cost.

Tasks of the book and published aggregates come in the same shape; what only single
tasks can tell (the spread of costs, the spend on failures) stays None for aggregates.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from flatfare.core.statistics import CostSums


@dataclass(frozen=True, slots=True)
class Showing:
    """One path's sums on one benchmark and domain, from one source or several."""

    benchmark: str
    domain: str
    path: str
    sources: tuple[str, ...]
    n: int
    successes: int
    cost_nano: int  # the part that is known
    attempts: int = 0  # none recorded reads as one a task
    assumed: int = 0  # closed in silence: neither verified nor failed
    failed_nano: int | None = None  # the known part that went into tasks that failed; None for aggregates
    unknown_n: int = 0  # tasks whose cost is not known, wholly or in part
    sums: CostSums | None = None  # of single tasks, where all their costs are known
    calls_per_task: float | None = None
    simulation_nano: int | None = None  # what simulated users cost: beside the figure, never in it

    @property
    def is_cost_known(self) -> bool:
        """Every task's cost is known."""
        return self.unknown_n == 0

    @property
    def failures(self) -> int:
        """Tasks that somebody else would have to finish."""
        return self.n - self.successes - self.assumed


def pooled(showings: Iterable[Showing], domain: str = "") -> list[Showing]:
    """Each path's showings taken together over their domains, in the order they came in.

    >>> one = Showing("b", "retail", "p", ("s",), 10, 6, 50)
    >>> two = Showing("b", "telecom", "p", ("s",), 10, 9, 70)
    >>> [(showing.n, showing.successes, showing.cost_nano) for showing in pooled([one, two])]
    [(20, 15, 120)]
    """
    together: dict[tuple[str, str, tuple[str, ...]], list[Showing]] = {}
    for showing in showings:
        together.setdefault((showing.benchmark, showing.path, showing.sources), []).append(showing)
    return [_sum(parts, domain) for parts in together.values()]


def _sum(parts: list[Showing], domain: str) -> Showing:
    first = parts[0]
    n = sum(part.n for part in parts)
    sums = [part.sums for part in parts if part.sums is not None]
    failed = [part.failed_nano for part in parts if part.failed_nano is not None]
    calls = [part.calls_per_task * part.n for part in parts if part.calls_per_task is not None]
    simulation = [part.simulation_nano for part in parts if part.simulation_nano is not None]
    return Showing(
        first.benchmark,
        domain,
        first.path,
        first.sources,
        n,
        sum(part.successes for part in parts),
        sum(part.cost_nano for part in parts),
        sum(part.attempts or part.n for part in parts),
        sum(part.assumed for part in parts),
        sum(failed) if len(failed) == len(parts) else None,
        sum(part.unknown_n for part in parts),
        sum(sums[1:], sums[0]) if len(sums) == len(parts) else None,
        sum(calls) / n if len(calls) == len(parts) and n else None,
        sum(simulation) if len(simulation) == len(parts) else None,
    )
