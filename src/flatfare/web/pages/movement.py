"""How figures moved against the period before, and whether that is good news."""

from flatfare.core.money import dollar_text
from flatfare.service.reporting import Row
from flatfare.service.reporting.document import shown_cost
from flatfare.service.reporting.wording import percent
from flatfare.web.pages.blocks import Change

EVEN = 0.0005
"""A move of less than a twentieth of a percent reads as none."""


def of_money(now: int | None, before: int | None, *, less_is_good: bool | None) -> Change | None:
    """The move of an amount; None where either is not known."""
    if now is None or not before:
        return None
    return _change(now / before - 1, dollar_text(before), less_is_good)


def of_count(now: int, before: int, *, less_is_good: bool | None) -> Change | None:
    """The move of a count; None where there was nothing before."""
    if not before:
        return None
    return _change(now / before - 1, f"{before:,}", less_is_good)


def of_rate(now: Row, before: Row) -> Change | None:
    """The move of the success rate, in points of a percent."""
    if now.success_rate is None or before.success_rate is None:
        return None
    moved = now.success_rate - before.success_rate
    text = f"{100 * abs(moved):.1f} points"
    tone = "even" if abs(moved) < EVEN else ("good" if moved > 0 else "bad")
    return Change(text, tone, moved > 0, percent(before.success_rate) or "")


def of_outcome_cost(now: Row, before: Row) -> Change | None:
    """The move of the cost per verified outcome, where both have one."""
    return of_money(shown_cost(now), shown_cost(before), less_is_good=True)


def _change(share: float, before: str, less_is_good: bool | None) -> Change:
    if abs(share) < EVEN:
        return Change("no change", "even", False, before)
    tone = "even" if less_is_good is None else ("good" if (share < 0) == less_is_good else "bad")
    size = abs(share)
    text = f"{100 * size:.1f} %" if size < 10 else f"{1 + share:,.0f} ×"
    return Change(text, tone, share > 0, before)
