"""Packs: what is sold in advance, such as ten blog posts for $20.

A pack never changes; a new price is a new pack.
"""

from flatfare.core.currency import check_currency, check_payable
from flatfare.core.customer import check_name
from flatfare.core.errors import BadInput, Conflict, NotFound
from flatfare.core.grant import PRIORITY
from flatfare.core.moments import DAY_US, iso
from flatfare.store import chains, sales
from flatfare.store.book import Book
from flatfare.store.home import KeyTaken
from flatfare.store.sales import Pack

UNITS_MAX = 1_000_000


def create(
    book: Book,
    *,
    name: str,
    price_nano: int,
    currency: str = "USD",
    units: int | None = None,
    actions: tuple[str, ...] = (),
    credit_nano: int | None = None,
    expires_days: int | None = None,
    priority: int = PRIORITY,
    at_us: int,
    by_whom: str,
    reason: str | None = None,
) -> Pack:
    """Offer a pack: so many units of an action, or credit (as much as it costs, if not said otherwise)."""
    check_currency(currency)
    if price_nano < 0:
        raise BadInput("Found a price below zero: a pack costs something, or nothing.")
    check_payable(price_nano, currency)
    if units is not None and (credit_nano is not None or not actions or not 0 < units <= UNITS_MAX):
        raise BadInput(
            f"A pack of units has from 1 to {UNITS_MAX:,} units of named actions, and no credit beside: "
            "give --units with --action."
        )
    if units is not None and price_nano < units:
        raise BadInput(
            "A unit of a pack is worth at least one nano unit: a pack of gifts is a grant of credit."
        )
    worth_nano = price_nano if credit_nano is None else credit_nano
    if worth_nano < max(price_nano, 1):
        raise BadInput("A pack's credit is above zero, and no less than its price.")
    if expires_days is not None and expires_days <= 0:
        raise BadInput("Found an expiry in no days: a pack expires some days after it was bought, or never.")
    expires_us = None if expires_days is None else expires_days * DAY_US
    pack = Pack(
        check_name(name), price_nano, currency, worth_nano, units, tuple(actions), expires_us, priority, at_us
    )
    with book.writing():
        try:
            sales.insert_pack(book, pack)
        except KeyTaken as problem:
            raise Conflict(
                f"There is a pack {name!r} already, and a pack never changes: give the new one another name."
            ) from problem
        _record(book, "pack.created", pack, at_us, by_whom, reason)
    return pack


def withdraw(book: Book, name: str, *, at_us: int, by_whom: str, reason: str | None = None) -> Pack:
    """Offer it no more; what was bought of it stays good."""
    with book.writing():
        pack = one_of(book, name)
        sales.withdraw_pack(book, name, at_us)
        _record(book, "pack.withdrawn", pack, at_us, by_whom, reason)
    return one_of(book, name)


def one_of(book: Book, name: str) -> Pack:
    """The pack of that name; ``NotFound`` says which there are."""
    found = sales.pack_named(book, name)
    if found is None:
        known = ", ".join(pack.name for pack in sales.packs(book)) or "none"
        raise NotFound(f"There is no pack {name!r}. There are: {known}.")
    return found


def check_offered(pack: Pack) -> Pack:
    """The pack itself; ``Conflict`` where it is offered no more."""
    if pack.withdrawn_at_us is not None:
        raise Conflict(f"The pack {pack.name!r} is offered no more since {iso(pack.withdrawn_at_us)}.")
    return pack


def listed(book: Book) -> list[Pack]:
    """Every pack there ever was, the oldest first."""
    return sales.packs(book)


def _record(book: Book, kind: str, pack: Pack, at_us: int, by_whom: str, reason: str | None) -> None:
    says = {
        "price_nano": pack.price_nano,
        "currency": pack.currency,
        "credit_nano": pack.credit_nano,
        "units": pack.units,
        "actions": list(pack.actions),
        "expires_us": pack.expires_us,
        "priority": pack.priority,
    }
    chains.record_change(book, kind, pack.name, says, at_us=at_us, by_whom=by_whom, reason=reason)
