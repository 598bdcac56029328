"""Posting: an entry is written once, however often it is asked for, under its customer's lock."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from flatfare.core.errors import BadInput, Conflict, NotFound
from flatfare.core.identity import derived
from flatfare.core.ledger import Account, Entry, Kind, canonical, merged
from flatfare.store import ledger, sales
from flatfare.store.book import Book
from flatfare.store.home import KeyTaken

Movement = tuple[str, str, int, str]
"""Kind of account, its owner, the amount in nano units, its currency."""


def lock_of(customer: str) -> str:
    """What ``book.writing_of`` locks for whoever writes in a customer's books."""
    return f"customer {customer}"


def id_for(given: UUID | None, verb: str, task_id: str) -> str:
    """The id that was given, else one made of the verb and the task: then a retry is known by itself."""
    return str(given or derived("entry", verb, task_id))


def append_once(book: Book, entry: Entry) -> Entry:
    """Write the entry, in the transaction that is open; ``Conflict`` where its id or its place is taken."""
    try:
        return ledger.append(book, entry)
    except KeyTaken as problem:
        if entry.reverses is not None:
            raise Conflict(
                f"The entry {entry.reverses} was reversed before, or the id {entry.id} is of another entry: "
                "an entry is reversed at most once."
            ) from problem
        raise Conflict(f"The id {entry.id} is of another entry: each has an id of its own.") from problem


def known(book: Book, entry: Entry) -> Entry | None:
    """The entry that stands under this id; ``Conflict`` where it was asked for in other words."""
    found = ledger.entry_of(book, entry.id)
    if found is None or found.is_same_as(entry):
        return found
    raise Conflict(
        f"The id {entry.id} stands for another {found.verb} of {found.customer}: {found.asked[:200]}. "
        "An id is used again only to say the same."
    )


def post(
    book: Book,
    *,
    entry_id: UUID,
    verb: str,
    customer: str,
    postings: Sequence[Movement],
    at_us: int,
    by_whom: str,
    reason: str | None = None,
    reference: str | None = None,
    task_id: UUID | str | None = None,
    reverses: UUID | str | None = None,
) -> Entry:
    """Write an entry in the transaction that is open and holds the customer (or the whole book).

    The same id with the same words is a no-op that returns what stands; with others it is
    a ``Conflict``. Raises ``Contradiction`` where the postings do not sum to zero,
    ``NotEnoughCredit`` where an account would hold what it cannot, ``NotFound`` for a
    customer nobody knows.
    """
    moves = [(_account(book, customer, one), one[2]) for one in postings]
    asked: Mapping[str, object] = {
        "postings": sorted([account.id, nano] for account, nano in moves),
        "reference": reference,
    }
    entry = Entry(
        str(entry_id),
        verb,
        customer,
        at_us,
        merged(moves),
        canonical(asked),
        task_id=None if task_id is None else str(task_id),
        reverses=None if reverses is None else str(reverses),
        reason=reason,
        by_whom=by_whom,
    )
    if sales.customer_named(book, customer) is None:
        raise NotFound(no_customer(customer))
    if entry.reverses is not None:
        _check_reversed(book, entry.reverses, customer)
    return known(book, entry) or append_once(book, entry)


def _check_reversed(book: Book, entry_id: str, customer: str) -> None:
    found = ledger.entry_of(book, entry_id)
    if found is None or found.customer != customer:
        raise NotFound(f"There is no entry {entry_id} of {customer} that could be reversed.")


def no_customer(name: str) -> str:
    """What is said where a customer is not known."""
    return f"There is no customer {name!r}. Create it: flatfare customers create {name}"


def _account(book: Book, customer: str, movement: Movement) -> Account:
    kind, owner, _, currency = movement
    try:
        account = Account(Kind(kind), owner, currency)
    except ValueError:
        raise BadInput(f"Found an account of the kind {kind!r}: expected one of {', '.join(Kind)}.") from None
    if account.kind is Kind.GRANT:
        lot = sales.grant_of(book, owner)
        is_own = lot is not None and lot.customer == customer
    elif account.kind is Kind.HOLD:
        is_own = sales.customer_of(book, owner) == customer
    else:
        is_own = owner == customer
    if not is_own:
        raise BadInput(f"Found the account {account.id} in an entry of {customer}: it is not of their books.")
    return account
