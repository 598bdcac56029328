"""Customers, packs, grants, quotes and sales as the book keeps them.

Grants, quotes and packs never change. A sale's row is what its task's entries add up to,
written in the same transaction as the entry, and can be told anew from them.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from flatfare.core.action_price import ActionPrice, parse_price, price_document
from flatfare.core.customer import Customer, Terms
from flatfare.core.grant import Category, Grant
from flatfare.core.ledger import canonical
from flatfare.core.outcome import Outcome
from flatfare.core.sale import Quote, Sale, sale_content, sale_from
from flatfare.store.book import Book, Row, Value

_CUSTOMER = "name, currency, terms, credit_limit_nano, details, created_at_us, closed_at_us"
_PACK = (
    "name, price_nano, currency, credit_nano, units, actions, expires_us, priority, created_at_us, "
    "withdrawn_at_us"
)
_GRANT = (
    "id, customer, currency, amount_nano, unit_nano, category, priority, actions, pack, effective_at_us, "
    "expires_at_us"
)
_QUOTE = (
    "id, customer, action, action_version, price, size, attempts_max, amount_nano, most_nano, at_us, "
    "expires_at_us"
)
_LEFT = (
    "(SELECT balance_nano FROM postings WHERE account_id = 'grant:' || grants.id || ':' || grants.currency "
    "ORDER BY position DESC LIMIT 1)"
)
_TOGETHER = 500


@dataclass(frozen=True, slots=True)
class Pack:
    """What a customer may buy in advance: credit, or so many units of an action."""

    name: str
    price_nano: int
    currency: str
    credit_nano: int  # what it is worth, in money
    units: int | None
    actions: tuple[str, ...]
    expires_us: int | None  # so long after it was bought
    priority: int
    created_at_us: int
    withdrawn_at_us: int | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """A sale with what it is settled by: the task's outcome as it stands."""

    sale: Sale
    customer: Customer
    outcome: Outcome | None  # None: the task is not in the book
    has_evidence: bool  # a verdict that passed, with its evidence


# customers


def insert_customer(book: Book, customer: Customer) -> None:
    """Write a new customer; ``KeyTaken`` where one of the name stands."""
    book.execute(
        f"INSERT INTO customers ({_CUSTOMER}) VALUES ({', '.join('?' * 7)})",
        (
            customer.name,
            customer.currency,
            str(customer.terms),
            customer.credit_limit_nano,
            canonical(dict(customer.details)),
            customer.created_at_us,
            customer.closed_at_us,
        ),
    )


def update_customer(book: Book, customer: Customer) -> None:
    """Change what may change: terms, credit limit, details, and whether it is closed."""
    book.execute(
        "UPDATE customers SET terms = ?, credit_limit_nano = ?, details = ?, closed_at_us = ? WHERE name = ?",
        (
            str(customer.terms),
            customer.credit_limit_nano,
            canonical(dict(customer.details)),
            customer.closed_at_us,
            customer.name,
        ),
    )


def customer_named(book: Book, name: str) -> Customer | None:
    """The customer of that name."""
    rows = book.rows(f"SELECT {_CUSTOMER} FROM customers WHERE name = ?", (name,))
    return _customer(rows[0]) if rows else None


def all_customers(book: Book) -> list[Customer]:
    """Every customer, by name."""
    return [_customer(row) for row in book.rows(f"SELECT {_CUSTOMER} FROM customers ORDER BY name")]


def _customer(row: Row) -> Customer:
    name, currency, terms, limit, details, created, closed = row
    return Customer(
        str(name),
        str(currency),
        Terms(str(terms)),
        _number(limit),
        json.loads(str(details)),
        int(str(created)),
        _number(closed),
    )


# packs and grants


def insert_pack(book: Book, pack: Pack) -> None:
    """Write a new pack; ``KeyTaken`` where one of the name stands."""
    book.execute(
        f"INSERT INTO packs ({_PACK}) VALUES ({', '.join('?' * 10)})",
        (
            pack.name,
            pack.price_nano,
            pack.currency,
            pack.credit_nano,
            pack.units,
            json.dumps(pack.actions),
            pack.expires_us,
            pack.priority,
            pack.created_at_us,
            pack.withdrawn_at_us,
        ),
    )


