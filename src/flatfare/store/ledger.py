"""The ledger as the book keeps it: entries in a chain per customer, postings in a chain per account.

Each posting carries the balance after it, and a hash over itself, its entry's hash and
the posting before it. Nothing here is ever updated or deleted; whoever appends holds the
customer's lock, so that positions have no gaps.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from flatfare.core.chain import GENESIS, link
from flatfare.core.ledger import Account, Entry, Kind, Posting, check_standing, posting_says
from flatfare.store.book import Book, Row, Value

_ENTRY = (
    "id, customer, number, verb, task_id, reverses, at_us, reason, by_whom, asked, decided, "
    "previous_hash, hash"
)
_LAST_ENTRY = (
    "SELECT '' AS id, number, hash, 0 FROM (SELECT number, hash FROM entries WHERE customer = ? "
    "ORDER BY number DESC LIMIT 1) AS last"
)
_LAST_POSTING = (
    " UNION ALL SELECT account_id, position, hash, balance_nano FROM (SELECT account_id, position, hash, "
    "balance_nano FROM postings WHERE account_id = ? ORDER BY position DESC LIMIT 1) AS a{}"
)
_TOGETHER = 500


@dataclass(frozen=True, slots=True)
class Head:
    """The last record of a chain: its number, its hash, and what stands there."""

    position: int = 0
    hash: str = GENESIS
    balance_nano: int = 0


@dataclass(frozen=True, slots=True)
class Posted:
    """One line of an account: its place, the entry that made it, and the balance after it."""

    position: int
    entry_id: str
    amount_nano: int
    balance_nano: int


def append(book: Book, entry: Entry) -> Entry:
    """Write an entry behind the customer's last, in the transaction that is open and holds the customer.

    Raises ``NotEnoughCredit`` where an account would hold what it cannot, and ``KeyTaken``
    where an entry of that id, or one that reverses the same, stands already.
    """
    accounts = sorted((posting.account for posting in entry.postings), key=lambda account: account.id)
    last, heads = _heads(book, entry.customer, accounts)
    entry = replace(entry, number=last.position + 1)
    own_hash = link(last.hash, *entry.says)
    amounts = {posting.account: posting.amount_nano for posting in entry.postings}
    rows: list[Sequence[Value]] = []
    for account in accounts:
        head = heads.get(account.id, Head())
        position, balance_nano = head.position + 1, head.balance_nano + amounts[account]
        check_standing(account, balance_nano)
        said = posting_says(account.id, position, amounts[account], balance_nano, own_hash)
        rows.append(
            (
                account.id,
                position,
                entry.id,
                amounts[account],
                balance_nano,
                head.hash,
                link(head.hash, *said),
            )
        )
    _insert(book, entry, last.hash, own_hash)
    _open(book, entry, [account for account in accounts if account.id not in heads])
    book.execute_many(
        "INSERT INTO postings (account_id, position, entry_id, amount_nano, balance_nano, previous_hash, "
        "hash) VALUES (?, ?, ?, ?, ?, ?, ?)",
        rows,
    )
    return entry


def _heads(book: Book, customer: str, accounts: Sequence[Account]) -> tuple[Head, dict[str, Head]]:
    """The last entry of the customer and the last posting of each account, by one statement."""
    asked = _LAST_ENTRY + "".join(_LAST_POSTING.format(number) for number in range(len(accounts)))
    found = book.rows(asked, (customer, *(account.id for account in accounts)))
    heads = {str(one): Head(int(str(number)), str(own), int(str(nano))) for one, number, own, nano in found}
    return heads.pop("", Head()), heads


def _insert(book: Book, entry: Entry, previous_hash: str, own_hash: str) -> None:
    book.execute(
        f"INSERT INTO entries ({_ENTRY}) VALUES ({', '.join('?' * 13)})",
        (
            entry.id,
            entry.customer,
            entry.number,
            entry.verb,
            entry.task_id,
            entry.reverses,
            entry.at_us,
            entry.reason,
            entry.by_whom,
            entry.asked,
            entry.decided,
            previous_hash,
            own_hash,
        ),
    )


def _open(book: Book, entry: Entry, accounts: Sequence[Account]) -> None:
    if accounts:
        book.execute_many(
            "INSERT INTO accounts (id, kind, owner, customer, currency, opened_at_us) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            ((a.id, str(a.kind), a.owner, entry.customer, a.currency, entry.at_us) for a in accounts),
        )


# reading


def entry_of(book: Book, entry_id: str) -> Entry | None:
    """The entry of that id."""
    found = book.rows(f"SELECT {_ENTRY} FROM entries WHERE id = ?", (entry_id,))
    return next(_with_postings(book, found), None)


def entries(book: Book, where: str, parameters: Sequence[Value], limit: int | None = None) -> list[Entry]:
    """Entries that a condition on their columns picks, in the order in which they were written."""
    most = "" if limit is None else f" LIMIT {int(limit)}"
    rows = book.rows(
        f"SELECT {_ENTRY} FROM entries WHERE {where} ORDER BY customer, number{most}", parameters
    )
    return list(_with_postings(book, rows))


def postings_of(
    book: Book, account_id: str, after_position: int = 0, until_position: int | None = None
) -> list[Posted]:
    """The lines of an account, the oldest first."""
    until = "" if until_position is None else " AND position <= ?"
    rows = book.rows(
        "SELECT position, entry_id, amount_nano, balance_nano FROM postings "
        f"WHERE account_id = ? AND position > ?{until} ORDER BY position",
        (account_id, after_position, *(() if until_position is None else (until_position,))),
    )
    return [
        Posted(int(str(position)), str(entry), int(str(amount)), int(str(balance)))
        for position, entry, amount, balance in rows
    ]


def head_of(book: Book, account: Account) -> Head:
    """The last posting of an account; an empty one where it was never opened."""
    rows = book.rows(
        "SELECT position, hash, balance_nano FROM postings WHERE account_id = ? "
        "ORDER BY position DESC LIMIT 1",
        (account.id,),
    )
    return Head(int(str(rows[0][0])), str(rows[0][1]), int(str(rows[0][2]))) if rows else Head()


def balance_nano(book: Book, account: Account) -> int:
    """What stands in an account; nothing where it was never opened."""
    return head_of(book, account).balance_nano


def balances(book: Book, customer: str) -> dict[Account, int]:
    """What stands in each account of a customer's books, empty ones left out."""
    rows = book.rows(
        "SELECT id, (SELECT balance_nano FROM postings WHERE account_id = accounts.id "
        "ORDER BY position DESC LIMIT 1) FROM accounts WHERE customer = ? ORDER BY id",
        (customer,),
    )
    return {Account.of(str(one)): int(str(nano)) for one, nano in rows if nano}


