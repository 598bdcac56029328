"""Composing: the lines of a month from the ledger, the plans and the calls, each record of the ledger once.

What is owed is read from the ledger's own account, so that lines sum to entries. What came
after its month was invoiced falls into the next one, and says what it refers to.
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction

from flatfare.core.customer import Customer
from flatfare.core.invoice import (
    TAX_NAME,
    TAX_PERCENT,
    Charge,
    Composed,
    LineKind,
    Period,
    Tax,
    composed,
    percent_text,
    rate_of,
)
from flatfare.core.money import decimal_text
from flatfare.core.plan import at_cost_plus
from flatfare.service.invoicing import plans
from flatfare.service.invoicing.including import included, no_longer_included, sold_on
from flatfare.service.invoicing.owing import Owed
from flatfare.service.invoicing.periods import period_of
from flatfare.service.invoicing.plans import Held
from flatfare.service.invoicing.tokens import cost_of_calls
from flatfare.store import invoices
from flatfare.store.book import Book
from flatfare.store.lake import Lake

Tokens = Mapping[Fraction, int]
"""What calls by the token have cost, by the markup in percent that they are billed at."""


def compose(
    book: Book,
    customer: Customer,
    period: Period,
    *,
    time_zone: str,
    calls: Tokens | None = None,
    positions: frozenset[int] | None = None,
    tokens: Tokens | None = None,
) -> tuple[Composed, Tokens]:
    """The document for a month as it would be issued now, and the cost of the calls it bills by the token.

    ``calls`` is what the customer's calls by the token have cost in all, see ``cost_by_markup``.
    With ``positions`` it covers just these lines of the account of what is owed, and with ``tokens``
    just that cost: so a document that was issued is made again.
    """
    owed = Owed(book, customer)
    charges = owed.charges(period, positions)
    held = plans.held_in(book, customer, period, time_zone)
    if tokens is None:
        tokens = _not_billed(book, customer, period, calls or {})
    of_plans = [*_bases(held), *included(held, sold_on(charges))]
    by_token = _of_tokens(tokens)
    freed = _freed(book, customer, owed, charges, time_zone)
    used_nano = sum(charge.exact_nano for charge in [*charges, *of_plans, *by_token] if _is_used(charge))
    every = [*charges, *freed, *of_plans, *_minimum(held, used_nano), *by_token]
    made = composed(
        customer.name, customer.currency, period, every, tax_of(customer.details), customer.details
    )
    return made, tokens


def cost_by_markup(book: Book, lake: Lake, customer: Customer, period: Period, time_zone: str) -> Tokens:
    """What the calls have cost that the customer's plans billed by the token, until the period's end.

    Read it before the transaction that issues: what comes in between falls into the next month, and
    so does what a month costs that is issued after its successor.
    """
    spans = plans.token_spans(book, customer, period, time_zone)
    return {markup: cost_of_calls(book, lake, customer, own) for markup, own in spans.items()}


def _not_billed(book: Book, customer: Customer, period: Period, calls: Tokens) -> Tokens:
    if invoices.is_issued_beyond(book, customer.name, period.name):
        return {}
    billed = invoices.billed_tokens(book, customer.name)
    left = {markup: nano - billed.get(markup, 0) for markup, nano in calls.items()}
    return {markup: nano for markup, nano in left.items() if nano}


def used(book: Book, customer: Customer, period: Period, *, time_zone: str) -> list[Charge]:
    """What was sold and taken back in a period, whichever document billed it."""
    within = invoices.positions_within(book, customer.owed.id, period.from_us, period.until_us)
    made, _ = compose(book, customer, period, time_zone=time_zone, positions=frozenset(within), tokens={})
    return [charge for charge in made.charges if charge.kind in (LineKind.USAGE, LineKind.REVERSAL)]


def tax_of(details: Mapping[str, str]) -> Tax:
    """The tax that a customer's details name; ``BadInput`` for a rate that is none."""
    return Tax(details.get(TAX_NAME, "Tax"), rate_of(details.get(TAX_PERCENT, "0")))


def _is_used(charge: Charge) -> bool:
    """It counts towards the month's minimum: not packs, nor what is given back of a month before."""
    is_of_before = charge.kind is LineKind.REVERSAL and charge.note is not None
    return charge.kind is not LineKind.PACK and not is_of_before


def _bases(held: Sequence[Held]) -> list[Charge]:
    charges = []
    for one in held:
        fee_nano = one.plan.base_of(one.days, one.days_of_month)
        if fee_nano:
            charges.append(Charge(LineKind.BASE, f"Plan {one.plan.name}{one.share}", 1, fee_nano, fee_nano))
    return charges


def _minimum(held: Sequence[Held], used_nano: int) -> list[Charge]:
    """What is missing to the minimum of the month's plans, each for the days it was held."""
    least_nano = sum(one.plan.minimum_of(one.days, one.days_of_month) for one in held)
    missing_nano = least_nano - used_nano
    if not least_nano or missing_nano <= 0:
        return []
    share = held[0].share if len(held) == 1 else ", by days"
    text = f"Minimum of {decimal_text(least_nano)} a month{share}, what is missing"
    return [Charge(LineKind.MINIMUM, text, 1, missing_nano, missing_nano)]


def _freed(
    book: Book, customer: Customer, owed: Owed, charges: Sequence[Charge], time_zone: str
) -> list[Charge]:
    """What plans took off on former documents and no longer do, since sales on them are taken back here."""
    here: dict[str, set[int]] = {}
    for charge in charges:
        for item in charge.items if charge.kind is LineKind.REVERSAL else ():
            if item.refers is not None:
                here.setdefault(item.refers, set()).add(item.position)
    freed = []
    for number, positions in sorted(here.items()):
        kept = invoices.by_number(book, number)
        assert kept is not None  # a line refers to it
        period = period_of(kept.says)
        held = plans.held_in(book, customer, period, time_zone)
        if any(one.plan.included for one in held):
            sold = sold_on(owed.charges(period, owed.positions_on(number)))
            later = owed.taken_back_later(number)
            freed += no_longer_included(held, sold, later, frozenset(positions), number)
    return freed


def _of_tokens(tokens: Tokens) -> list[Charge]:
    charges = []
    for markup, cost_nano in sorted(tokens.items()):
        text = f"Calls by the token, {decimal_text(cost_nano)} at cost plus {percent_text(markup)} %"
        billed_nano = at_cost_plus(cost_nano, markup)
        charges.append(Charge(LineKind.TOKENS, text, 1, billed_nano, billed_nano))
    return charges
