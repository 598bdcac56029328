"""Views held for a moment: a page and its pictures are of the same figures, looked up once.

A page itself is always looked up anew; its pictures, asked for right after it, are drawn from
what it found. What one visitor may see is never held for another.
"""

import threading
import time
from collections import OrderedDict

from flatfare.web.pages.blocks import View
from flatfare.web.pages.page import Page, Visit

HELD_S = 15.0
VIEWS_MAX = 64

_Key = tuple[object, ...]


class Views:
    """The last views, by who asked for what. Shared by the threads of a desk."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: OrderedDict[_Key, tuple[float, View]] = OrderedDict()

    def of(self, visit: Visit, page: Page, *, is_picture: bool) -> View:
        """What the page shows; for a picture, as the page found it a moment ago."""
        key = _key(visit, page)
        with self._lock:
            at, view = self._held.get(key, (0.0, None))
        if is_picture and view is not None and time.monotonic() - at < HELD_S:
            return view
        found = page.view(visit)
        if visit.rows_max is None:
            return found
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
    return (visitor.name, visitor.rights, visitor.scope, page.name, tuple(visit.path.items()), pairs)