def balances_before(book: Book, customer: str, at_us: int) -> dict[Account, int]:
    """What the customer's entries of before a moment come to in each account, empty ones left out."""
    rows = book.rows(
        "SELECT account_id, SUM(amount_nano) FROM postings JOIN entries ON entries.id = entry_id "
        "WHERE customer = ? AND at_us < ? GROUP BY account_id ORDER BY account_id",
        (customer, at_us),
    )
    return {Account.of(str(one)): int(str(nano)) for one, nano in rows if nano}


def moment_of_latest(book: Book, customer: str, count: int) -> int | None:
    """The earliest moment of so many of the customer's newest entries; None where there are fewer."""
    rows = book.rows(
        "SELECT MIN(at_us), COUNT(*) FROM (SELECT at_us FROM entries WHERE customer = ? "
        "ORDER BY number DESC LIMIT ?) AS newest",
        (customer, count),
    )
    moment, found = rows[0]
    return None if moment is None or int(str(found)) < count else int(str(moment))


def totals(book: Book) -> dict[tuple[Kind, str], int]:
    """What stands in all accounts of a kind and currency together."""
    rows = book.rows(
        "SELECT kind, currency, SUM(amount_nano) FROM postings JOIN accounts ON accounts.id = account_id "
        "GROUP BY kind, currency ORDER BY kind, currency"
    )
    return {(Kind(str(kind)), str(currency)): int(str(nano)) for kind, currency, nano in rows}


def customers(book: Book) -> list[str]:
    """Every customer that has an entry."""
    return [str(name) for (name,) in book.rows("SELECT DISTINCT customer FROM entries ORDER BY 1")]


def _with_postings(book: Book, rows: Iterable[Row]) -> Iterator[Entry]:
    rows = list(rows)
    for start in range(0, len(rows), _TOGETHER):
        part = rows[start : start + _TOGETHER]
        marks = ", ".join("?" * len(part))
        found: dict[str, list[Posting]] = {}
        for entry, account, nano in book.rows(
            f"SELECT entry_id, account_id, amount_nano FROM postings WHERE entry_id IN ({marks}) "
            "ORDER BY account_id",
            [row[0] for row in part],
        ):
            found.setdefault(str(entry), []).append(Posting(Account.of(str(account)), int(str(nano))))
        for row in part:
            yield _entry(row, tuple(found.get(str(row[0]), ())))


def _entry(row: Row, postings: tuple[Posting, ...]) -> Entry:
    one, customer, number, verb, task, reverses, at_us, reason, by_whom, asked, decided, *_ = row
    return Entry(
        str(one),
        str(verb),
        str(customer),
        int(str(at_us)),
        postings,
        str(asked),
        str(decided),
        _text(task),
        _text(reverses),
        _text(reason),
        _text(by_whom),
        int(str(number)),
    )


def _text(value: Value) -> str | None:
    return None if value is None else str(value)
