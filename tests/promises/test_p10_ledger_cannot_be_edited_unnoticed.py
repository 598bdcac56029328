"""P10: whatever is changed in the ledger shows: a byte, a row, a cut tail, a chain hashed anew."""

import random
import uuid
from pathlib import Path

import pytest

from flatfare.core.chain import link
from flatfare.core.ledger import entry_says, posting_says
from flatfare.service import selling
from flatfare.service.selling import verifying
from flatfare.store import ledger_check
from flatfare.store.book import Book
from flatfare.store.home import KeyTaken
from tests.builders import OPENED_US, id_of
from tests.service.selling.shop import USD, held, settled, shop_in, top_up

SALES = 24
TRIALS = 150
TABLES = {
    "entries": "id",
    "postings": "account_id, position",
    "accounts": "id",
    "sales": "task_id",
    "grants": "id",
    "quotes": "id",
}


def ledger_of_sales(folder: Path) -> Book:
    """A ledger with sales of every end, packs, credit and money."""
    book = shop_in(folder, "acme", "bolt")
    for name in ("acme", "bolt"):
        top_up(book, name, 500 * USD)
        selling.grant_credit(
            book,
            grant_id=uuid.UUID(id_of(f"credit {name}")),
            customer=name,
            amount_nano=3 * USD,
            at_us=OPENED_US,
            by_whom="test",
        )
    for number in range(SALES):
        buyer, name = ("acme", "bolt")[number % 2], f"sale {number}"
        if number % 3 == 0:
            held(book, buyer, name)
            selling.void(book, task_id=id_of(name), at_us=OPENED_US, reason="x", costs=selling.Costs(5))
            continue
        settled(book, buyer, name)
        if number % 3 == 1:
            selling.reverse(book, task_id=id_of(name), at_us=OPENED_US, reason="x")
    assert verifying.verify(book) == []
    return book


def columns_of(book: Book, table: str) -> list[str]:
    return [str(row[1]) for row in book.rows(f"PRAGMA table_info({table})")]


def changed(value: object, dice: random.Random) -> object:
    """The value with one sign or one unit changed."""
    if value is None:
        return "x"
    if isinstance(value, int):
        return value + dice.choice([-1, 1, 10**9])
    text = str(value)
    place = dice.randrange(len(text)) if text else 0
    sign = chr((ord(text[place]) - 31) % 95 + 32) if text else "x"
    return text[:place] + sign + text[place + 1 :]


def tamper(book: Book, dice: random.Random) -> str:
    """Change one thing in the ledger, whatever it is; says what."""
    table = dice.choice(list(TABLES))
    keys = TABLES[table].split(", ")
    where = " AND ".join(f"{key} = ?" for key in keys)
    rows = book.rows(f"SELECT {TABLES[table]} FROM {table}")
    row = dice.choice(rows)
    kind = dice.random()
    if kind < 0.15:
        book.execute(f"DELETE FROM {table} WHERE {where}", row)
        return f"deleted {table} {row}"
    columns = columns_of(book, table)
    if kind < 0.3 and len(rows) > 1:
        column = dice.choice([one for one in columns if one not in keys])
        other = dice.choice([one for one in rows if one != row])
        values = [book.value(f"SELECT {column} FROM {table} WHERE {where}", one) for one in (row, other)]
        if values[0] != values[1]:
            blank = None if column == "reverses" else values[0]
            for one, value in ((other, blank), (row, values[1]), (other, values[0])):
                try:
                    book.execute(f"UPDATE {table} SET {column} = ? WHERE {where}", (value, *one))
                except KeyTaken:
                    return tamper(book, dice)
            return f"swapped {table}.{column} of {row} and {other}"
    column = dice.choice(columns)
    value = book.value(f"SELECT {column} FROM {table} WHERE {where}", row)
    if value is None and column in NUMBERS:
        return tamper(book, dice)
    try:
        book.execute(f"UPDATE {table} SET {column} = ? WHERE {where}", (changed(value, dice), *row))
    except KeyTaken:
        return tamper(book, dice)
    return f"edited {table}.{column} of {row}"


