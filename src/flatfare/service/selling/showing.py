"""Customers, packs, lots, sales and entries as documents: the same for the command line and over HTTP.

Amounts are decimal text in units of the currency that stands beside them.
"""

from collections.abc import Mapping

from flatfare.core.action_price import price_document
from flatfare.core.customer import Customer
from flatfare.core.grant import Grant
from flatfare.core.ledger import Entry, Kind
from flatfare.core.moments import DAY_US, iso
from flatfare.core.money import decimal_text
from flatfare.core.sale import COST_CURRENCY, Quote, Sale
from flatfare.service.selling.reading import Balance, account_postings
from flatfare.store.book import Book
from flatfare.store.sales import Pack

Document = dict[str, object]


def customer_document(customer: Customer) -> Document:
    """Who buys, and on which terms."""
    limit_nano = customer.credit_limit_nano
    return {
        "name": customer.name,
        "currency": customer.currency,
        "terms": str(customer.terms),
        "credit_limit": decimal_text(limit_nano),
        "details": dict(customer.details),
        "created_at": iso(customer.created_at_us),
        "closed_at": iso(customer.closed_at_us),
    }


def balance_document(found: Balance, *, at_us: int) -> Document:
    """A customer with what stands in the books; what is owed by the customer is negative."""
    available_nano = found.available_nano
    return {
        **customer_document(found.customer),
        "available": decimal_text(available_nano),
        "wallet": decimal_text(found.wallet_nano),
        "held": decimal_text(found.held_nano),
        "pending": decimal_text(found.pending_nano),
        "accrued": decimal_text(found.accrued_nano),
        "receivable": decimal_text(found.receivable_nano),
        "grants": [grant_document(lot, left, at_us=at_us) for lot, left in found.grants],
        "accounts": {
            account.id: decimal_text(nano)
            for account, nano in found.accounts.items()
            if account.kind not in (Kind.GRANT, Kind.HOLD)
        },
    }


def grant_document(grant: Grant, left_nano: int | None = None, *, at_us: int | None = None) -> Document:
    """A lot, with what is left of it."""
    document: Document = {
        "id": grant.id,
        "pack": grant.pack,
        "category": str(grant.category),
        "amount": decimal_text(grant.amount_nano),
        "currency": grant.currency,
        "units": grant.units,
        "actions": list(grant.actions),
        "priority": grant.priority,
        "from": iso(grant.effective_at_us),
        "expires_at": iso(grant.expires_at_us),
    }
    if left_nano is not None:
        document |= {"left": decimal_text(left_nano), "units_left": grant.units_of(left_nano)}
    if at_us is not None:
        document["expired"] = grant.expires_at_us is not None and grant.expires_at_us <= at_us
    return document


def pack_document(pack: Pack) -> Document:
    """What is offered, for how much."""
    days = None if pack.expires_us is None else pack.expires_us // DAY_US
    return {
        "name": pack.name,
        "price": decimal_text(pack.price_nano),
        "currency": pack.currency,
        "units": pack.units,
        "actions": list(pack.actions),
        "credit": None if pack.units is not None else decimal_text(pack.credit_nano),
        "expires_days": days,
        "priority": pack.priority,
        "created_at": iso(pack.created_at_us),
        "withdrawn_at": iso(pack.withdrawn_at_us),
    }


def quote_document(quote: Quote) -> Document:
    """A price that was promised."""
    return {
        "id": quote.id,
        "customer": quote.customer,
        "action": quote.action,
        "action_version": quote.action_version,
        "price": price_document(quote.price),
        "size": quote.size,
        "attempts_max": quote.attempts_max,
        "amount": decimal_text(quote.amount_nano),
        "most": decimal_text(quote.most_nano),
        "currency": quote.currency,
        "at": iso(quote.at_us),
        "expires_at": iso(quote.expires_at_us),
    }


def sale_document(sale: Sale) -> Document:
    """The money of one task."""
    costs, margin_nano = sale.costs, sale.margin_nano
    return {
        "task": sale.task_id,
        "customer": sale.customer,
        "action": sale.action,
        "action_version": sale.action_version,
        "settlement": str(sale.settlement),
        "currency": sale.currency,
        "held": decimal_text(sale.held_nano),
        "settled": decimal_text(sale.settled_nano),
        "reversed": decimal_text(sale.reversed_nano),
        "net": decimal_text(sale.net_nano),
        "lines": [{"text": text, "amount": decimal_text(nano)} for text, nano in sale.lines],
        "paid_by": [
            {"account": one.account.id, "amount": decimal_text(one.amount_nano), "unit": one.is_unit}
            for one in sale.draws
        ],
        "cost": {
            "currency": COST_CURRENCY,
            "work": decimal_text(costs.work_nano),
            "verification": decimal_text(costs.verification_nano),
            "rework": decimal_text(costs.rework_nano),
            "total": decimal_text(costs.total_nano),
            "unknown": costs.reason,
        },
        "margin": decimal_text(margin_nano),
        "held_at": iso(sale.held_at_us),
        "settled_at": iso(sale.settled_at_us),
        "voided_at": iso(sale.voided_at_us),
        "reversed_at": iso(sale.reversed_at_us),
    }


def entry_document(entry: Entry) -> Document:
    """One movement of money, with all its postings."""
    return {
        "id": entry.id,
        "customer": entry.customer,
        "number": entry.number,
        "verb": entry.verb,
        "at": iso(entry.at_us),
        "task": entry.task_id,
        "reverses": entry.reverses,
        "reason": entry.reason,
        "by": entry.by_whom,
        "postings": [
            {
                "account": posting.account.id,
                "amount": decimal_text(posting.amount_nano),
                "currency": posting.account.currency,
            }
            for posting in entry.postings
        ],
    }


def line_document(position: int, entry: Entry, amount_nano: int, balance_nano: int) -> Document:
    """One line of an account."""
    return {
        "position": position,
        "at": iso(entry.at_us),
        "verb": entry.verb,
        "task": entry.task_id,
        "amount": decimal_text(amount_nano),
        "balance": decimal_text(balance_nano),
        "entry": entry.id,
        "reason": entry.reason,
    }


def account_document(book: Book, account: str, after_position: int = 0, limit: int = 1000) -> list[Document]:
    """The lines of an account, so many after a position."""
    return [
        line_document(*line)
        for line in account_postings(book, account, after_position, after_position + limit)
    ]


def totals_document(found: Mapping[Kind, Mapping[str, int]]) -> list[Document]:
    """What stands in all accounts of each kind together; each currency sums to zero."""
    return [
        {"account": str(kind), "currency": currency, "balance": decimal_text(nano)}
        for kind, amounts in found.items()
        for currency, nano in amounts.items()
    ]
