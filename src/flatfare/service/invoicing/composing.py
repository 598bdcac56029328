"""Composing: the lines of a month from the ledger, the plan and the calls, each record of the ledger once.

What is owed is read from the ledger's own account, so that lines sum to entries. What came
after its month was invoiced falls into the next one, and says what it refers to.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction

from flatfare.core.customer import Customer
from flatfare.core.errors import BadInput
from flatfare.core.invoice import Charge, Composed, Item, LineKind, Period, Tax, composed
from flatfare.core.ledger import Verb
from flatfare.core.money import decimal_text
from flatfare.core.plan import Plan
from flatfare.service.invoicing import plans
from flatfare.service.invoicing.periods import days_of
from flatfare.service.invoicing.tokens import cost_of_calls
from flatfare.store import invoices, ledger
from flatfare.store.book import Book
from flatfare.store.lake import Lake

INVOICING = frozenset({"invoice", "void invoice", "credit note", "payment", "payout"})
"""Verbs that move what is owed onto documents and off them: no usage of their own."""

TAX_NAME, TAX_PERCENT = "tax_name", "tax_percent"
"""The customer's details that a tax is taken from."""


def compose(
    book: Book,
    customer: Customer,
    period: Period,
    *,
    time_zone: str,
    calls_nano: int = 0,
    positions: frozenset[int] | None = None,
    token_cost_nano: int | None = None,
) -> tuple[Composed, int]:
    """The document for a month as it would be issued now, and the cost of the calls it bills by the token.

    ``calls_nano`` is what the customer's calls by the token have cost in all, see ``calls_cost_nano``.
    With ``positions`` it covers just these lines of the account of what is owed, and with
    ``token_cost_nano`` just that cost: so a document that was issued is made again.
    """
    owed = _owed(book, customer, period, positions)
    plan, since_us, until_us = plans.in_force(book, customer, period)
    charges = [*owed]
    if plan is not None:
        days, of_days = days_of(period, since_us, until_us, time_zone)
        charges += _of_plan(plan, owed, days, of_days)
    cost_nano = 0
    if plan is not None and plan.markup is not None:
        if token_cost_nano is not None:
            cost_nano = token_cost_nano
        elif not invoices.is_issued_beyond(book, customer.name, period.name):
            cost_nano = calls_nano - invoices.billed_tokens_nano(book, customer.name)
        charges += _of_tokens(plan, cost_nano)
    made = composed(
        customer.name, customer.currency, period, charges, tax_of(customer.details), customer.details
    )
    return made, cost_nano


def calls_cost_nano(book: Book, lake: Lake, customer: Customer, period: Period, time_zone: str) -> int:
    """What the calls have cost that the customer's plans billed by the token, until the period's end.

    Read it before the transaction that issues: what comes in between falls into the next month, and
    so does what a month costs that is issued after its successor.
    """
    plan, _, _ = plans.in_force(book, customer, period)
    if plan is None or plan.markup is None:
        return 0
    return cost_of_calls(book, lake, customer, plans.token_spans(book, customer, period, time_zone))


def used(book: Book, customer: Customer, period: Period, *, time_zone: str) -> list[Charge]:
    """What was sold and taken back in a period, whichever document billed it."""
    within = invoices.positions_within(book, customer.owed.id, period.from_us, period.until_us)
    made, _ = compose(
        book, customer, period, time_zone=time_zone, positions=frozenset(within), token_cost_nano=0
    )
    return [charge for charge in made.charges if charge.kind in (LineKind.USAGE, LineKind.REVERSAL)]


def tax_of(details: Mapping[str, str]) -> Tax:
    """The tax that a customer's details name; ``BadInput`` for a rate that is none."""
    percent = details.get(TAX_PERCENT, "0")
    try:
        rate = Fraction(percent)
    except (ValueError, ZeroDivisionError):
        rate = Fraction(-1)
    if not 0 <= rate <= 100:
        raise BadInput(f"Found the {TAX_PERCENT} {percent!r}: expected a percentage from 0 to 100.")
    return Tax(details.get(TAX_NAME, "Tax"), rate)


