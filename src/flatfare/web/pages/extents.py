"""What the books hold at all, remembered for a moment, since every page begins by asking it."""

import threading
import time

from flatfare.service.reporting.extent import Extent, extent
from flatfare.web.desk import Books

HELD_S = 3.0


class Extents:
    """The extent as of a few seconds ago at most. Shared by the threads of a desk."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: Extent | None = None
        self._at = 0.0

    def of(self, books: Books) -> Extent:
        """What there is."""
        with self._lock:
            if self._found is not None and time.monotonic() - self._at < HELD_S:
                return self._found
        found = extent(books.book, books.lake)
        with self._lock:
            self._found, self._at = found, time.monotonic()
        return found

    def forget(self) -> None:
        """Something was changed: look anew."""
        with self._lock:
            self._found = None
