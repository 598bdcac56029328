"""Quote and hold: a price is promised, and what it can come to at most is held before the work starts."""

from collections.abc import Mapping
from uuid import UUID

from flatfare.core.action_price import ActionPrice, most, price_document, verified_nano
from flatfare.core.currency import payable_text
from flatfare.core.customer import Customer, Terms
from flatfare.core.errors import BadInput, Conflict, NotFound
from flatfare.core.grant import Draw, draw
from flatfare.core.ledger import Account, Entry, Kind, NotEnoughCredit, Verb, canonical
from flatfare.core.moments import HOUR_US, iso
from flatfare.core.outcome import Settlement
from flatfare.core.sale import Quote, Sale, applied, check_move, draws_document, entry_of, moves_of_hold
from flatfare.service.selling import customers
from flatfare.service.selling.granting import check_currency_of
from flatfare.service.selling.posting import append_once, id_for, known, lock_of
from flatfare.store import ledger, sales, tasks
from flatfare.store.book import Book
from flatfare.store.home import KeyTaken

QUOTE_VALID_US = HOUR_US
ATTEMPTS_MAX = 1000
_ENOUGH = 1 << 62  # of who has no credit limit


def quote(
    book: Book,
    *,
    quote_id: UUID,
    customer: str,
    action: str,
    action_version: str,
    price: ActionPrice,
    size: int | None = None,
    attempts_max: int = 1,
    at_us: int,
    valid_us: int = QUOTE_VALID_US,
) -> Quote:
    """Promise a price for one task until it expires. No money moves, and no credit is looked at.

    The same id with the same terms returns the quote that stands; with others it is a
    ``Conflict``. ``NotFound`` for a customer nobody knows, ``BadInput`` where the price is
    in another currency than the customer's books, or goes by a size that is not given.
    """
    if not 0 < attempts_max <= ATTEMPTS_MAX:
        raise BadInput(f"Found {attempts_max} attempts at most: expected from 1 to {ATTEMPTS_MAX}.")
    amount_nano = max(verified_nano(price, size), price.minimum_nano) + price.per_attempt_nano
    wanted = Quote(
        str(quote_id),
        customer,
        action,
        action_version,
        price,
        size,
        attempts_max,
        amount_nano,
        most(price, attempts_max=attempts_max, size=size),
        at_us,
        at_us + valid_us,
    )
    with book.writing_of(lock_of(customer)):
        buyer = customers.one_of(book, customer)
        check_currency_of(buyer, price.currency)
        found = sales.quote_of(book, wanted.id)
        if found is not None:
            return _same(found, wanted)
        _check_open(buyer)
        try:
            sales.insert_quote(book, wanted)
        except KeyTaken as problem:
            raise Conflict(f"The id {wanted.id} is of another quote.") from problem
    return wanted


def hold(
    book: Book, *, task_id: UUID | str, quote_id: UUID | str, entry_id: UUID | None = None, at_us: int
) -> Sale:
    """Hold the most that a quoted task can come to, before its work starts.

    Drawn from a unit of a pack, lots of credit, the wallet, and a later invoice, in this
    order. ``NotFound`` for a quote or task that nobody knows; ``Conflict`` where the quote
    has expired, is used, or the task is sold already; ``NotEnoughCredit`` says what is there.
    """
    task, offered = str(task_id), _quote_named(book, str(quote_id))
    own_id = id_for(entry_id, Verb.HOLD, task)
    asked = {"quote": offered.id, "terms": offered.terms_hash}
    with book.writing_of(lock_of(offered.customer)):
        sale = sales.sale_of(book, task)
        if sale is not None:
            return _held_before(book, sale, offered, own_id, asked, at_us)
        if at_us >= offered.expires_at_us:
            raise Conflict(
                f"The quote {offered.id} has expired at {iso(offered.expires_at_us)}: ask for another."
            )
        if tasks.is_sealed(book, task):
            raise Conflict(
                f"The task {task} is closed for so long that it is sealed: what is sold is held for "
                "before its work starts. Open another task for it."
            )
        if not tasks.rows_of(book, [task]):
            raise NotFound(f"There is no task {task}: record that it is opened before it is paid for.")
        return _held(book, offered, task, own_id, asked, at_us)


