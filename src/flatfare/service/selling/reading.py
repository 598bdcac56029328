"""What the ledger says: balances, entries, an account's lines, sums over the business."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from flatfare.core.customer import Customer, Terms
from flatfare.core.errors import NotFound
from flatfare.core.grant import Grant
from flatfare.core.ledger import Account, Entry, Kind
from flatfare.core.outcome import Settlement
from flatfare.core.sale import Sale
from flatfare.service.selling import customers
from flatfare.service.selling.holding import credit_left_nano
from flatfare.service.selling.settling import NO_SALE
from flatfare.store import ledger, sales
from flatfare.store.book import Book, Value


@dataclass(frozen=True, slots=True)
class Balance:
    """Where a customer stands, in nano units of the customer's currency."""

    customer: Customer
    accounts: dict[Account, int]  # every account that is not empty
    grants: tuple[tuple[Grant, int], ...]  # lots that hold something, with what is left
    available_nano: int | None  # for any action, now; None: without a limit

    @property
    def currency(self) -> str:
        """Of all amounts but costs."""
        return self.customer.currency

    @property
    def wallet_nano(self) -> int:
        """Paid in and not used."""
        return self.of(Kind.WALLET)

    @property
    def grants_nano(self) -> int:
        """Left of all lots together."""
        return self.of(Kind.GRANT)

    @property
    def held_nano(self) -> int:
        """For sales under way."""
        return self.of(Kind.HOLD)

    @property
    def pending_nano(self) -> int:
        """Held on a later invoice: negative."""
        return self.of(Kind.PENDING)

    @property
    def accrued_nano(self) -> int:
        """Used and not invoiced yet: negative."""
        return self.of(self.customer.owed.kind)

    @property
    def receivable_nano(self) -> int:
        """Invoiced and not paid: negative."""
        return self.of(Kind.RECEIVABLE)

    def of(self, kind: Kind) -> int:
        """What stands in all the customer's accounts of a kind, in the customer's currency."""
        return sum(
            nano
            for account, nano in self.accounts.items()
            if account.kind is kind and account.currency == self.currency
        )


def balance(book: Book, customer: str, *, at_us: int) -> Balance:
    """Where a customer stands at this moment."""
    with book.reading():
        found = customers.one_of(book, customer)
        accounts = ledger.balances(book, customer)
        lots = tuple((lot, left) for lot, left in sales.grants_of(book, customer) if left)
        later_nano = credit_left_nano(book, found)
    usable_nano = sum(
        left for lot, left in lots if lot.unit_nano is None and not lot.actions and lot.is_usable("", at_us)
    )
    is_unlimited = found.terms is not Terms.PREPAID and found.credit_limit_nano is None
    wallet_nano = accounts.get(found.account(Kind.WALLET), 0)
    available_nano = None if is_unlimited else usable_nano + wallet_nano + later_nano
    return Balance(found, accounts, lots, available_nano)


def sale_of(book: Book, task_id: UUID | str) -> Sale:
    """The sale of a task; ``NotFound`` where nothing was held for it."""
    found = sales.sale_of(book, str(task_id))
    if found is None:
        raise NotFound(NO_SALE.format(task_id))
    return found


def sales_of(
    book: Book,
    *,
    customer: str | None = None,
    settlement: Settlement | str | None = None,
) -> list[Sale]:
    """Sales by their tasks' ids."""
    where, parameters = ["1 = 1"], list[Value]()
    if customer is not None:
        where.append("sales.customer = ?")
        parameters.append(customer)
    if settlement is not None:
        where.append("sales.settlement = ?")
        parameters.append(str(settlement))
    return sales.sales(book, " AND ".join(where), tuple(parameters))


def entries(
    book: Book,
    *,
    customer: str | None = None,
    task_id: UUID | str | None = None,
    account: str | None = None,
    after_position: int = 0,
    until_position: int | None = None,
    since_us: int | None = None,
    until_us: int | None = None,
    after_number: int = 0,
    limit: int | None = None,
) -> list[Entry]:
    """Entries in the order in which they were written, of a customer, a task, an account, a time.

    Positions are those of the account's own lines; numbers count a customer's entries.
    """
    where: list[str] = ["number > ?"]
    parameters: list[Value] = [after_number]
    for column, value in (("customer", customer), ("task_id", None if task_id is None else str(task_id))):
        if value is not None:
            where.append(f"{column} = ?")
            parameters.append(value)
    if since_us is not None:
        where.append("at_us >= ?")
        parameters.append(since_us)
    if until_us is not None:
        where.append("at_us < ?")
        parameters.append(until_us)
    if account is not None:
        until = "" if until_position is None else " AND position <= ?"
        where.append(f"id IN (SELECT entry_id FROM postings WHERE account_id = ? AND position > ?{until})")
        parameters += [account, after_position, *(() if until_position is None else (until_position,))]
    return ledger.entries(book, " AND ".join(where), parameters, limit)


def account_postings(
    book: Book, account: str, after_position: int = 0, until_position: int | None = None
) -> list[tuple[int, Entry, int, int]]:
    """The lines of an account: position, entry, amount and the balance after it."""
    lines = ledger.postings_of(book, account, after_position, until_position)
    found = {
        entry.id: entry
        for entry in entries(
            book, account=account, after_position=after_position, until_position=until_position
        )
    }
    return [(line.position, found[line.entry_id], line.amount_nano, line.balance_nano) for line in lines]


def totals(book: Book, kinds: Sequence[Kind] | None = None) -> dict[Kind, dict[str, int]]:
    """What stands in all accounts of each kind together, by currency: the business as a whole."""
    found: dict[Kind, dict[str, int]] = {}
    for (kind, currency), nano in ledger.totals(book).items():
        if kinds is None or kind in kinds:
            found.setdefault(kind, {})[currency] = nano
    return found
