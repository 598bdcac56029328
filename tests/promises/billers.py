"""A program that settles, issues, pays, credits and voids, each step asked for again after it was killed."""

import contextlib
import sys
import uuid
from pathlib import Path

from flatfare.core.errors import Conflict, FlatfareError
from flatfare.service import selling
from flatfare.service.invoicing import issuing
from flatfare.service.invoicing.issuing import Books
from flatfare.service.invoicing.periods import month, month_of
from flatfare.store import invoices
from flatfare.store.book import Book, open_book
from flatfare.store.lake import Lake
from tests.builders import OPENED_US, id_of
from tests.service.selling.shop import USD, customer, judge, open_task, quoted

ME = {"by_whom": "test"}


def run() -> None:
    """FOLDER MONTHS SALES: bill so many months of so many sales each."""
    folder, months, sales = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    with open_book(str(folder / "flatfare.db")) as book:
        with contextlib.suppress(Conflict):  # a former life has made it
            customer(book, "bolt", terms="invoice")
        books = Books(book, Lake(folder / "lake"), "UTC")
        name = month_of(OPENED_US, "UTC")
        for number in range(months):
            bill(books, name, number, sales)
            name = month_of(month(name, "UTC").until_us, "UTC")


def bill(books: Books, name: str, number: int, sales: int) -> None:
    """One month: its sales, a reversal, its document, and what becomes of it."""
    book, within = books.book, month(name, "UTC").from_us + 5
    ends_us = month(name, "UTC").until_us
    for sale in range(sales):
        sell(book, f"{name} {sale}", within)
    if number:  # the month before gives one back
        before = month_of(month(name, "UTC").from_us - 1, "UTC")
        selling.reverse(book, task_id=id_of(f"{before} 0"), at_us=within, reason="reopened")
    wanted = uuid.UUID(id_of(f"void {name}"))
    if number == 1 and not _voided(book, name):
        first = issuing.issue(books, "bolt", name, at_us=ends_us, **ME)
        assert first is not None
        issuing.void(book, first.number, at_us=ends_us, reason=str(wanted), **ME)
    kept = issuing.issue(books, "bolt", name, at_us=ends_us, **ME)
    assert kept is not None
    if number % 2 == 0:
        issuing.pay(
            book,
            kept.number,
            payment_id=uuid.UUID(id_of(f"pay {name}")),
            amount_nano=2 * USD,
            at_us=ends_us,
            **ME,
        )
    try:
        issuing.credit(
            book,
            kept.number,
            credit_id=uuid.UUID(id_of(f"credit {name}")),
            amount_nano=USD,
            at_us=ends_us,
            reason="late",
            **ME,
        )
    except FlatfareError as problem:
        raise AssertionError(str(problem)) from problem


def sell(book: Book, name: str, at_us: int) -> None:
    """One sale from quote to settlement, each verb asked in full whatever a former life has done of it."""
    task_id = id_of(name)
    if book.value("SELECT 1 FROM tasks WHERE id = ?", (task_id,)) is None:
        open_task(book, name)
    quote_id = quoted(book, "bolt", name, "1.00")
    selling.hold(book, task_id=task_id, quote_id=quote_id, at_us=OPENED_US)
    if book.value("SELECT outcome FROM tasks WHERE id = ?", (task_id,)) == "open":
        judge(book, name)
    selling.settle(book, task_id=task_id, at_us=at_us)


def _voided(book: Book, name: str) -> bool:
    return any(kept.period == name and kept.status == "void" for kept in invoices.listed(book))
