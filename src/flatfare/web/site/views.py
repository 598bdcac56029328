"""What a page says: a board's standings turned into the words and figures that a template sets.

Nothing here is HTML; the templates escape all they are given.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from flatfare.core.money import NANO
from flatfare.core.statistics import COUNTS_ONLY
from flatfare.service.leaderboard.ranking import Board, Place, Standing
from flatfare.service.leaderboard.wording import (
    UNKNOWN,
    attempt_text,
    cost_text,
    doubt_on,
    interval_text,
    note_on,
    percent_text,
    percents_text,
    perhaps_cheaper,
    rank_text,
    spent_text,
    title_of,
)
from flatfare.web.site.charts import NARROW, WIDE, Axes, axes_of, drawn, points

_SECTIONS = {
    Place.UNKNOWN_COST: (
        "Cost not wholly known",
        "An unknown cost is not zero. What is known is a lower bound, so these are not ranked.",
    ),
    Place.FEW_SUCCESSES: (
        "Fewer than five verified",
        "Too few successes for a price: only the spend so far is shown.",
    ),
    Place.HARDLY_RAN: (
        "Hardly ran",
        "Fewer than one step a task on average: the set-up broke before the work began.",
    ),
    Place.DUPLICATE: (
        "Same figures under another name",
        "Tasks, successes and cost are equal to the last digit: one run published twice, counted once.",
    ),
}


@dataclass(frozen=True, slots=True)
class Whisker:
    """A small drawing of a point and its interval, in a box 120 wide."""

    at: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class SpotView:
    """Where the path lies on either picture, as two shares."""

    wide: str
    narrow: str


@dataclass(frozen=True, slots=True)
class PathView:
    """One row of a table, ready to be set; values for sorting are plain numbers or empty."""

    order: int
    rank: str
    path: str
    beside: str
    is_on_frontier: bool
    cost: str
    cost_value: str
    interval: str
    rate: str
    rate_value: str
    rate_interval: str
    attempt: str
    attempt_value: str
    failed: str
    failed_value: str
    spent: str
    spent_value: str
    n: str
    n_value: str
    note: str
    whisker: Whisker | None
    spot: SpotView | None


@dataclass(frozen=True, slots=True)
class Section:
    """Paths that are listed and not ranked, for one reason."""

    title: str
    text: str
    rows: tuple[PathView, ...]


@dataclass(frozen=True, slots=True)
class KeyFigure:
    """A figure large enough to be read first."""

    label: str
    value: str
    beside: str


@dataclass(frozen=True, slots=True)
class Best:
    """A path that stands out on a board."""

    path: str
    cost: str
    cost_value: str
    rate: str
    rate_value: str


@dataclass(frozen=True, slots=True)
class SourceLink:
    """A source as a board names it."""

    title: str
    anchor: str


@dataclass(frozen=True, slots=True)
class BoardView:
    """One board's page."""

    slug: str
    title: str
    heading: str
    tab: str
    benchmark: str
    summary: str
    alt: str
    count: int
    ranked: tuple[PathView, ...]
    sections: tuple[Section, ...]
    figures: tuple[KeyFigure, ...]
    first: Best | None
    most: Best | None
    tied: int
    spread: str
    spread_value: str
    unknown: int
    perhaps_cheaper: int
    has_failed_share: bool
    has_frontier: bool
    has_bounds: bool
    remarks: tuple[str, ...]
    sources: tuple[SourceLink, ...] = field(default=())

    @property
    def file(self) -> str:
        return f"{self.slug}.html"


def view_of(board: Board, slug: str) -> BoardView:
    """The page of one board."""
    spots = _spots(board)
    axes = axes_of(drawn(board)) if drawn(board) else None
    repeated = _repeated(board)
    ranked = tuple(
        _path(standing, at, axes, spots, repeated) for at, standing in enumerate(board.ranked, start=1)
    )
    spread = _spread(board)
    return BoardView(
        slug=slug,
        title=title_of(board),
        heading=_heading(board),
        tab=board.domain or "all",
        benchmark=board.benchmark,
        summary=_summary(board),
        alt=_alt(board),
        count=len(board.standings),
        ranked=ranked,
        sections=_sections(board, axes, spots, repeated),
        figures=_figures(board),
        first=_best(board.ranked[0]) if board.ranked else None,
        most=_best(_most_verified(board)) if board.ranked else None,
        tied=len(board.leaders),
        spread=_times(spread),
        spread_value=f"{spread:.3f}" if spread else "",
        unknown=len(board.at(Place.UNKNOWN_COST)),
        perhaps_cheaper=perhaps_cheaper(board),
        has_failed_share=any(standing.failed_share is not None for standing in board.ranked),
        has_frontier=any(standing.is_on_frontier for standing in board.ranked),
        has_bounds=any(standing in board.at(Place.UNKNOWN_COST) for standing in drawn(board)),
        remarks=tuple(_remarks(board)),
        sources=tuple(SourceLink(name, anchor_of(name)) for name in board.sources),
    )


