"""Pricing calls anew, on request and on record: what was billed by a provider is never touched.

The computed cost of each chosen call is worked out again from its usage at the rates
that the price book now gives for the call's own moment.
"""

import json
from collections.abc import Mapping
from decimal import Decimal

from flatfare.core.cost import Cost
from flatfare.core.usage import Count
from flatfare.prices.book import Circumstances, Missing, PriceBook
from flatfare.service import adjusting
from flatfare.service.adjusting import Call, Selection
from flatfare.service.costing.price_versions import keep_used
from flatfare.service.costing.pricing import why_unpriced
from flatfare.store.book import Book, Value
from flatfare.store.lake import Lake
from flatfare.store.layout import COUNT_COLUMNS


def reprice(
    book: Book,
    lake: Lake,
    prices: PriceBook,
    chosen: Selection,
    *,
    counts_reported: bool,
    reason: str,
    by_whom: str,
    at_us: int,
) -> int:
    """Price the chosen calls anew; returns how many changed.

    ``counts_reported`` as the setting ``cost_that_counts`` has it: a charge that the
    provider reported stays the cost that counts.
    """

    def price(call: Call) -> dict[str, Value]:
        return repriced(call, prices, counts_reported=counts_reported)

    return adjusting.change(
        book,
        lake,
        chosen,
        price,
        kind="reprice",
        reason=reason,
        by_whom=by_whom,
        at_us=at_us,
        beside=lambda: keep_used(book, prices, at_us),
    )


def repriced(call: Call, prices: PriceBook, *, counts_reported: bool) -> dict[str, Value]:
    """The columns of a call that a new price changes; none where its usage is not known."""
    if call.get("usage_state") == "unknown":
        return {}  # such as a call whose worker died: its bound stands
    cost = computed(call, prices)
    change: dict[str, Value] = {
        "computed_nano": cost.amount_nano,
        "computed_state": str(cost.state),
        "computed_reason": cost.reason,
        "price_version": cost.price_version,
    }
    if counts_reported and call.get("reported_nano") is not None and call.get("cost_basis") == "reported":
        return change
    return change | {
        "cost_nano": cost.amount_nano,
        "cost_state": str(cost.state),
        "cost_reason": cost.reason,
        "cost_basis": "computed" if cost.is_known else None,
    }


def computed(call: Call, prices: PriceBook) -> Cost:
    """What the usage of a call costs by the price book, at the call's own moment."""
    model, provider = call.get("model") or call.get("model_asked"), call.get("provider")
    if not model or not provider:
        return Cost.unknown("neither provider nor model of this call is known")
    counts = counts_of(call)
    circumstances = Circumstances(_text(call, "service_tier"), _text(call, "region"))
    found = prices.find(str(provider), str(model), int(str(call["at_us"])), circumstances, counts)
    if isinstance(found, Missing):
        return Cost.unknown(found.reason)
    amount_nano = found.cost_nano(counts)
    if amount_nano is None or found.currency != "USD":
        return Cost.unknown(why_unpriced(found, counts) or f"its rates are in {found.currency}")
    if call.get("usage_state") == "estimated":
        return Cost.estimated(amount_nano, "its usage was counted, not reported", price_version=found.version)
    return Cost.measured(amount_nano, price_version=found.version)


def counts_of(call: Mapping[str, Value]) -> dict[str, Count]:
    """The usage of a stored call: its count columns, and what stands in ``other_usage``."""
    counts: dict[str, Count] = {
        column: count for column in COUNT_COLUMNS if isinstance(count := call.get(column), int) and count
    }
    for unit, text in json.loads(str(call.get("other_usage") or "{}")).items():
        amount = Decimal(text)
        counts[unit] = int(amount) if amount == amount.to_integral_value() else amount
    return counts


def _text(call: Call, column: str) -> str | None:
    value = call.get(column)
    return None if value is None else str(value)
