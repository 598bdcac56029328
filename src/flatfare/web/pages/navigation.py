"""Every page there is, in the order of the navigation."""

from flatfare.web.access import Visitor
from flatfare.web.pages import overview
from flatfare.web.pages.page import Page

PAGES: tuple[Page, ...] = (overview.PAGE,)


def shown_to(visitor: Visitor) -> tuple[Page, ...]:
    """The pages that lead somewhere for this visitor."""
    return tuple(
        page
        for page in PAGES
        if page.in_navigation and visitor.may(page.right) and (page.narrows or visitor.scope.is_whole)
    )