NUMBERS = {"size", "unit_nano", "expires_at_us"}


def check_tampering(folder: Path, trials: int) -> None:
    book = ledger_of_sales(folder)
    dice = random.Random(20261121)
    unnoticed = []
    for _ in range(trials):
        book.execute("BEGIN")
        said = tamper(book, dice)
        problems = [*verifying._problems(book, {})]
        book.execute("ROLLBACK")
        if not problems:
            unnoticed.append(said)
    assert unnoticed == [], "\n".join(unnoticed)
    assert verifying.verify(book) == []


def test_every_change_of_the_ledger_shows(tmp_path: Path) -> None:
    check_tampering(tmp_path, TRIALS)


@pytest.mark.soak
def test_a_thousand_changes_of_the_ledger_show(tmp_path: Path) -> None:
    check_tampering(tmp_path, 1000)


def test_a_cut_tail_and_a_chain_hashed_anew_show_against_heads_kept_elsewhere(tmp_path: Path) -> None:
    book = ledger_of_sales(tmp_path)
    kept = verifying.heads(book)
    assert verifying.verify(book, kept) == []
    settled(book, "acme", "a later sale")
    assert verifying.verify(book, kept) == []  # what is appended changes nothing that stood
    book.execute("BEGIN")
    last = str(book.value("SELECT id FROM entries WHERE verb = 'reverse' ORDER BY number DESC LIMIT 1"))
    _cut_after(book, last)
    rehash(book)
    assert [one for one in verifying._problems(book, {}) if "chain" in one or "hash" in one] == []
    assert any("tail was cut, or it was hashed anew" in one for one in verifying._problems(book, kept))
    book.execute("ROLLBACK")
    book.execute("BEGIN")
    book.execute("UPDATE entries SET reason = 'another' WHERE verb = 'void'")
    rehash(book)
    assert list(ledger_check.broken_entries(book)) == []
    assert any("hashed anew" in one for one in verifying._problems(book, kept))
    book.execute("ROLLBACK")


def _cut_after(book: Book, entry_id: str) -> None:
    """Remove an entry and all of its customer's that follow it, with their postings."""
    customer, number = book.rows("SELECT customer, number FROM entries WHERE id = ?", (entry_id,))[0]
    gone = "SELECT id FROM entries WHERE customer = ? AND number >= ?"
    book.execute(f"DELETE FROM postings WHERE entry_id IN ({gone})", (customer, number))
    book.execute("DELETE FROM entries WHERE customer = ? AND number >= ?", (customer, number))


def rehash(book: Book) -> None:
    """Hash every chain anew, as somebody would who hides a change."""
    genesis = "0" * 64
    fields = ledger_check._FIELDS
    previous: dict[str, str] = {}
    for row in book.rows(f"SELECT {fields} FROM entries ORDER BY customer, number"):
        amounts = [
            (str(account), int(str(nano)))
            for account, nano in book.rows(
                "SELECT account_id, amount_nano FROM postings WHERE entry_id = ?", (row[2],)
            )
        ]
        before = previous.get(str(row[0]), genesis)
        own = link(before, *entry_says(row, amounts))
        book.execute("UPDATE entries SET previous_hash = ?, hash = ? WHERE id = ?", (before, own, row[2]))
        previous[str(row[0])] = own
    heads: dict[str, tuple[str, int]] = {}
    for account, position, amount, entry_hash in book.rows(
        "SELECT account_id, position, amount_nano, entries.hash FROM postings "
        "JOIN entries ON entries.id = entry_id ORDER BY account_id, position"
    ):
        before, balance = heads.get(str(account), (genesis, 0))
        balance += int(str(amount))
        said = posting_says(str(account), int(str(position)), int(str(amount)), balance, str(entry_hash))
        own = link(before, *said)
        book.execute(
            "UPDATE postings SET previous_hash = ?, hash = ?, balance_nano = ? "
            "WHERE account_id = ? AND position = ?",
            (before, own, balance, account, position),
        )
        heads[str(account)] = (own, balance)