def slugs_of(boards: Sequence[Board], taken: Iterable[str] = ("index", "method", "sources")) -> list[str]:
    """A file name for each board, made of plain letters, all different.

    >>> slugs_of([Board("Tau 2", "a/b", ()), Board("tau-2", "a b", ()), Board("index", "", ())])
    ['tau-2-a-b', 'tau-2-a-b-2', 'index-2']
    """
    used = set(taken)
    slugs = []
    for board in boards:
        plain = _plain(title_of(board))
        slug, number = plain, 1
        while slug in used:
            number += 1
            slug = f"{plain}-{number}"
        used.add(slug)
        slugs.append(slug)
    return slugs


def anchor_of(source: str) -> str:
    """A source's name as the target of a link."""
    return f"source-{_plain(source)}"


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:80] or "board"


def _heading(board: Board) -> str:
    if board.domains:
        return f"{board.benchmark}: all domains"
    return f"{board.benchmark}: {board.domain}" if board.domain else board.benchmark


def _summary(board: Board) -> str:
    if not board.ranked:
        return "No path can be ranked here yet; below is what is known."
    first = board.ranked[0]
    rate = percent_text(first.success_rate)
    price = f"{cost_text(first)} per verified outcome{_between(first)} at {rate} success"
    lead = f"{first.showing.path} is cheapest, at {price}"
    if board.at(Place.UNKNOWN_COST):
        lead = f"Of the paths whose cost is wholly known, {lead}"
    others = len(board.leaders) - 1
    if others:
        lead += f"; {'another path is' if others == 1 else f'{others} other paths are'} tied with it"
    lead += "."
    spread = _spread(board)
    if spread and len(board.ranked) > 1:
        lead += f" The dearest of {len(board.ranked)} costs {_times(spread).rstrip('×')} times as much."
    doubt = doubt_on(board)
    return f"{lead} {doubt}" if doubt else lead


def _between(standing: Standing) -> str:
    interval = interval_text(standing)
    return f" ({interval})" if interval else ""


def _alt(board: Board) -> str:
    return (
        f"Cost per verified outcome against success rate of {len(board.ranked)} ranked paths, with intervals "
        "and the frontier. The table below holds the same figures."
    )


def _figures(board: Board) -> tuple[KeyFigure, ...]:
    if not board.ranked:
        return ()
    first, most, spread = board.ranked[0], _most_verified(board), _spread(board)
    is_whole = not board.at(Place.UNKNOWN_COST)
    label = "Cheapest per verified outcome" if is_whole else "Cheapest of those whose cost is known"
    cheapest = KeyFigure(label, cost_text(first), first.showing.path)
    often = KeyFigure(
        "Verified most often", percent_text(most.success_rate), f"{most.showing.path}, for {cost_text(most)}"
    )
    if spread is None:
        return (cheapest, often)
    last = board.ranked[-1]
    apart = KeyFigure("Dearest ÷ cheapest", _times(spread), f"{cost_text(last)}, {last.showing.path}")
    return (cheapest, often, apart)


def _remarks(board: Board) -> Iterable[str]:
    methods = {standing.ratio.method for standing in board.ranked if standing.ratio}
    if COUNTS_ONLY in methods:
        yield (
            "The source publishes totals only, so intervals of the cost hold the doubt about the success "
            "rate alone: they are too narrow where costs vary from task to task."
        )
    if any(standing.showing.simulation_nano for standing in board.standings):
        yield "What the benchmark’s simulated users cost is not in the figures; it stands in the data files."
    if len(board.sources) > 1:
        yield "Paths of several sources stand side by side: harness, date and choice of tasks may differ."
    sizes = {standing.showing.n for standing in board.ranked}
    if sizes and max(sizes) > 1.1 * min(sizes):
        yield (
            f"Paths did not all run the same tasks: between {min(sizes):,} and {max(sizes):,} of them. "
            "Compare those with as many."
        )
    if board.domains:
        yield f"Taken together: {', '.join(board.domains)}; only paths that ran all, weighted by their tasks."


