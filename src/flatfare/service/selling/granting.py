"""What a customer has in advance: money in the wallet, lots of credit, packs; and what expires of it."""

from collections.abc import Mapping
from enum import StrEnum
from uuid import UUID

from flatfare.core.currency import check_currency, check_payable
from flatfare.core.customer import Customer
from flatfare.core.errors import BadInput, Conflict
from flatfare.core.grant import PRIORITY, PROMOTION_DAYS, Category, Draw, Grant
from flatfare.core.identity import derived
from flatfare.core.ledger import Account, Entry, Kind, Verb, canonical, merged
from flatfare.core.moments import DAY_US, iso
from flatfare.service.selling import customers, packs
from flatfare.service.selling.posting import append_once, known, lock_of
from flatfare.store import ledger, sales
from flatfare.store.book import Book


class Paid(StrEnum):
    """How what is granted is paid for."""

    CASH = "cash"  # it has been paid
    INVOICE = "invoice"  # it falls into the next invoice
    PROMOTION = "promotion"  # it is given away


def top_up_wallet(
    book: Book,
    *,
    entry_id: UUID,
    customer: str,
    amount_nano: int,
    currency: str,
    at_us: int,
    by_whom: str,
    reason: str | None = None,
) -> Entry:
    """Book money that a customer has paid in; ``BadInput`` where the currency is not the customer's."""
    with book.writing_of(lock_of(customer)):
        found = _open_customer(book, customer)
        check_currency_of(found, currency)
        if amount_nano <= 0:
            raise BadInput("Found an amount that is not above zero: what is paid in is.")
        entry = Entry(
            str(entry_id),
            Verb.TOP_UP,
            customer,
            at_us,
            merged([(found.account(Kind.CASH), -amount_nano), (found.account(Kind.WALLET), amount_nano)]),
            canonical({"amount": amount_nano, "currency": currency}),
            reason=reason,
            by_whom=by_whom,
        )
        found_entry = known(book, entry)
        if found_entry is not None:
            return found_entry
        check_payable(amount_nano, currency)
        return append_once(book, entry)


def grant_credit(
    book: Book,
    *,
    grant_id: UUID,
    customer: str,
    amount_nano: int,
    currency: str | None = None,
    at_us: int,
    paid: Paid | str = Paid.PROMOTION,
    expires_at_us: int | None = None,
    priority: int = PRIORITY,
    actions: tuple[str, ...] = (),
    by_whom: str,
    reason: str | None = None,
) -> Grant:
    """Give a customer a lot of credit, for some actions or all."""
    with book.writing_of(lock_of(customer)):
        found = _open_customer(book, customer)
        check_currency_of(found, currency or found.currency)
        if amount_nano <= 0:
            raise BadInput("Found an amount that is not above zero: what is granted is.")
        if expires_at_us is not None and expires_at_us <= at_us:
            raise BadInput(f"Found an expiry at {iso(expires_at_us)}, before it is granted.")
        grant = Grant(
            str(grant_id),
            customer,
            found.currency,
            amount_nano,
            _category(paid),
            at_us,
            expires_at_us,
            priority,
            tuple(actions),
        )
        # without the moment it takes effect, which differs when it is asked for again
        asked = {**sales.grant_document(grant), "from": None, "paid": str(_paid(paid))}
        return _granted(book, found, grant, asked, _paid(paid), amount_nano, by_whom, reason)


def grant_pack(
    book: Book,
    *,
    grant_id: UUID,
    customer: str,
    pack: str,
    at_us: int,
    paid: Paid | str = Paid.CASH,
    by_whom: str,
    reason: str | None = None,
) -> Grant:
    """Sell a customer a pack: a lot that expires so long after."""
    with book.writing_of(lock_of(customer)):
        found = _open_customer(book, customer)
        bought = packs.one_of(book, pack)
        check_currency_of(found, bought.currency)
        unit_nano = None if bought.units is None else bought.price_nano // bought.units
        worth_nano = bought.credit_nano if unit_nano is None else unit_nano * (bought.units or 0)
        grant = Grant(
            str(grant_id),
            customer,
            bought.currency,
            worth_nano,
            _category(paid),
            at_us,
            None if bought.expires_us is None else at_us + bought.expires_us,
            bought.priority,
            bought.actions,
            unit_nano,
            bought.name,
        )
        asked = {"pack": bought.name, "paid": str(_paid(paid))}
        return _granted(book, found, grant, asked, _paid(paid), bought.price_nano, by_whom, reason)