def _owed(book: Book, customer: Customer, period: Period, positions: frozenset[int] | None) -> list[Charge]:
    """What the ledger says is owed: sales and reversals by action and amount, packs."""
    account = customer.owed.id
    covered = invoices.covered(book, account)
    actions = invoices.sold(book, customer.name)
    entries = {
        entry.id: entry
        for entry in ledger.entries(
            book, "id IN (SELECT entry_id FROM postings WHERE account_id = ?)", (account,)
        )
    }
    lines = ledger.postings_of(book, account)
    settled = {
        entries[line.entry_id].task_id: line
        for line in lines
        if entries[line.entry_id].verb == Verb.SETTLE and line.position not in (positions or ())
    }
    groups: dict[tuple[str, str, int], list[Item]] = {}
    backs: dict[tuple[str, str, int], list[Item]] = {}
    others: list[Charge] = []
    for line in lines:
        entry = entries[line.entry_id]
        is_asked = (
            line.position in positions
            if positions is not None
            else (line.position not in covered and entry.at_us < period.until_us)
        )
        if not is_asked or entry.verb in INVOICING:
            continue
        item = Item(
            line.position,
            entry.id,
            entry.at_us,
            -line.amount_nano,
            entry.task_id,
            is_late=entry.at_us < period.from_us,
        )
        if entry.verb == Verb.SETTLE:
            action, version = actions.get(str(entry.task_id), ("sale", ""))
            groups.setdefault((action, version, item.amount_nano), []).append(item)
        elif entry.verb == Verb.REVERSE:
            action, _ = actions.get(str(entry.task_id), ("sale", ""))
            billed = settled.get(entry.task_id)
            number = None if billed is None else covered.get(billed.position)
            backs.setdefault((action, number or "", item.amount_nano), []).append(
                replace(item, refers=number)
            )
        else:
            others.append(_pack(item, json.loads(entry.asked)))
    used = [
        Charge(
            LineKind.USAGE,
            f"{action} {f'version {version}' if version else ''}".strip(),
            len(items),
            sum(item.amount_nano for item in items),
            unit_nano,
            tuple(items),
            _late_note(items),
            action,
        )
        for (action, version, unit_nano), items in sorted(groups.items())
    ]
    return [*used, *(_reversal(*key, items) for key, items in sorted(backs.items())), *others]


def _reversal(action: str, number: str, unit_nano: int, items: list[Item]) -> Charge:
    """What was given back of an action: together, since each line is rounded once, and a coin that is
    smaller than what can be paid would never come back. It names the document that billed it, if one did."""
    return Charge(
        LineKind.REVERSAL,
        f"{action} taken back",
        len(items),
        sum(item.amount_nano for item in items),
        unit_nano,
        tuple(items),
        f"billed on {number}" if number else None,
        action,
    )


def _pack(item: Item, asked: Mapping[str, object]) -> Charge:
    pack = asked.get("pack")
    text = f"Pack {pack}" if pack else "Credit"
    return Charge(LineKind.PACK, text, 1, item.amount_nano, item.amount_nano, (item,))


def _late_note(items: list[Item]) -> str | None:
    late = sum(item.is_late for item in items)
    return f"{late} of them settled in a month before" if late else None


def _of_plan(plan: Plan, owed: list[Charge], days: int, of_days: int) -> list[Charge]:
    """Base fee, what is included, and what is missing to the minimum."""
    charges = []
    if plan.base_nano:
        share = "" if days == of_days else f", {days} of {of_days} days"
        fee_nano = plan.base_of(days, of_days)
        charges.append(Charge(LineKind.BASE, f"Plan {plan.name}{share}", 1, fee_nano, fee_nano))
    for action, units in sorted(plan.included.items()):
        charges += _included(action, units, owed)
    used_nano = sum(charge.exact_nano for charge in [*owed, *charges] if charge.kind is not LineKind.PACK)
    missing_nano = plan.minimum_nano - used_nano
    if plan.minimum_nano and missing_nano > 0:
        text = f"Minimum of {decimal_text(plan.minimum_nano)} a month, what is missing"
        charges.append(Charge(LineKind.MINIMUM, text, 1, missing_nano, missing_nano))
    return charges


def _included(action: str, units: int, owed: list[Charge]) -> list[Charge]:
    """The sales of an action that the plan includes, the dearest first; not those taken back beside them."""
    charges, left = [], units
    own = [charge for charge in owed if charge.action == action]
    backs = {
        -(charge.unit_nano or 0): charge.quantity
        for charge in own
        if charge.kind is LineKind.REVERSAL and charge.note is None
    }
    sold = [charge for charge in own if charge.kind is LineKind.USAGE]
    for charge in sorted(sold, key=lambda one: -(one.unit_nano or 0)):
        gone = min(charge.quantity, backs.get(charge.unit_nano or 0, 0))
        backs[charge.unit_nano or 0] = backs.get(charge.unit_nano or 0, 0) - gone
        count = min(left, charge.quantity - gone)
        if count and charge.unit_nano:
            text = f"{charge.text}, included in the plan"
            charges.append(
                Charge(LineKind.INCLUDED, text, count, -count * charge.unit_nano, -charge.unit_nano)
            )
            left -= count
    return charges


def _of_tokens(plan: Plan, cost_nano: int) -> list[Charge]:
    if not cost_nano:
        return []
    markup = f"{float(plan.markup or 0):g} %"
    text = f"Calls by the token, {decimal_text(cost_nano)} at cost plus {markup}"
    billed_nano = plan.tokens_of(cost_nano)
    return [Charge(LineKind.TOKENS, text, 1, billed_nano, billed_nano)]
