"""A shop for tests: a book with customers, tasks of a given outcome, and sales under round prices."""

import uuid
from pathlib import Path

from flatfare.core.action_price import parse_price
from flatfare.service import selling
from flatfare.service.selling import Sale
from flatfare.store import tasks
from flatfare.store.book import Book, open_book
from tests.builders import OPENED_US, id_of, task, write_tasks

USD = 1_000_000_000
SECOND_US = 1_000_000
DAY_US = 86_400 * SECOND_US
EVIDENCE = "e" * 64


def shop_in(folder: Path, *names: str, currency: str = "USD", terms: str = "prepaid") -> Book:
    """A book with these customers; it does not wait for the disk, since no test pulls the plug."""
    book = open_book(str(folder / "flatfare.db"))
    book.execute("PRAGMA synchronous = OFF")
    for name in names:
        customer(book, name, currency=currency, terms=terms)
    return book


def customer(book: Book, name: str, **terms: object) -> None:
    """Enter a customer."""
    selling.customers.create(book, name=name, at_us=OPENED_US, by_whom="test", **terms)


def top_up(book: Book, name: str, nano: int, mark: str = "", currency: str = "USD") -> None:
    """Pay money in; another mark is another payment."""
    selling.top_up_wallet(
        book,
        entry_id=uuid.UUID(id_of(f"top up {name} {mark}")),
        customer=name,
        amount_nano=nano,
        currency=currency,
        at_us=OPENED_US,
        by_whom="test",
    )


def open_task(book: Book, name: str) -> str:
    """A task that is recorded and open; returns its id."""
    write_tasks(book, [task(name, "open", matures_at_us=None)])
    return id_of(name)


def judge(book: Book, name: str, outcome: str = "verified", *, evidence: bool = True) -> None:
    """Let a task come to an outcome; a verified one has a verdict with its evidence."""
    with book.writing():
        book.execute("UPDATE tasks SET outcome = ? WHERE id = ?", (outcome, id_of(name)))
        if outcome == "verified" and evidence:
            tasks.insert_verdicts(book, [_verdict(book, name)])


def _verdict(book: Book, name: str) -> dict:
    found = tasks.verdicts_of(book, [id_of(name)]).get(id_of(name), [])
    verdict = {
        "id": id_of(f"verdict {name} {len(found)}"),
        "task_id": id_of(name),
        "verifier": "tests",
        "verifier_version": "1",
        "kind": "code",
        "judgement": "pass",
        "evidence_hash": EVIDENCE,
        "at_us": OPENED_US,
        "source": "test",
    }
    return tasks.chained(verdict, found[-1] if found else None)


def signal(book: Book, name: str, what: str, value: str | None, at_us: int = OPENED_US) -> None:
    """Let the world say something of a task."""
    row = (id_of(f"signal {name} {what} {at_us}"), id_of(name), at_us, what, value, "test")
    tasks.insert_signals(book, [row])


def quoted(book: Book, buyer: str, name: str, price: object = "5.00", **terms: object) -> uuid.UUID:
    """A quote for the task of that name; returns its id."""
    quote_id = uuid.UUID(id_of(f"quote {name}"))
    selling.quote(
        book,
        quote_id=quote_id,
        customer=buyer,
        action=str(terms.pop("action", "contract-review")),
        action_version="1",
        price=parse_price(price),
        **{"at_us": OPENED_US, **terms},  # type: ignore[arg-type]
    )
    return quote_id


def held(book: Book, buyer: str, name: str, price: object = "5.00", **terms: object) -> Sale:
    """An open task that is quoted and held."""
    task_id = open_task(book, name)
    quote_id = quoted(book, buyer, name, price, **terms)
    at_us = int(str(terms.get("at_us", OPENED_US)))
    return selling.hold(book, task_id=task_id, quote_id=quote_id, at_us=at_us)


def settled(book: Book, buyer: str, name: str, price: object = "5.00", **terms: object) -> Sale:
    """A task that was held, verified and settled."""
    held(book, buyer, name, price, **terms)
    judge(book, name)
    at_us = int(str(terms.get("at_us", OPENED_US)))
    return selling.settle(book, task_id=id_of(name), at_us=at_us + SECOND_US)


def standing(book: Book, buyer: str) -> dict[str, int]:
    """What stands in the customer's accounts, by account, nano units; lots and tasks by kind alone."""
    found: dict[str, int] = {}
    for account, nano in selling.balance(book, buyer, at_us=OPENED_US).accounts.items():
        name = f"{account.kind}" if account.currency == "USD" else f"{account.kind} {account.currency}"
        found[name] = found.get(name, 0) + nano
    return {name: nano for name, nano in found.items() if nano}