def _granted(
    book: Book,
    customer: Customer,
    grant: Grant,
    asked: Mapping[str, object],
    paid: Paid,
    price_nano: int,
    by_whom: str,
    reason: str | None,
) -> Grant:
    """The lot is filled: by what was paid, by what is given on top, and what does not divide is rounding."""
    moves = [(grant.account, grant.amount_nano)]
    if paid is Paid.PROMOTION:
        moves.append((customer.account(Kind.PROMOTION), -grant.amount_nano))
    else:
        source = customer.account(Kind.CASH) if paid is Paid.CASH else customer.owed
        rest = Kind.ROUNDING if grant.unit_nano is not None else Kind.PROMOTION
        moves += [(source, -price_nano), (customer.account(rest), price_nano - grant.amount_nano)]
    entry = Entry(
        grant.id,
        Verb.GRANT,
        customer.name,
        grant.effective_at_us,
        merged(moves),
        canonical(asked),
        canonical({"grants": [sales.grant_document(grant)]}),
        reason=reason,
        by_whom=by_whom,
    )
    if known(book, entry) is not None:
        found = sales.grant_of(book, grant.id)
        assert found is not None
        return found
    if paid is not Paid.PROMOTION:
        check_payable(price_nano, grant.currency)
    if grant.pack is not None:
        packs.check_offered(packs.one_of(book, grant.pack))
    append_once(book, entry)
    sales.insert_grant(book, grant)
    return grant


def expire_lots(book: Book, *, now_us: int) -> int:
    """Book what lots that have expired still held; returns how many lots. Any number may run at once.

    What was paid for is earned (breakage); what was given away is taken back.
    """
    count = 0
    for grant in sales.expired_grants(book, now_us):
        with book.writing_of(lock_of(grant.customer)):
            head = ledger.head_of(book, grant.account)
            if head.balance_nano <= 0:
                continue  # another was faster
            ledger.append(book, _expiry(grant, head, now_us))
            count += 1
    return count


def _expiry(grant: Grant, head: ledger.Head, now_us: int) -> Entry:
    left_nano = head.balance_nano
    gone = Kind.BREAKAGE if grant.category is Category.PAID else Kind.PROMOTION
    return Entry(
        str(derived("entry", Verb.EXPIRE, grant.id, str(head.position))),
        Verb.EXPIRE,
        grant.customer,
        now_us,
        merged([(grant.account, -left_nano), (Account(gone, grant.customer, grant.currency), left_nano)]),
        canonical({"grant": grant.id}),
    )


Returned = tuple[list[tuple[Account, int]], list[Grant]]


def returned(book: Book, draws: tuple[Draw, ...], entry_id: str, at_us: int) -> Returned:
    """Where else goes what comes back to lots that have expired: movements on top, and the new lots.

    What was paid for has expired there (breakage), and is given anew for some days.
    """
    moves: list[tuple[Account, int]] = []
    lots: list[Grant] = []
    for one in draws:
        lot = sales.grant_of(book, one.account.owner) if one.account.kind is Kind.GRANT else None
        if lot is None or lot.expires_at_us is None or at_us < lot.expires_at_us:
            continue
        fresh = Grant(
            str(derived("grant", entry_id, lot.id)),
            lot.customer,
            lot.currency,
            one.amount_nano,
            Category.PROMOTION,
            at_us,
            at_us + PROMOTION_DAYS * DAY_US,
            lot.priority,
            lot.actions,
            lot.unit_nano,
            lot.pack,
        )
        promotion = Account(Kind.PROMOTION, lot.customer, lot.currency)
        gone = Kind.BREAKAGE if lot.category is Category.PAID else Kind.PROMOTION
        moves += [
            (lot.account, -one.amount_nano),
            (Account(gone, lot.customer, lot.currency), one.amount_nano),
            (promotion, -one.amount_nano),
            (fresh.account, one.amount_nano),
        ]
        lots.append(fresh)
    return moves, lots


def check_currency_of(customer: Customer, currency: str) -> None:
    """``BadInput`` where a customer's books are kept in another currency."""
    if check_currency(currency) != customer.currency:
        raise BadInput(
            f"Found an amount in {currency} for {customer.name}, whose books are in {customer.currency}: "
            "amounts of different currencies do not mix."
        )


def _open_customer(book: Book, name: str) -> Customer:
    found = customers.one_of(book, name)
    if found.closed_at_us is not None:
        raise Conflict(f"The customer {name} is closed since {iso(found.closed_at_us)}.")
    return found


def _paid(given: Paid | str) -> Paid:
    try:
        return Paid(given)
    except ValueError:
        raise BadInput(f"Found it paid by {given!r}: expected one of {', '.join(Paid)}.") from None


def _category(paid: Paid | str) -> Category:
    return Category.PROMOTION if _paid(paid) is Paid.PROMOTION else Category.PAID
