"""How a report's figures read to a person, on a terminal and on a page alike.

An amount of which part is not known says so; what is not known at all is None, and never zero.
"""

from flatfare.core.money import dollar_text
from flatfare.core.statistics import Interval
from flatfare.service.reporting.document import shown_cost
from flatfare.service.reporting.figures import Row

MISSING = "—"
"""What stands where nothing is known."""


def at_least(text: str, holds: bool) -> str:
    """The amount, with a sign before it where part of it is not known."""
    return f"≥ {text}" if holds else text


def money(nano: int | None) -> str | None:
    """An amount as a person reads it; None stays None."""
    return None if nano is None else dollar_text(nano)


def percent(share: float | None) -> str | None:
    """A share in percent with one decimal."""
    return None if share is None else f"{100 * share:.1f} %"


def percents(interval: Interval | None) -> str:
    """An interval of shares in whole percent."""
    if interval is None:
        return MISSING
    return f"{100 * interval.low:.0f}–{100 * (interval.high or 0):.0f} %"


def headline(row: Row) -> str | None:
    """Cost per verified outcome; with too few successes what was spent so far."""
    cost = shown_cost(row)
    if cost is not None:
        return at_least(dollar_text(cost), row.figures.is_at_least)
    if not row.n or not row.figures.is_costed:
        return None
    return f"{dollar_text(row.cost_with_handoff_nano)} so far*"


def interval_text(row: Row) -> str:
    """The interval of the cost per verified outcome; a dash where there is none."""
    ratio = row.cost_per_verified
    interval = ratio.interval if ratio else None
    if interval is None:
        return MISSING
    high = "…" if interval.high is None else dollar_text(round(interval.high)).removeprefix("$")
    return f"{dollar_text(round(interval.low))}–{high}"


def known(nano: int, unknown: int) -> str | None:
    """A part of the cost; None where something of it is unknown and nothing is known."""
    return None if unknown and not nano else at_least(dollar_text(nano), unknown > 0)


def cost(row: Row) -> str | None:
    """What the matured tasks cost."""
    return None if row.cost_nano is None else at_least(dollar_text(row.cost_nano), row.figures.is_at_least)


def attempt(row: Row) -> str | None:
    """What one try costs."""
    nano = row.cost_per_attempt_nano
    return None if nano is None else at_least(dollar_text(nano), row.figures.is_at_least)
