"""The ledger told anew, record by record, from what the book holds: where it differs, it was tampered with.

Everything is read as it stands, in batches and without trust: a field of a wrong form is a
finding and no failure.
"""

import json
from collections.abc import Iterator
from itertools import groupby

from flatfare.core.chain import GENESIS, link
from flatfare.core.errors import FlatfareError
from flatfare.core.grant import Grant
from flatfare.core.ledger import Account, Entry, check_standing, entry_says, posting_says
from flatfare.core.sale import SALE_VERBS, Quote, Sale, applied, sale_content
from flatfare.store import sales
from flatfare.store.book import Book, Row, Value

_FIELDS = "customer, number, id, verb, at_us, task_id, reverses, reason, by_whom, asked, decided"
_ENTRY_FIELDS = ", ".join(f"entries.{name.strip()}" for name in _FIELDS.split(","))

_UNREADABLE = (FlatfareError, ValueError, KeyError, TypeError, IndexError, AttributeError, AssertionError)
"""What reading a record raises that was edited into something else."""

Chain = str
"""``entries/CUSTOMER`` or ``postings/ACCOUNT``."""


def heads(book: Book) -> dict[Chain, tuple[int, str]]:
    """The last record of every chain: its position and hash."""
    found = book.rows(
        "SELECT 'entries/' || customer, number, hash FROM entries AS one WHERE number = "
        "(SELECT MAX(number) FROM entries WHERE customer = one.customer) UNION ALL "
        "SELECT 'postings/' || account_id, position, hash FROM postings AS one WHERE position = "
        "(SELECT MAX(position) FROM postings WHERE account_id = one.account_id) ORDER BY 1"
    )
    return {str(chain): (int(str(position)), str(own)) for chain, position, own in found}


def hash_at(book: Book, chain: Chain, position: int) -> str | None:
    """The hash of one record of a chain; None where there is none."""
    kind, _, name = chain.partition("/")
    table, key, number = (
        ("entries", "customer", "number") if kind == "entries" else ("postings", "account_id", "position")
    )
    found = book.value(f"SELECT hash FROM {table} WHERE {key} = ? AND {number} = ?", (name, position))
    return None if found is None else str(found)


def broken_entries(book: Book) -> Iterator[str]:
    """Entries that do not sum to zero, or break their customer's chain."""
    rows = _streamed(
        book,
        f"SELECT {_ENTRY_FIELDS}, entries.previous_hash, entries.hash, account_id, amount_nano "
        "FROM entries LEFT JOIN postings ON postings.entry_id = entries.id "
        "ORDER BY entries.customer, entries.number, entries.id, account_id",
    )
    customer, previous, number = None, GENESIS, 0
    for fields, lines in groupby(rows, key=lambda row: row[:13]):
        amounts = [(str(line[13]), int(str(line[14]))) for line in lines if line[13] is not None]
        if fields[0] != customer:
            customer, previous, number = fields[0], GENESIS, 0
        number += 1
        where = f"Entry {fields[1]!s} of {customer!s} ({fields[2]!s})"
        if fields[1] != number:
            yield f"{where} stands where entry {number} should: one was dropped, or put in."
            number = int(str(fields[1]))
        if fields[11] != previous:
            yield f"{where} does not follow the one before it: one was edited, dropped or swapped."
        if link(str(fields[11]), *entry_says(fields[:11], amounts)) != fields[12]:
            yield f"{where} does not say what its hash says: it, or a posting of it, was edited or dropped."
        sums: dict[str, int] = {}
        for account, nano in amounts:
            currency = account.rpartition(":")[2]
            sums[currency] = sums.get(currency, 0) + nano
        for currency, nano in sums.items():
            if nano:
                yield f"{where} sums to {nano} nano units of {currency}: an entry sums to zero."
        previous = str(fields[12])


def broken_accounts(book: Book) -> Iterator[str]:
    """Postings that break their account's chain, or a balance that is not the sum before it."""
    rows = _streamed(
        book,
        "SELECT account_id, position, amount_nano, balance_nano, postings.previous_hash, postings.hash, "
        "entries.hash, entries.customer, accounts.kind, accounts.owner, accounts.currency, "
        "accounts.customer, CASE WHEN position = 1 THEN accounts.opened_at_us - entries.at_us ELSE 0 END "
        "FROM postings LEFT JOIN entries ON entries.id = entry_id "
        "LEFT JOIN accounts ON accounts.id = account_id ORDER BY account_id, position",
    )
    for account, lines in groupby(rows, key=lambda row: str(row[0])):
        previous, balance, position = GENESIS, 0, 0
        for row in lines:
            position += 1
            balance += int(str(row[2]))
            where = f"Posting {row[1]!s} of {account}"
            yield from (f"{where} {problem}" for problem in _line_problems(row, position, previous, balance))
            previous, balance, position = str(row[5]), int(str(row[3])), int(str(row[1]))
    for (account_id,) in book.rows(
        "SELECT id FROM accounts WHERE NOT EXISTS (SELECT 1 FROM postings WHERE account_id = accounts.id)"
    ):
        yield f"The account {account_id!s} is open and has no posting: they were dropped."


