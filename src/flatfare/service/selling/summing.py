"""Sums of sales: what each version of an action came to, each currency by itself.

Amounts of two currencies are never added; a margin is known only where that of every sale is.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from flatfare.core.outcome import Settlement
from flatfare.core.sale import Sale
from flatfare.service.selling.reading import sales_of
from flatfare.store.book import Book

Version = tuple[str, str]
"""An action's name and its version."""


@dataclass(slots=True)
class Sold:
    """The sales of one version in one currency, of all time."""

    currency: str
    count: int = 0
    settled: int = 0
    net_nano: int = 0
    held_nano: int = 0
    margin_nano: int | None = 0  # None where it is not known of one of them

    def add(self, sale: Sale) -> None:
        """Count one more."""
        self.count += 1
        self.settled += sale.settled_at_us is not None
        self.net_nano += sale.net_nano
        self.held_nano += sale.held_nano if sale.settlement is Settlement.HELD else 0
        if self.margin_nano is not None:
            self.margin_nano = None if sale.margin_nano is None else self.margin_nano + sale.margin_nano


def sold(book: Book) -> Mapping[Version, list[Sold]]:
    """The sums of every version that was sold; the currency with the most sales stands first."""
    found: dict[Version, dict[str, Sold]] = {}
    for sale in sales_of(book):
        sums = found.setdefault((sale.action, sale.action_version), {})
        sums.setdefault(sale.currency, Sold(sale.currency)).add(sale)
    return {
        version: sorted(sums.values(), key=lambda one: (-one.count, one.currency))
        for version, sums in found.items()
    }
