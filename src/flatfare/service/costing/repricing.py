"""Pricing calls anew, on request and on record: what was billed by a provider is never touched.

The computed cost of each chosen call is worked out again from its usage at the rates
that the price book now gives for the call's own moment. A call whose price goes by more than
is kept of it is left as it is, and counted.
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache

from flatfare.core.cost import Cost, CostState
from flatfare.core.usage import Count
from flatfare.prices.book import Found, Missing, PriceBook
from flatfare.service import adjusting
from flatfare.service.adjusting import Call, Selection
from flatfare.service.costing.kept_conditions import AsItStands, Kept, Left, rates_now
from flatfare.service.costing.price_versions import keep_used
from flatfare.service.costing.pricing import bounded, in_dollars, why_unpriced
from flatfare.store import price_versions
from flatfare.store.book import Book, Value
from flatfare.store.lake import Lake
from flatfare.store.layout import COUNT_COLUMNS

NOT_REPORTED = "its usage was counted, not reported"


@dataclass(frozen=True, slots=True)
class Repriced:
    """How many calls changed, and how many were left as they are, by why."""

    changed: int
    left: Mapping[str, int]


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
) -> Repriced:
    """Price the chosen calls anew; returns what came of it.

    ``counts_reported`` as the setting ``cost_that_counts`` has it: a charge that the
    provider reported stays the cost that counts.
    """
    left: Counter[str] = Counter()
    is_by_size = cache(lambda version: _is_by_size(book, version))

    def price(call: Call) -> dict[str, Value]:
        change = repriced(call, prices, counts_reported=counts_reported, is_by_size=is_by_size)
        if isinstance(change, Left):
            left[change.why] += 1
            return {}
        return change

    changed = adjusting.change(
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
    return Repriced(changed, left)


def _is_by_size(book: Book, version: str) -> bool:
    """The prices of that version are kept, and were stated for large requests."""
    kept = price_versions.terms_of(book, version)
    rates = json.loads(kept[0])["rates"] if kept else []
    return any("context" in rate["conditions"] for rate in rates)


def repriced(
    call: Call,
    prices: PriceBook,
    *,
    counts_reported: bool,
    is_by_size: Callable[[str], bool] = lambda _: False,
) -> dict[str, Value] | Left:
    """The columns of a call that a new price changes; none where its usage is not known."""
    if call.get("usage_state") == "unknown":
        return {}  # such as a call whose worker died: its bound stands
    found = computed(call, prices, is_by_size)
    if isinstance(found, Left):
        return found
    cost, own = found
    change: dict[str, Value] = {
        "computed_nano": cost.amount_nano,
        "computed_state": str(cost.state),
        "computed_reason": cost.reason,
        "price_version": cost.price_version,
        **own,
    }
    if counts_reported and call.get("reported_nano") is not None and call.get("cost_basis") == "reported":
        return change
    return change | {
        "cost_nano": cost.amount_nano,
        "cost_state": str(cost.state),
        "cost_reason": cost.reason,
        "cost_basis": "computed" if cost.is_known else None,
    }


def computed(
    call: Call, prices: PriceBook, is_by_size: Callable[[str], bool] = lambda _: False
) -> tuple[Cost, dict[str, Value]] | Left:
    """What the usage of a call costs by the price book, at the call's own moment.

    Beside it the columns of the amount in its own currency, where they change.
    """
    model, provider = call.get("model") or call.get("model_asked"), call.get("provider")
    counts = counts_of(call)
    if call.get("computed_nano") == 0 and not counts:
        return _as_it_stands(call), {}  # it used nothing: an error, what is free, what was refused
    if not model or not provider:
        return Cost.unknown("neither provider nor model of this call is known"), {}
    version = _text(call, "price_version")
    kept = Kept(
        str(provider),
        str(model),
        int(str(call["at_us"])),
        _text(call, "service_tier"),
        _text(call, "region"),
        counts,
        version,
        _text(call, "computed_reason"),
        version is not None and is_by_size(version),
    )
    # An import prices by the very columns it writes.
    found = kept.found_by(prices) if call.get("import_id") is not None else rates_now(kept, prices)
    if isinstance(found, Left):
        return found
    if isinstance(found, AsItStands):
        return _as_it_stands(call), {}
    if isinstance(found, Missing):
        return Cost.unknown(found.reason), {}
    return _costed(call, found, prices, kept)


def _costed(call: Call, found: Found, prices: PriceBook, kept: Kept) -> tuple[Cost, dict[str, Value]]:
    amount_nano = found.cost_nano(kept.counts)
    if amount_nano is None:
        return Cost.unknown(why_unpriced(found, kept.counts) or "a unit of it has no rate"), {}
    exchanged = None if found.currency == "USD" else prices.exchange.at(found.currency, kept.at_us)
    own = Cost.measured(amount_nano, None, found.currency, found.version)
    cost = bounded(in_dollars(own, exchanged))
    if call.get("usage_state") == "estimated" and cost.amount_nano is not None:
        was_estimated = call.get("computed_state") == CostState.ESTIMATED
        why = (_text(call, "computed_reason") if was_estimated else None) or NOT_REPORTED
        cost = Cost.estimated(cost.amount_nano, why, price_version=cost.price_version)
    if exchanged is None or call.get("reported_digits") is not None:
        return cost, {}
    beside: dict[str, Value] = {
        "original_nano": amount_nano,
        "original_currency": found.currency,
        "exchange_rate": str(exchanged.rate),
    }
    return cost, beside


def _as_it_stands(call: Call) -> Cost:
    nano = call.get("computed_nano")
    return Cost(
        None if nano is None else int(str(nano)),
        CostState(str(call["computed_state"])),
        _text(call, "computed_reason"),
        price_version=_text(call, "price_version"),
    )


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