def _line_problems(row: Row, position: int, previous: str, balance: int) -> Iterator[str]:
    account, own_position, amount, own_balance, own_previous, own_hash, entry_hash, customer, *opened = row
    if own_position != position:
        yield f"stands where posting {position} should: one was dropped, or put in."
    if own_previous != previous:
        yield "does not follow the one before it: one was edited, dropped or swapped."
    if own_balance != balance:
        yield f"has the balance {own_balance!s}, where its sum is {balance}."
    if entry_hash is None:
        yield "is of an entry that is not there."
        return
    said = posting_says(
        str(account), int(str(own_position)), int(str(amount)), int(str(own_balance)), str(entry_hash)
    )
    if link(str(own_previous), *said) != own_hash:
        yield "does not say what its hash says: it was edited."
    try:
        known = Account.of(str(account))
        check_standing(known, int(str(own_balance)))
    except (FlatfareError, ValueError) as problem:
        yield f"cannot stand so: {problem}"
        return
    if opened != [known.kind, known.owner, known.currency, customer, 0]:
        yield "is of an account that was opened for somebody or something else."


def broken_sums(book: Book) -> Iterator[str]:
    """Currencies in which the ledger as a whole does not sum to zero."""
    for currency, nano in book.rows(
        "SELECT currency, SUM(amount_nano) FROM postings JOIN accounts ON accounts.id = account_id "
        "GROUP BY currency HAVING SUM(amount_nano) <> 0 ORDER BY currency"
    ):
        yield f"All accounts in {currency!s} together stand at {nano!s} nano units: they sum to zero."


def broken_sales(book: Book) -> Iterator[str]:
    """Sales, and settlements of tasks, that are not what their entries add up to."""
    marks = ", ".join("?" * len(SALE_VERBS))
    rows = _streamed(
        book,
        f"SELECT {_FIELDS} FROM entries WHERE task_id IS NOT NULL AND verb IN ({marks}) "
        "ORDER BY task_id, customer, number",
        tuple(map(str, SALE_VERBS)),
    )
    seen = 0
    for task, entries in groupby(rows, key=lambda row: str(row[5])):
        seen += 1
        yield from _sale_problems(book, task, list(entries))
    count = book.value("SELECT COUNT(*) FROM sales")
    if count != seen:
        yield f"There are {count!s} sales, and entries of {seen}: some were dropped or put in."


def _sale_problems(book: Book, task: str, rows: list[Row]) -> Iterator[str]:
    kept = book.rows("SELECT customer, settlement, content FROM sales WHERE task_id = ?", (task,))
    if not kept:
        yield f"The sale of task {task} is gone."
        return
    try:
        quote = sales.quote_for(book, task)
        sale = _folded(rows, quote)
    except _UNREADABLE as problem:
        yield f"The sale of task {task} cannot be told from its entries: {problem}"
        return
    if json.loads(str(rows[0][9])).get("terms") != quote.terms_hash:
        yield f"The quote {quote.id} of task {task} does not say what was held for: it was edited."
    if kept[0] != (sale.customer, str(sale.settlement), sale_content(sale)):
        yield f"The sale of task {task} does not stand as its entries say: it was edited."
    settlement = book.value("SELECT settlement FROM tasks WHERE id = ?", (task,))
    if settlement not in (None, str(sale.settlement)):
        yield f"Task {task} says its money is {settlement!s}, and its entries say {sale.settlement}."


def _folded(rows: list[Row], quote: Quote) -> Sale:
    sale: Sale | None = None
    for customer, _, one, verb, at_us, task, *_, asked, decided in rows:
        entry = Entry(
            str(one), str(verb), str(customer), int(str(at_us)), (), str(asked), str(decided), str(task)
        )
        sale = applied(sale, entry, quote)
    assert sale is not None
    return sale


def broken_grants(book: Book) -> Iterator[str]:
    """Lots that are not what the entries that made them say."""
    seen = 0
    for (decided,) in _streamed(
        book, "SELECT decided FROM entries WHERE decided LIKE '%\"grants\"%' ORDER BY customer, number"
    ):
        try:
            said = [sales.grant_from(one) for one in json.loads(str(decided)).get("grants", ())]
        except _UNREADABLE as problem:
            yield f"A grant cannot be told from its entry: {problem}"
            continue
        for grant in said:
            seen += 1
            if _kept_grant(book, grant.id) != grant:
                yield f"The grant {grant.id} of {grant.customer} is not what its entry says: it was edited."
    count = book.value("SELECT COUNT(*) FROM grants")
    if count != seen:
        yield f"There are {count!s} grants, and entries of {seen}: some were dropped or put in."


def _kept_grant(book: Book, grant_id: str) -> Grant | None:
    try:
        return sales.grant_of(book, grant_id)
    except _UNREADABLE:
        return None


def _streamed(book: Book, statement: str, parameters: tuple[Value, ...] = ()) -> Iterator[Row]:
    for batch in book.stream(statement, parameters):
        yield from batch