def check_credit(book: Book, quote_id: UUID | str, *, at_us: int) -> None:
    """Raise what ``hold`` would raise for want of credit, before a task is opened. Nothing is held."""
    offered = _quote_named(book, str(quote_id))
    with book.reading():
        buyer = customers.one_of(book, offered.customer)
        _check_open(buyer)
        _drawn(book, buyer, offered, at_us)


def _held(
    book: Book, offered: Quote, task: str, own_id: str, asked: Mapping[str, object], at_us: int
) -> Sale:
    buyer = customers.one_of(book, offered.customer)
    _check_open(buyer)
    draws = _drawn(book, buyer, offered, at_us)
    entry = entry_of(
        Verb.HOLD,
        task,
        buyer.name,
        moves_of_hold(Account(Kind.HOLD, task, offered.currency), draws),
        entry_id=own_id,
        at_us=at_us,
        asked=asked,
        decided={"draws": draws_document(draws)},
    )
    sale = applied(None, append_once(book, entry), offered)
    try:
        sales.insert_sale(book, sale)
    except KeyTaken as problem:
        raise Conflict(
            f"The quote {offered.id} is used by another task, or {task} is sold already: "
            "each sale has a quote of its own."
        ) from problem
    tasks.set_settlement(book, task, str(Settlement.HELD))
    return sale


def _drawn(book: Book, buyer: Customer, offered: Quote, at_us: int) -> tuple[Draw, ...]:
    wallet, pending = buyer.account(Kind.WALLET), buyer.account(Kind.PENDING)
    later_nano = credit_left_nano(book, buyer)
    grants = sales.grants_of(book, buyer.name)
    sources = [(wallet, ledger.balance_nano(book, wallet)), (pending, later_nano)]
    draws, missing_nano = draw(grants, sources, offered.action, offered.most_nano, at_us)
    if missing_nano:
        there = payable_text(offered.most_nano - missing_nano, offered.currency)
        needed = payable_text(offered.most_nano, offered.currency)
        raise NotEnoughCredit(
            f"{buyer.name} has {there} {offered.currency} for {offered.action}, which needs {needed}. "
            f"Top it up: flatfare customers top-up {buyer.name} AMOUNT"
        )
    return draws


def credit_left_nano(book: Book, buyer: Customer) -> int:
    """How much a customer may still use before paying: nothing on prepaid terms."""
    if buyer.terms is Terms.PREPAID:
        return 0
    if buyer.credit_limit_nano is None:
        return _ENOUGH
    kinds = (Kind.PENDING, Kind.RECEIVABLE, buyer.owed.kind)
    used_nano = -sum(ledger.balance_nano(book, buyer.account(kind)) for kind in kinds)
    return max(0, buyer.credit_limit_nano - used_nano)


def _held_before(
    book: Book, sale: Sale, offered: Quote, own_id: str, asked: Mapping[str, object], at_us: int
) -> Sale:
    """A retry of the same hold is told what became of it; any other is refused."""
    same = Entry(own_id, Verb.HOLD, offered.customer, at_us, (), canonical(asked), task_id=sale.task_id)
    if known(book, same) is None:
        check_move(sale, Settlement.HELD)
    return sale


def quote_of(book: Book, quote_id: UUID | str) -> Quote | None:
    """The quote of that id, if one was given."""
    return sales.quote_of(book, str(quote_id))


def _quote_named(book: Book, quote_id: str) -> Quote:
    found = sales.quote_of(book, quote_id)
    if found is None:
        raise NotFound(f"There is no quote {quote_id}: ask for one first.")
    return found


def _same(found: Quote, wanted: Quote) -> Quote:
    def terms(one: Quote) -> tuple[object, ...]:
        document = canonical(price_document(one.price))
        return one.customer, one.action, one.action_version, document, one.size, one.attempts_max

    if terms(found) != terms(wanted):
        raise Conflict(f"The id {found.id} is of a quote on other terms: each quote has an id of its own.")
    return found


def _check_open(buyer: Customer) -> None:
    if buyer.closed_at_us is not None:
        raise Conflict(f"The customer {buyer.name} is closed since {iso(buyer.closed_at_us)}.")
