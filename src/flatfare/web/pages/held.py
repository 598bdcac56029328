"""Views held for a moment: a page and its pictures are of the same figures, looked up once.

Many who look at the same page at once are shown what the first of them found a second ago; its
pictures, asked for right after it, are drawn from that. What is held is forgotten when a form
changes something or calls arrive, and is never shown to who may see more or less.
"""

import threading
import time
from collections import OrderedDict

from flatfare.web.pages.blocks import View
from flatfare.web.pages.page import Page, Visit

PAGE_HELD_S, PICTURE_HELD_S = 2.0, 15.0
VIEWS_MAX = 64

_Key = tuple[object, ...]


class Views:
    """The last views, by who asked for what. Shared by the threads of a desk."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: OrderedDict[_Key, tuple[float, View]] = OrderedDict()

    def of(self, visit: Visit, page: Page, *, is_picture: bool) -> View:
        """What the page shows, or showed a moment ago."""
        if visit.rows_max is None:  # all rows, as data: large, and asked for once
            return page.view(visit)
        key = _key(visit, page)
        with self._lock:
            at, view = self._held.get(key, (0.0, None))
        if view is not None and time.monotonic() - at < (PICTURE_HELD_S if is_picture else PAGE_HELD_S):
            return view
        found = page.view(visit)
        with self._lock:
            self._held[key] = (time.monotonic(), found)
            self._held.move_to_end(key)
            while len(self._held) > VIEWS_MAX:
                self._held.popitem(last=False)
        return found

    def forget(self) -> None:
        """Something was changed: look anew."""
        with self._lock:
            self._held.clear()


def _key(visit: Visit, page: Page) -> _Key:
    visitor = visit.visitor
    pairs = tuple(pair for pair in visit.asking.pairs if pair[0] != "table")
    name = visitor.name if page.is_personal else None
    return (name, visitor.rights, visitor.scope, page.name, tuple(visit.path.items()), pairs)