def withdraw_pack(book: Book, name: str, at_us: int) -> None:
    """Sell it no more."""
    book.execute("UPDATE packs SET withdrawn_at_us = ? WHERE name = ?", (at_us, name))


def packs(book: Book) -> list[Pack]:
    """Every pack there ever was, the oldest first."""
    return [_pack(row) for row in book.rows(f"SELECT {_PACK} FROM packs ORDER BY created_at_us, name")]


def pack_named(book: Book, name: str) -> Pack | None:
    """The pack of that name."""
    rows = book.rows(f"SELECT {_PACK} FROM packs WHERE name = ?", (name,))
    return _pack(rows[0]) if rows else None


def _pack(row: Row) -> Pack:
    name, price, currency, credit, units, actions, expires, priority, created, withdrawn = row
    return Pack(
        str(name),
        int(str(price)),
        str(currency),
        int(str(credit)),
        _number(units),
        tuple(json.loads(str(actions))),
        _number(expires),
        int(str(priority)),
        int(str(created)),
        _number(withdrawn),
    )


def insert_grant(book: Book, grant: Grant) -> None:
    """Write a new lot, in the transaction of the entry that fills it."""
    book.execute(
        f"INSERT INTO grants ({_GRANT}) VALUES ({', '.join('?' * 11)})",
        (
            grant.id,
            grant.customer,
            grant.currency,
            grant.amount_nano,
            grant.unit_nano,
            str(grant.category),
            grant.priority,
            json.dumps(grant.actions),
            grant.pack,
            grant.effective_at_us,
            grant.expires_at_us,
        ),
    )


def grant_of(book: Book, grant_id: str) -> Grant | None:
    """The lot of that id."""
    rows = book.rows(f"SELECT {_GRANT} FROM grants WHERE id = ?", (grant_id,))
    return _grant(rows[0]) if rows else None


def grants_of(book: Book, customer: str) -> list[tuple[Grant, int]]:
    """The customer's lots with what is left of each, in the order of drawing."""
    rows = book.rows(f"SELECT {_GRANT}, {_LEFT} FROM grants WHERE customer = ?", (customer,))
    found = [(_grant(row[:11]), int(str(row[11] or 0))) for row in rows]
    return sorted(found, key=lambda pair: pair[0].order)


def expired_grants(book: Book, now_us: int) -> list[Grant]:
    """Lots that have expired and still hold something."""
    rows = book.rows(
        f"SELECT {_GRANT} FROM grants WHERE expires_at_us <= ? AND {_LEFT} > 0 ORDER BY expires_at_us, id",
        (now_us,),
    )
    return [_grant(row) for row in rows]


def grant_document(grant: Grant) -> dict[str, object]:
    """The lot as an entry keeps it."""
    return {
        "id": grant.id,
        "customer": grant.customer,
        "currency": grant.currency,
        "amount": grant.amount_nano,
        "unit": grant.unit_nano,
        "category": str(grant.category),
        "priority": grant.priority,
        "actions": list(grant.actions),
        "pack": grant.pack,
        "from": grant.effective_at_us,
        "until": grant.expires_at_us,
    }


def grant_from(given: Mapping[str, object]) -> Grant:
    """The lot that ``grant_document`` wrote."""
    actions = given["actions"]
    assert isinstance(actions, list)
    return Grant(
        str(given["id"]),
        str(given["customer"]),
        str(given["currency"]),
        int(str(given["amount"])),
        Category(str(given["category"])),
        int(str(given["from"])),
        _number(given["until"]),
        int(str(given["priority"])),
        tuple(str(action) for action in actions),
        _number(given["unit"]),
        _text(given["pack"]),
    )


