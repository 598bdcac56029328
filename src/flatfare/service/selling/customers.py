"""Customers: who may buy, and on which terms. Every change is a record in the organisation's chain."""

from collections.abc import Mapping
from dataclasses import replace

from flatfare.core.currency import check_currency
from flatfare.core.customer import Customer, Terms, check_name
from flatfare.core.errors import BadInput, Conflict, NotFound
from flatfare.core.invoice import TAX_PERCENT, rate_of
from flatfare.service.selling.posting import no_customer
from flatfare.store import chains, sales
from flatfare.store.book import Book
from flatfare.store.home import KeyTaken

DETAIL_LENGTH_MAX = 1000


def create(
    book: Book,
    *,
    name: str,
    currency: str = "USD",
    terms: Terms | str = Terms.PREPAID,
    credit_limit_nano: int | None = None,
    details: Mapping[str, str] | None = None,
    at_us: int,
    by_whom: str,
    reason: str | None = None,
) -> Customer:
    """Enter a new customer; ``Conflict`` where one of the name is there."""
    customer = Customer(
        check_name(name),
        check_currency(currency),
        _terms(terms),
        _limit(terms, credit_limit_nano),
        _details(details or {}),
        at_us,
    )
    with book.writing():
        try:
            sales.insert_customer(book, customer)
        except KeyTaken as problem:
            raise Conflict(f"There is a customer {name!r} already. See: flatfare customers list") from problem
        _record(book, "customer.created", customer, at_us, by_whom, reason)
    return customer


def change(
    book: Book,
    name: str,
    *,
    terms: Terms | str | None = None,
    credit_limit_nano: int | None = None,
    is_unlimited: bool = False,
    details: Mapping[str, str] | None = None,
    at_us: int,
    by_whom: str,
    reason: str | None = None,
) -> Customer:
    """Change a customer's terms; sales under way keep what holds them. The currency stays."""
    with book.writing():
        former = one_of(book, name)
        changed = replace(
            former,
            terms=former.terms if terms is None else _terms(terms),
            credit_limit_nano=former.credit_limit_nano if credit_limit_nano is None else credit_limit_nano,
            details=former.details if details is None else {**former.details, **_details(details)},
        )
        if is_unlimited:
            changed = replace(changed, credit_limit_nano=None)
        _limit(changed.terms, changed.credit_limit_nano)
        sales.update_customer(book, changed)
        _record(book, "customer.changed", changed, at_us, by_whom, reason)
    return changed


def close(book: Book, name: str, *, at_us: int, by_whom: str, reason: str | None = None) -> Customer:
    """Sell nothing more to a customer; what is under way is settled or voided as usual."""
    with book.writing():
        closed = replace(one_of(book, name), closed_at_us=at_us)
        sales.update_customer(book, closed)
        _record(book, "customer.closed", closed, at_us, by_whom, reason)
    return closed


def one_of(book: Book, name: str) -> Customer:
    """The customer of that name; ``NotFound`` says how to enter one."""
    found = sales.customer_named(book, name)
    if found is None:
        raise NotFound(no_customer(name))
    return found


def listed(book: Book) -> list[Customer]:
    """Every customer, by name."""
    return sales.all_customers(book)


def _terms(given: Terms | str) -> Terms:
    try:
        return Terms(given)
    except ValueError:
        raise BadInput(f"Found the terms {given!r}: expected one of {', '.join(Terms)}.") from None


def _limit(terms: Terms | str, limit_nano: int | None) -> int | None:
    if limit_nano is not None and (limit_nano < 0 or terms == Terms.PREPAID):
        raise BadInput("A credit limit is an amount from 0, of customers who pay later: --terms invoice.")
    return limit_nano


def _details(given: Mapping[str, str]) -> dict[str, str]:
    for name, text in given.items():
        if not name or len(name) > 64 or len(text) > DETAIL_LENGTH_MAX:
            raise BadInput(f"Found a detail {name[:40]!r} of {len(text)} signs: at most {DETAIL_LENGTH_MAX}.")
        if name == TAX_PERCENT:
            rate_of(text)
    return dict(given)


def _record(book: Book, kind: str, customer: Customer, at_us: int, by_whom: str, reason: str | None) -> None:
    says = {
        "currency": customer.currency,
        "terms": str(customer.terms),
        "credit_limit_nano": customer.credit_limit_nano,
        "details": dict(customer.details),
        "closed_at_us": customer.closed_at_us,
    }
    chains.record_change(book, kind, customer.name, says, at_us=at_us, by_whom=by_whom, reason=reason)
