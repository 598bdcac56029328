"""What a source says that something cost, beside what its usage costs by the price book: never blended.

A bare 0 beside tokens is unknown, unless the price is truly zero or the order says
that zero is free. A cost too small for a nano-dollar is no such 0: it is known, counts as
the nearest whole one, which is 0, and keeps its digits.
"""

import re
from typing import TYPE_CHECKING

from flatfare.prices.book import PriceBook
from flatfare.service.costing.bulk_pricing import priced_sql
from flatfare.service.importing.order import Order
from flatfare.service.importing.reading import Readable

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_ABOVE_ZERO = "[^0-9]*[0-9.,]*[1-9]"  # before any exponent a digit other than 0
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


def bare_zero(order: Order, nano: str, digits: str, model: str, no_tokens_used: str) -> str:
    """A predicate: the source gives 0, and that is not known to be a price."""
    if order.zero_is_free:
        return "false"
    return (
        f"coalesce({nano} = 0 AND NOT {below_a_nano(nano, digits)} AND NOT ({no_tokens_used}) "
        f"AND NOT coalesce({model} LIKE '%:free', false), false)"
    )


def below_a_nano(nano: str, digits: str) -> str:
    """A predicate: the source gives more than 0, of which no whole nano-dollar is left."""
    return f"coalesce({nano} = 0 AND regexp_matches({digits}, '^{_ABOVE_ZERO}'), false)"


def is_above_zero(digits: str) -> bool:
    """The amount that is written so is more than 0.

    >>> is_above_zero("$0.0000000003"), is_above_zero("3e-10"), is_above_zero("0.00e5")
    (True, True, False)
    """
    return re.match(_ABOVE_ZERO, digits) is not None


def small_note(file: Readable) -> str | None:
    """What a person should know of amounts too small to be told from 0; None where there are none."""
    small = [
        below_a_nano(file.value(name), file.more(name, "digits"))
        for name, bound in file.mapping.fields.items()
        if bound.ours.sort == "amount"
    ]
    if not small:
        return None
    query = f"SELECT count(*) FROM {file.relation()} WHERE {' OR '.join(small)}"
    (count,) = file.engine.execute(query).fetchone() or (0,)
    if not count:
        return None
    rows = "1 row gives an amount" if count == 1 else f"{count:,} rows give an amount"
    return (
        f"{rows} above 0 that is less than half a nano-dollar (0.0000000005): such an amount is known and "
        "counts as 0, the nearest whole one. A call's or task's cost keeps its digits beside."
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
