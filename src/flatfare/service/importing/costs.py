"""What a source says that something cost, beside what its usage costs by the price book: never blended.

A bare 0 beside tokens is unknown, unless the price is truly zero or the order says
that zero is free.
"""

from typing import TYPE_CHECKING

from flatfare.prices.book import PriceBook
from flatfare.service.costing.bulk_pricing import priced_sql
from flatfare.service.importing.order import Order
from flatfare.service.importing.reading import Readable

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

ZERO_REASON = (
    "the source gives a cost of 0 beside tokens, which usually means it was not recorded; "
    "--zero-is-free says it was free"
)
ZERO_WITHOUT_TOKENS = (
    "the source gives a cost of 0 and no tokens, which usually means it was not recorded; "
    "--zero-is-free says it was free"
)


def zero_reason(file: Readable, *counts: str) -> str:
    """Why a bare 0 is unknown."""
    return ZERO_REASON if file.mapping.has(*counts) else ZERO_WITHOUT_TOKENS


def bare_zero(order: Order, nano: str, model: str, no_tokens_used: str) -> str:
    """A predicate: the source's 0 is not known to be a price."""
    if order.zero_is_free:
        return "false"
    return (
        f"coalesce({nano} = 0 AND NOT ({no_tokens_used}) AND NOT coalesce({model} LIKE '%:free', "
        "false), false)"
    )


def computed(engine: "DuckDBPyConnection", read: str, book: PriceBook) -> str:
    """The relation with what the usage costs by the price book in more columns."""
    return f"({priced_sql(engine, read, book)})"


def that_counts(priced: str, cost_that_counts: str) -> str:
    """The relation with the cost that counts: by setting what was reported, else computed; or computed alone.

    A bare 0 stands where the price book's own price of the call is 0.
    """
    reported = "CASE WHEN is_bare_zero AND coalesce(computed_nano <> 0, true) THEN NULL ELSE given_nano END"
    if cost_that_counts == "computed":
        basis = "CASE WHEN computed_nano IS NOT NULL THEN 'computed' END"
    else:
        basis = (
            "CASE WHEN reported_nano IS NOT NULL THEN 'reported' "
            "WHEN computed_nano IS NOT NULL THEN 'computed' END"
        )
    return f"""(SELECT * EXCLUDE (original_nano, original_currency),
        CASE WHEN given_original_nano IS NULL THEN original_nano ELSE given_original_nano END
            AS original_nano,
        CASE WHEN given_original_nano IS NULL THEN original_currency ELSE given_currency END
            AS original_currency,
        CASE cost_basis WHEN 'reported' THEN reported_nano WHEN 'computed' THEN computed_nano END
            AS cost_nano,
        CASE cost_basis WHEN 'reported' THEN 'measured' WHEN 'computed' THEN computed_state ELSE 'unknown' END
            AS cost_state,
        CASE WHEN cost_basis IS NULL THEN coalesce(given_reason, computed_reason, 'no cost given')
             WHEN cost_basis = 'computed' THEN computed_reason END AS cost_reason
        FROM (SELECT *, {basis} AS cost_basis FROM (SELECT *, {reported} AS reported_nano FROM {priced})))"""