def _grant(row: Row) -> Grant:
    one, customer, currency, amount, unit, category, priority, actions, pack, effective, expires = row
    return Grant(
        str(one),
        str(customer),
        str(currency),
        int(str(amount)),
        Category(str(category)),
        int(str(effective)),
        _number(expires),
        int(str(priority)),
        tuple(json.loads(str(actions))),
        _number(unit),
        _text(pack),
    )


# quotes and sales


def insert_quote(book: Book, quote: Quote) -> None:
    """Write a quote; ``KeyTaken`` where one of the id stands."""
    book.execute(
        f"INSERT INTO quotes ({_QUOTE}) VALUES ({', '.join('?' * 11)})",
        (
            quote.id,
            quote.customer,
            quote.action,
            quote.action_version,
            canonical(price_document(quote.price)),
            quote.size,
            quote.attempts_max,
            quote.amount_nano,
            quote.most_nano,
            quote.at_us,
            quote.expires_at_us,
        ),
    )


def quote_of(book: Book, quote_id: str) -> Quote | None:
    """The quote of that id."""
    rows = book.rows(f"SELECT {_QUOTE} FROM quotes WHERE id = ?", (quote_id,))
    return _quote(rows[0]) if rows else None


def quote_for(book: Book, task_id: str) -> Quote:
    """The quote that a task is held under."""
    rows = book.rows(f"SELECT {_QUOTE_COLUMNS} {_FROM} WHERE sales.task_id = ?", (task_id,))
    return _quote(rows[0])


def copy_quotes(book: Book, fresh: Book) -> None:
    """Write all quotes of one book into another."""
    for batch in book.stream(f"SELECT {_QUOTE} FROM quotes ORDER BY id"):
        for row in batch:
            insert_quote(fresh, _quote(row))


def _quote(row: Row) -> Quote:
    one, customer, action, version, price, size, attempts, amount, most, at_us, expires = row
    return Quote(
        str(one),
        str(customer),
        str(action),
        str(version),
        _price(str(price)),
        _number(size),
        int(str(attempts)),
        int(str(amount)),
        int(str(most)),
        int(str(at_us)),
        int(str(expires)),
    )


@lru_cache(maxsize=1000)
def _price(text: str) -> ActionPrice:
    """The price that a quote keeps; most quotes keep one of few."""
    return parse_price(json.loads(text))


def write_sale(book: Book, sale: Sale) -> None:
    """Write the sale over what stood of it."""
    book.execute(
        "INSERT INTO sales (task_id, customer, quote_id, settlement, content) VALUES (?, ?, ?, ?, ?) "
        "ON CONFLICT (task_id) DO UPDATE SET settlement = excluded.settlement, content = excluded.content",
        (sale.task_id, sale.customer, sale.quote_id, str(sale.settlement), sale_content(sale)),
    )


def insert_sale(book: Book, sale: Sale) -> None:
    """Write a new sale; ``KeyTaken`` where its task or its quote has one."""
    book.execute(
        "INSERT INTO sales (task_id, customer, quote_id, settlement, content) VALUES (?, ?, ?, ?, ?)",
        (sale.task_id, sale.customer, sale.quote_id, str(sale.settlement), sale_content(sale)),
    )


_QUOTE_COLUMNS = ", ".join(f"quotes.{name.strip()}" for name in _QUOTE.split(","))
_CUSTOMER_COLUMNS = ", ".join(f"customers.{name.strip()}" for name in _CUSTOMER.split(","))
_SALE = f"SELECT sales.task_id, sales.settlement, sales.content, {_QUOTE_COLUMNS}"
_FROM = "FROM sales JOIN quotes ON quotes.id = sales.quote_id"


def sale_of(book: Book, task_id: str) -> Sale | None:
    """The sale of a task."""
    rows = book.rows(f"{_SALE} {_FROM} WHERE sales.task_id = ?", (task_id,))
    return _sale(rows[0]) if rows else None


def sales(book: Book, where: str, parameters: tuple[Value, ...]) -> list[Sale]:
    """The sales that a condition picks, by their tasks' ids."""
    rows = book.rows(f"{_SALE} {_FROM} WHERE {where} ORDER BY sales.task_id", parameters)
    return [_sale(row) for row in rows]


