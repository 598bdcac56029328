"""Every page there is, in the order of the navigation."""

from flatfare.web.access import Visitor
from flatfare.web.pages import (
    actions,
    audit,
    budgets,
    customers,
    outcomes,
    overview,
    prices,
    reviews,
    run,
    settings,
    spend,
    statement,
    task,
    tasks,
    unknown,
)
from flatfare.web.pages.page import Page

PAGES: tuple[Page, ...] = (
    overview.PAGE,
    outcomes.PAGE,
    tasks.PAGE,
    actions.PAGE,
    spend.PAGE,
    budgets.PAGE,
    reviews.PAGE,
    customers.PAGE,
    prices.PAGE,
    audit.PAGE,
    settings.PAGE,
    unknown.PAGE,
    task.PAGE,
    actions.OF_ACTION,
    run.PAGE,
    customers.OF_CUSTOMER,
    customers.OF_INVOICE,
    statement.PAGE,
    prices.OF_VERSION,
    prices.OF_MODEL,
)


def shown_to(visitor: Visitor) -> tuple[Page, ...]:
    """The pages that lead somewhere for this visitor."""
    return tuple(
        page
        for page in PAGES
        if page.in_navigation and visitor.may(page.right) and (page.narrows or visitor.scope.is_whole)
    )
