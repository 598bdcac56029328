"""Ranking paths by cost per verified outcome, saying no more than the tasks seen allow.

A rank is a range: from one more than the paths that are surely cheaper, to one more
than those that are not surely dearer; sure is a difference whose interval leaves out
zero. A path whose cost is not wholly known, that verified fewer than five tasks, that
hardly made a call, or that repeats another to the last digit is listed and not ranked.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import combinations

from flatfare.core.money import half_even
from flatfare.core.statistics import (
    MIN_SUCCESSES,
    Interval,
    Ratio,
    are_tied,
    cost_per_success,
    cost_per_success_from_counts,
    frontier,
    wilson,
)
from flatfare.service.leaderboard.showing import Showing


class Place(StrEnum):
    """Where a path stands on a board; only the first is ranked."""

    RANKED = "ranked"
    UNKNOWN_COST = "unknown_cost"
    FEW_SUCCESSES = "few_successes"
    HARDLY_RAN = "hardly_ran"
    DUPLICATE = "duplicate"


CALLS_PER_TASK_MIN = 1.0
"""Below, most tasks ended before the first call: what was measured is a broken set-up, not a path."""


@dataclass(frozen=True, slots=True)
class Standing:
    """One path on one board."""

    showing: Showing
    place: Place
    rate: Interval | None  # of verified tasks
    ratio: Ratio | None  # cost per verified outcome in nano-dollars, hand-off included where asked
    handoff_nano: int = 0  # what its failures cost on top, all together
    rank_from: int | None = None
    rank_to: int | None = None
    is_on_frontier: bool = False
    same_as: str | None = None

    @property
    def success_rate(self) -> float | None:
        return self.showing.successes / self.showing.n if self.showing.n else None

    @property
    def spend_nano(self) -> int:
        """All that is known to have been spent, hand-off included where asked."""
        return self.showing.cost_nano + self.handoff_nano

    @property
    def is_anything_known(self) -> bool:
        """Anything is known of the cost: all of it, or a part."""
        return self.showing.is_cost_known or self.spend_nano > 0

    @property
    def cost_per_attempt_nano(self) -> int | None:
        attempts = self.showing.attempts or self.showing.n
        return half_even(self.spend_nano, attempts) if attempts else None

    @property
    def cost_per_verified_nano(self) -> int | None:
        """A lower bound where part of the cost is unknown; None below five verified tasks."""
        if self.showing.successes < MIN_SUCCESSES:
            return None
        return half_even(self.spend_nano, self.showing.successes)

    @property
    def failed_share(self) -> float | None:
        """The share of the known spend that went into failed tasks; None where only totals are known."""
        failed = self.showing.failed_nano
        return (
            (failed + self.handoff_nano) / self.spend_nano if failed is not None and self.spend_nano else None
        )

    @property
    def is_tied_for_first(self) -> bool:
        """No path of the board is surely cheaper."""
        return self.rank_from == 1


@dataclass(frozen=True, slots=True)
class Board:
    """All paths of one benchmark and domain: the ranked ones first, cheapest first."""

    benchmark: str
    domain: str
    standings: tuple[Standing, ...]
    domains: tuple[str, ...] = ()  # those taken together, where several are

    @property
    def ranked(self) -> tuple[Standing, ...]:
        return self.at(Place.RANKED)

    def at(self, place: Place) -> tuple[Standing, ...]:
        """The standings of one place, in their order."""
        return tuple(standing for standing in self.standings if standing.place is place)

    @property
    def leaders(self) -> tuple[Standing, ...]:
        """Those that no path is surely cheaper than: one, or several that are tied."""
        return tuple(standing for standing in self.ranked if standing.is_tied_for_first)

    @property
    def sources(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for standing in self.standings for name in standing.showing.sources))


def board_of(
    benchmark: str,
    domain: str,
    showings: Sequence[Showing],
    *,
    handoff_nano: int = 0,
    domains: tuple[str, ...] = (),
) -> Board:
    """Rank the showings of one benchmark and domain.

    >>> showings = [
    ...     Showing("b", "d", "small", ("s",), 100, 60, 6_000),
    ...     Showing("b", "d", "large", ("s",), 100, 90, 90_000),
    ... ]
    >>> [(s.showing.path, s.rank_from, s.rank_to) for s in board_of("b", "d", showings).standings]
    [('small', 1, 1), ('large', 2, 2)]
    """
    repeated = duplicates(showings)
    standings = [_placed(showing, handoff_nano, repeated.get(at)) for at, showing in enumerate(showings)]
    others = [standing for standing in standings if standing.place is not Place.RANKED]
    bounds = [standing for standing in others if standing.place is Place.UNKNOWN_COST]
    ranked = _ranked([standing for standing in standings if standing.place is Place.RANKED], bounds)
    return Board(benchmark, domain, (*ranked, *sorted(others, key=_order_below)), domains)


def duplicates(showings: Sequence[Showing]) -> dict[int, str]:
    """Positions that repeat another showing to the last digit, and the path they repeat.

    The same counts and the same cost, to the nano-dollar, under two names is one run
    published twice; the shorter name keeps its place.

    >>> names = ("tool calling, shortlisted", "tool calling")
    >>> duplicates([Showing("b", "d", name, ("s",), 50, 28, 1_697_625_800) for name in names])
    {0: 'tool calling'}
    """
    first: dict[tuple[int, int, int], str] = {}
    found = {}
    by_name = sorted(range(len(showings)), key=lambda at: (len(showings[at].path), showings[at].path))
    for at in by_name:
        showing = showings[at]
        if not showing.cost_nano:
            continue  # nothing known to compare
        key = (showing.n, showing.successes, showing.cost_nano)
        if key in first:
            found[at] = first[key]
        else:
            first[key] = showing.path
    return found


def _placed(showing: Showing, handoff_nano: int, same_as: str | None) -> Standing:
    rate = wilson(showing.successes, showing.n) if showing.n else None
    handoff = handoff_nano * showing.failures
    return Standing(
        showing,
        _place_of(showing, same_as),
        rate,
        _ratio_of(showing, handoff_nano) if showing.is_cost_known and showing.n else None,
        handoff,
        same_as=same_as,
    )


def _place_of(showing: Showing, same_as: str | None) -> Place:
    if same_as is not None:
        return Place.DUPLICATE
    if _hardly_ran(showing):
        return Place.HARDLY_RAN
    if not showing.is_cost_known:
        return Place.UNKNOWN_COST
    if showing.successes < MIN_SUCCESSES:
        return Place.FEW_SUCCESSES
    return Place.RANKED


def _hardly_ran(showing: Showing) -> bool:
    """Fewer than one call a task; with fewer calls than successes the record has a gap, and says nothing."""
    calls = showing.calls_per_task
    if calls is None or calls >= CALLS_PER_TASK_MIN:
        return False
    return calls > 0 and calls * showing.n >= showing.successes


def _ratio_of(showing: Showing, handoff_nano: int) -> Ratio:
    if showing.sums is not None:
        return cost_per_success(showing.sums.with_handoff(handoff_nano))
    cost_nano = showing.cost_nano + handoff_nano * showing.failures
    return cost_per_success_from_counts(showing.n, showing.successes, cost_nano)


def _ranked(standings: list[Standing], bounds: list[Standing]) -> list[Standing]:
    """Cheapest first, each with its range of ranks and whether it is on the frontier."""
    standings = sorted(standings, key=lambda standing: (_point(standing), standing.showing.path))
    cheaper, dearer = [0] * len(standings), [0] * len(standings)
    for low, high in combinations(range(len(standings)), 2):
        a, b = standings[low].ratio, standings[high].ratio
        if a is not None and b is not None and not are_tied(a, b):
            dearer[low] += 1
            cheaper[high] += 1
    on_frontier = _on_frontier(standings, bounds)
    return [
        replace(
            standing,
            rank_from=1 + cheaper[at],
            rank_to=len(standings) - dearer[at],
            is_on_frontier=at in on_frontier,
        )
        for at, standing in enumerate(standings)
    ]


def _on_frontier(standings: list[Standing], bounds: list[Standing]) -> set[int]:
    """Positions of those that no other beats on both, nor may beat by the known part of its cost."""
    points = [(_point(standing), standing.success_rate or 0.0) for standing in standings]
    perhaps = [
        (float(bound.cost_per_verified_nano), bound.success_rate or 0.0)
        for bound in bounds
        if bound.cost_per_verified_nano
    ]
    return {at for at in frontier([*points, *perhaps]) if at < len(points)}


def _point(standing: Standing) -> float:
    assert standing.ratio is not None
    assert standing.ratio.point is not None
    return standing.ratio.point


_BELOW = (Place.RANKED, Place.UNKNOWN_COST, Place.FEW_SUCCESSES, Place.HARDLY_RAN, Place.DUPLICATE)


def _order_below(standing: Standing) -> tuple[int, bool, int, str]:
    """By place; among unknown costs those with a lower bound first, by it."""
    bound = standing.cost_per_verified_nano if standing.is_anything_known else None
    return (_BELOW.index(standing.place), bound is None, bound or 0, standing.showing.path)
