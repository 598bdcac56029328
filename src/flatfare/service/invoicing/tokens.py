"""What a customer's calls by the token have cost: those labelled with their name that no sale stands for."""

from collections.abc import Sequence

from flatfare.core.customer import Customer
from flatfare.core.errors import BadInput
from flatfare.store import invoices, reading
from flatfare.store.book import Book
from flatfare.store.engine import quoted, translated
from flatfare.store.lake import Lake

LABEL = "customer"
COST_CURRENCY = "USD"


def cost_of_calls(book: Book, lake: Lake, customer: Customer, spans: Sequence[tuple[int, int]]) -> int:
    """The known cost, in nano-dollars, of work and verification in these spans of time (from, until).

    Corrections count when they are made, since a document bills all that is known less what was
    billed before. ``BadInput`` for a customer who does not pay in dollars.
    """
    if customer.currency != COST_CURRENCY:
        raise BadInput(
            f"{customer.name} pays in {customer.currency}, and calls cost {COST_CURRENCY}: tokens at cost "
            f"plus are billed in {COST_CURRENCY} only. Sell actions at a fixed price instead."
        )
    if not spans:
        return 0
    within = " OR ".join(f"(at_us >= {since_us} AND at_us < {until_us})" for since_us, until_us in spans)
    with reading.opened(book, lake, "calls") as engine, translated("Adding up calls"):
        engine.execute("CREATE TEMP TABLE sold (task_id UUID)")
        tasks = invoices.sold(book, customer.name)
        if tasks:
            with engine.appender("sold") as appender:
                appender.append_rows([(task,) for task in tasks])
        label = quoted(f'$."{LABEL}"')
        row = engine.execute(
            "SELECT coalesce(sum(cost_nano), 0) FROM calls WHERE purpose IN ('work', 'verification') "
            f"AND ({within}) "
            f"AND json_extract_string(labels, {label}) = ? "
            "AND (task_id IS NULL OR task_id NOT IN (SELECT task_id FROM sold))",
            [customer.name],
        ).fetchone()
    return int(row[0]) if row else 0
