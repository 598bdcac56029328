"""A standing in words: the same on a terminal and on a page."""

from flatfare.core.money import dollar_text
from flatfare.core.statistics import MIN_SUCCESSES, Interval
from flatfare.service.leaderboard.ranking import CALLS_PER_TASK_MIN, Board, Place, Standing

UNKNOWN = "—"


def title_of(board: Board) -> str:
    """A board's name: its benchmark and its domain."""
    return f"{board.benchmark} · {board.domain}" if board.domain else board.benchmark


def rank_text(standing: Standing) -> str:
    """A rank, or a range of ranks; a dash where there is none."""
    if standing.rank_from is None:
        return UNKNOWN
    if standing.rank_from == standing.rank_to:
        return str(standing.rank_from)
    return f"{standing.rank_from}–{standing.rank_to}"


def cost_text(standing: Standing) -> str:
    """Cost per verified outcome, with "at least" where part of it is unknown."""
    cost = standing.cost_per_verified_nano
    if cost is None or not standing.is_anything_known:
        return UNKNOWN
    return _bounded(standing, cost)


def attempt_text(standing: Standing) -> str:
    """Cost per attempt, with "at least" where part of it is unknown."""
    cost = standing.cost_per_attempt_nano
    return UNKNOWN if cost is None or not standing.is_anything_known else _bounded(standing, cost)


def spent_text(standing: Standing) -> str:
    """All that was spent, with "at least" where part of it is unknown."""
    return _bounded(standing, standing.spend_nano) if standing.is_anything_known else UNKNOWN


def interval_text(standing: Standing) -> str:
    """The interval of the cost per verified outcome; empty where there is none."""
    interval = standing.ratio.interval if standing.ratio else None
    if interval is None:
        return ""
    high = "…" if interval.high is None else dollar_text(round(interval.high))
    return f"{dollar_text(round(interval.low))}–{high.removeprefix('$')}"


def percent_text(share: float | None) -> str:
    """A share with one decimal.

    >>> percent_text(0.724), percent_text(None)
    ('72.4\\xa0%', '—')
    """
    return UNKNOWN if share is None else f"{100 * share:.1f}\N{NO-BREAK SPACE}%"


def percents_text(interval: Interval | None) -> str:
    """An interval of shares in whole percent."""
    if interval is None:
        return ""
    high = 1.0 if interval.high is None else interval.high
    return f"{100 * interval.low:.0f}–{100 * high:.0f}\N{NO-BREAK SPACE}%"


def note_on(standing: Standing) -> str | None:
    """Why a standing is not ranked, in a sentence; None for one that is."""
    showing = standing.showing
    if standing.place is Place.DUPLICATE:
        return f"Same tasks, successes and cost as {standing.same_as}, to the last digit: counted once."
    if standing.place is Place.HARDLY_RAN:
        return (
            f"{showing.calls_per_task:.2g} steps a task, fewer than {CALLS_PER_TASK_MIN:.0f}: most tasks "
            "ended before any work, so this is the price of a broken set-up."
        )
    if standing.place is Place.FEW_SUCCESSES:
        return f"Fewer than {MIN_SUCCESSES} verified: no price can be told, only the spend so far."
    if standing.place is Place.UNKNOWN_COST:
        return f"The cost of {showing.unknown_n:,} of {showing.n:,} tasks is unknown."
    return None


def remark_on(standing: Standing) -> str | None:
    """The same in a few words, for a narrow column."""
    showing = standing.showing
    if standing.place is Place.DUPLICATE:
        return f"same as {standing.same_as}"
    if standing.place is Place.HARDLY_RAN:
        return f"{showing.calls_per_task:.2g} steps a task"
    if standing.place is Place.UNKNOWN_COST:
        return f"unknown in {showing.unknown_n:,} of {showing.n:,}"
    return None


def perhaps_cheaper(board: Board) -> int:
    """How many of those whose cost is not wholly known may be cheaper than the first: their known part is."""
    if not board.ranked:
        return 0
    first = board.ranked[0].cost_per_verified_nano or 0
    unknown = board.at(Place.UNKNOWN_COST)
    return sum(1 for standing in unknown if (standing.cost_per_verified_nano or 0) < first)


def doubt_on(board: Board) -> str | None:
    """What unknown costs leave open about the first place."""
    may = perhaps_cheaper(board)
    if not may:
        return None
    others = "One more path, whose cost is" if may == 1 else f"{may} more paths, whose costs are"
    return f"{others} not wholly known, may be cheaper still."


def _bounded(standing: Standing, nano: int) -> str:
    return dollar_text(nano) if standing.showing.is_cost_known else f"at least {dollar_text(nano)}"