def standing_of(book: Book, task_id: str) -> Standing | None:
    """The sale of a task, with who buys and the outcome it is settled by, as they are at this moment.

    A task that was sold is never sealed: its row and its verdicts are in the book.
    """
    rows = book.rows(
        f"{_SALE}, {_CUSTOMER_COLUMNS}, tasks.outcome, EXISTS (SELECT 1 FROM verdicts "
        "WHERE verdicts.task_id = sales.task_id AND judgement = 'pass' AND evidence_hash <> '') "
        f"{_FROM} JOIN customers ON customers.name = sales.customer "
        "LEFT JOIN tasks ON tasks.id = sales.task_id WHERE sales.task_id = ?",
        (task_id,),
    )
    if not rows:
        return None
    row = rows[0]
    outcome = row[21]
    return Standing(
        _sale(row[:14]),
        _customer(row[14:21]),
        None if outcome is None else Outcome(str(outcome)),
        bool(row[22]),
    )


def sold_as(book: Book, task_ids: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Action and version of each of these tasks that was sold."""
    found: dict[str, tuple[str, str]] = {}
    for part in _parts(task_ids):
        rows = book.rows(
            "SELECT task_id, action, action_version FROM sales JOIN quotes ON quotes.id = sales.quote_id "
            f"WHERE task_id IN ({', '.join('?' * len(part))})",
            part,
        )
        found |= {str(task): (str(action), str(version)) for task, action, version in rows}
    return found


def runs_of(book: Book, task_ids: Sequence[str]) -> dict[str, tuple[str, str | None]]:
    """The run that did each of these tasks, where one did, and what the request called it."""
    found: dict[str, tuple[str, str | None]] = {}
    for part in _parts(task_ids):
        rows = book.rows(
            f"SELECT task_id, id, request_key FROM runs WHERE task_id IN ({', '.join('?' * len(part))}) "
            "ORDER BY started_at_us, id",
            part,
        )
        found |= {str(task): (str(run), _text(key)) for task, run, key in rows}
    return found


def _parts(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(ids), _TOGETHER):
        yield ids[start : start + _TOGETHER]


def customer_of(book: Book, task_id: str) -> str | None:
    """Who buys the work of a task: that never changes."""
    return _text(book.value("SELECT customer FROM sales WHERE task_id = ?", (task_id,)))


def signals_of(book: Book, task_id: str) -> dict[str, str | None]:
    """The latest value of each signal about a task."""
    rows = book.rows("SELECT name, value FROM signals WHERE task_id = ? ORDER BY at_us, id", (task_id,))
    return {str(name): _text(value) for name, value in rows}


def turned(book: Book, limit: int) -> list[tuple[str, str]]:
    """Tasks whose outcome was reversed and whose sale is settled still, with what reversed them.

    Those in dispute are left to whoever decides it. What was sold is never sealed.
    """
    rows = book.rows(
        "SELECT id, outcome_cause FROM tasks WHERE outcome = 'reversed' AND settlement = 'settled' "
        "AND is_disputed = 0 AND EXISTS (SELECT 1 FROM sales WHERE task_id = tasks.id "
        f"AND settlement = 'settled') ORDER BY id LIMIT {int(limit)}"
    )
    return [(str(task), str(cause or "later evidence")) for task, cause in rows]


def signalled(book: Book, since_us: int) -> list[Sale]:
    """Settled sales under a price with conditions, of which there are signals since a moment."""
    where = (
        "sales.settlement = 'settled' AND quotes.price LIKE '%\"when\"%' "
        "AND sales.task_id IN (SELECT task_id FROM signals WHERE at_us >= ?)"
    )
    return sales(book, where, (since_us,))


def _sale(row: Row) -> Sale:
    return sale_from(str(row[0]), str(row[1]), str(row[2]), _quote(row[3:14]))


def _number(value: object) -> int | None:
    return None if value is None else int(str(value))


def _text(value: object) -> str | None:
    return None if value is None else str(value)