def _sections(
    board: Board, axes: Axes | None, spots: dict[str, SpotView], repeated: set[str]
) -> tuple[Section, ...]:
    return tuple(
        Section(
            title,
            text,
            tuple(_path(standing, at, axes, spots, repeated) for at, standing in enumerate(board.at(place))),
        )
        for place, (title, text) in _SECTIONS.items()
        if board.at(place)
    )


def _path(
    standing: Standing, order: int, axes: Axes | None, spots: dict[str, SpotView], repeated: set[str]
) -> PathView:
    showing = standing.showing
    is_told = standing.is_anything_known
    return PathView(
        order=order,
        rank=rank_text(standing),
        path=showing.path,
        beside=", ".join(showing.sources) if showing.path in repeated else "",
        is_on_frontier=standing.is_on_frontier,
        cost=cost_text(standing),
        cost_value=_value(standing.cost_per_verified_nano if is_told else None),
        interval=interval_text(standing),
        rate=percent_text(standing.success_rate),
        rate_value="" if standing.success_rate is None else f"{standing.success_rate:.6f}",
        rate_interval=percents_text(standing.rate),
        attempt=attempt_text(standing),
        attempt_value=_value(standing.cost_per_attempt_nano if is_told else None),
        failed=percent_text(standing.failed_share),
        failed_value="" if standing.failed_share is None else f"{standing.failed_share:.6f}",
        spent=spent_text(standing),
        spent_value=_value(standing.spend_nano if is_told else None),
        n=f"{showing.n:,}",
        n_value=str(showing.n),
        note=note_on(standing) or "",
        whisker=_whisker(standing, axes) if axes and standing.place is Place.RANKED else None,
        spot=spots.get(showing.path) if standing.place in (Place.RANKED, Place.UNKNOWN_COST) else None,
    )


def _repeated(board: Board) -> set[str]:
    """Names that stand on the board more than once, from several sources."""
    names = [standing.showing.path for standing in board.standings]
    return {name for name in names if names.count(name) > 1}


def _spots(board: Board) -> dict[str, SpotView]:
    wide, narrow = points(board, WIDE), points(board, NARROW)
    return {
        path: SpotView(
            f"{wide[path][0]:.5f} {wide[path][1]:.5f}", f"{narrow[path][0]:.5f} {narrow[path][1]:.5f}"
        )
        for path in wide
    }


def _whisker(standing: Standing, axes: Axes) -> Whisker | None:
    cost = standing.cost_per_verified_nano
    if not cost:
        return None

    def at(nano: float) -> float:
        return round(min(1.0, max(0.0, axes.x(nano / NANO))) * 112 + 4, 1)

    interval = standing.ratio.interval if standing.ratio else None
    if interval is None:
        return Whisker(at(cost), None, None)
    return Whisker(
        at(cost),
        at(max(interval.low, 1)),
        at(interval.high) if interval.high is not None else 116.0,
    )


def _most_verified(board: Board) -> Standing:
    return max(board.ranked, key=lambda standing: standing.success_rate or 0.0)


def _best(standing: Standing) -> Best:
    return Best(
        standing.showing.path,
        cost_text(standing),
        _value(standing.cost_per_verified_nano),
        percent_text(standing.success_rate),
        f"{standing.success_rate or 0:.6f}",
    )


def _spread(board: Board) -> float | None:
    """How many times the cheapest the dearest costs, where there are several."""
    costs = [standing.cost_per_verified_nano or 0 for standing in board.ranked]
    return max(costs) / min(costs) if len(costs) > 1 and min(costs) > 0 else None


def _times(factor: float | None) -> str:
    if factor is None:
        return UNKNOWN
    return f"{factor:,.0f}×" if factor >= 10 else f"{factor:.1f}×"


def _value(nano: int | None) -> str:
    return "" if nano is None else str(nano)
