"""The prices that calls are priced with, said in the journal before the first call that has them.

A call names its prices whether or not what they are could be said; what could not be is said later.
"""

import logging
from collections import deque
from collections.abc import Callable

from flatfare.config import Settings
from flatfare.core.errors import BadInput, StoreFailure
from flatfare.gateway.records import Priced
from flatfare.prices.book import Found, PriceBook
from flatfare.service.costing.price_versions import terms_text
from flatfare.service.costing.pricing import open_price_book

_log = logging.getLogger("flatfare.gateway")


class PricesSaid:
    """Opens price books that tell what they are used for, and writes that down once for each."""

    def __init__(self, write: Callable[[Priced], None]) -> None:
        self._write = write  # into the journal
        self._unsaid: deque[Found] = deque()

    def open_book(self, settings: Settings) -> PriceBook:
        """The price book that these settings name."""
        prices = open_price_book(settings)
        prices.on_use = self._used
        return prices

    def say(self) -> None:
        """Write down what could not be before."""
        while self._unsaid:
            found = self._unsaid[0]
            try:
                self._write(Priced(found.version, terms_text(found)))
            except StoreFailure:
                return
            except BadInput as problem:
                _log.warning("The prices %s are not kept: %s", found.version, problem)
            self._unsaid.popleft()

    def _used(self, found: Found) -> None:
        self._unsaid.append(found)
        self.say()
