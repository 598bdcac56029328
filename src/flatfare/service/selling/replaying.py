"""Replay: the ledger is written anew from its log alone, and must come out the same to the last byte."""

import json
from dataclasses import replace
from itertools import zip_longest

from flatfare.core.sale import SALE_VERBS, Sale, applied
from flatfare.store import ledger, sales
from flatfare.store.book import Book


def rebuilt(book: Book, fresh: Book) -> int:
    """Write every entry of one book's ledger into another that has none; returns how many.

    Customers, packs and quotes are what was agreed, and are copied; accounts, postings,
    balances, hashes, grants and sales all follow from the entries.
    """
    with fresh.writing():
        for customer in sales.all_customers(book):
            sales.insert_customer(fresh, customer)
        for pack in sales.packs(book):
            sales.insert_pack(fresh, pack)
        sales.copy_quotes(book, fresh)
    return sum(_replayed(book, fresh, customer) for customer in ledger.customers(book))


_TABLES = {
    "accounts": "id",
    "entries": "customer, number",
    "postings": "account_id, position",
    "grants": "id",
    "sales": "task_id",
}


def differences(book: Book, fresh: Book) -> list[str]:
    """Where two ledgers are not the same to the last byte: one sentence a table."""
    problems = []
    for table, order in _TABLES.items():
        ours = (row for batch in book.stream(f"SELECT * FROM {table} ORDER BY {order}") for row in batch)
        again = (row for batch in fresh.stream(f"SELECT * FROM {table} ORDER BY {order}") for row in batch)
        for one, other in zip_longest(ours, again):
            if one != other:
                problems.append(f"The {table} differ from what the log says: first at {one or other}.")
                break
    return problems


def _replayed(book: Book, fresh: Book, customer: str) -> int:
    standing: dict[str, Sale] = {}
    written = 0
    with fresh.writing():
        for entry in ledger.entries(book, "customer = ?", (customer,)):
            again = ledger.append(fresh, replace(entry, number=0))
            for lot in json.loads(entry.decided).get("grants", ()):
                sales.insert_grant(fresh, sales.grant_from(lot))
            if entry.verb in SALE_VERBS and entry.task_id is not None:
                quote = sales.quote_for(book, entry.task_id)
                sale = applied(standing.get(entry.task_id), again, quote)
                standing[entry.task_id] = sale
                sales.write_sale(fresh, sale)
            written += 1
    return written
