"""Every page there is, in the order of the navigation."""

from flatfare.web.access import Visitor
from flatfare.web.pages import (
    audit,
    budgets,
    outcomes,
    overview,
    prices,
    settings,
    spend,
    task,
    tasks,
    unknown,
)
from flatfare.web.pages.page import Page

PAGES: tuple[Page, ...] = (
    overview.PAGE,
    outcomes.PAGE,
    tasks.PAGE,
    spend.PAGE,
    budgets.PAGE,
    prices.PAGE,
    audit.PAGE,
    settings.PAGE,
    unknown.PAGE,
    task.PAGE,
    prices.OF_MODEL,
)


def shown_to(visitor: Visitor) -> tuple[Page, ...]:
    """The pages that lead somewhere for this visitor."""
    return tuple(
        page
        for page in PAGES
        if page.in_navigation and visitor.may(page.right) and (page.narrows or visitor.scope.is_whole)
    )
