"""Programs that sell in processes of their own: killed, raced against each other, and asked the same again.

Each is run as ``python -c "from tests.promises import sellers; sellers.NAME()" ARGUMENT…``; a fault
to be applied first is imported by the program that starts it.
"""

import os
import sys
import uuid

from flatfare.core.action_price import parse_price
from flatfare.core.errors import Conflict, FlatfareError
from flatfare.service import selling
from flatfare.service.selling import Costs, NotEnoughCredit
from flatfare.store.book import Book, open_book
from tests.builders import OPENED_US, id_of
from tests.service.selling.shop import USD, customer, judge, open_task, top_up

CREDIT_NANO = 100 * USD
VERBS = ("quote", "hold", "settle", "void", "reverse", "issue")


def ends_as(number: int) -> str:
    """What a sale of this number comes to."""
    return ("settled", "voided", "reversed")[number % 3]


def prepare(book: Book) -> None:
    """A customer with credit and one on invoice, once."""
    for name, terms in (("acme", "prepaid"), ("bolt", "invoice")):
        try:
            customer(book, name, terms=terms)
        except Conflict:
            continue  # a former life of this program has made it
    top_up(book, "acme", CREDIT_NANO)


def sell(book: Book, number: int, told) -> None:
    """One sale from quote to its end, each verb asked in full whatever a former life has done of it."""
    buyer, name = ("acme", "bolt")[number % 2], f"sale {number}"
    task_id, quote_id = id_of(name), uuid.UUID(id_of(f"quote {name}"))
    if book.value("SELECT 1 FROM tasks WHERE id = ?", (task_id,)) is None:
        open_task(book, name)
    selling.quote(
        book,
        quote_id=quote_id,
        customer=buyer,
        action="review",
        action_version="1",
        price=parse_price("1.00"),
        at_us=OPENED_US,
    )
    told("quote", number)
    selling.hold(book, task_id=task_id, quote_id=quote_id, at_us=OPENED_US)
    told("hold", number)
    if ends_as(number) == "voided":
        selling.void(book, task_id=task_id, at_us=OPENED_US, reason="failed", costs=Costs(1000 + number))
        told("void", number)
        return
    if book.value("SELECT outcome FROM tasks WHERE id = ?", (task_id,)) == "open":
        judge(book, name)
    selling.settle(book, task_id=task_id, at_us=OPENED_US, costs=Costs(1000 + number))
    told("settle", number)
    if ends_as(number) == "reversed":
        selling.reverse(book, task_id=task_id, at_us=OPENED_US, reason="reopened")
        told("reverse", number)


def issue(book: Book, number: int, told) -> None:
    """An invoice of what bolt has used: a dollar of it, named by the sale before it."""
    postings = [("accrued", "bolt", USD, "USD"), ("receivable", "bolt", -USD, "USD")]
    selling.post(
        book,
        entry_id=uuid.UUID(id_of(f"invoice {number}")),
        verb="issue",
        customer="bolt",
        postings=postings,
        at_us=OPENED_US,
        by_whom="test",
        reference=f"invoice {number}",
    )
    told("issue", number)


def run() -> None:
    """ADDRESS TOLD COUNT: sell so many, and say after each verb that it is done."""
    address, file, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def told(verb: str, number: int) -> None:
        os.write(handle, f"{verb} {number}\n".encode())

    with open(file, "rb") as former:
        last = max((int(line.split()[1]) for line in former if line.endswith(b"\n")), default=0)
    with open_book(address) as book:
        prepare(book)
        for number in range(max(0, last - 2), count):  # the last of a former life are asked again
            sell(book, number, told)
            if number % 6 == 3:
                issue(book, number, told)


def spend() -> None:
    """ADDRESS NAME TIMES: hold and settle a dollar so many times; prints how often it was let."""
    address, name, times = sys.argv[1], sys.argv[2], int(sys.argv[3])
    done = 0
    with open_book(address) as book:
        for number in range(times):
            task_name = f"{name} {number}"
            task_id = open_task(book, task_name)
            quote_id = uuid.uuid4()
            selling.quote(
                book,
                quote_id=quote_id,
                customer="acme",
                action="review",
                action_version="1",
                price=parse_price("1.00"),
                at_us=OPENED_US,
            )
            try:
                selling.hold(book, task_id=task_id, quote_id=quote_id, at_us=OPENED_US)
            except NotEnoughCredit:
                continue
            judge(book, task_name)
            selling.settle(book, task_id=task_id, at_us=OPENED_US)
            done += 1
    print(done)


def same_keys() -> None:
    """ADDRESS KEYS PLACE: sell under the same keys as every other process, from another place on."""
    address, keys, place = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    conflicts = 0
    with open_book(address) as book:
        for number in ((one + place) % keys for one in range(keys)):
            name = f"key {number}"
            task_id, quote_id = id_of(name), uuid.UUID(id_of(f"quote {name}"))
            selling.quote(
                book,
                quote_id=quote_id,
                customer="acme",
                action="review",
                action_version="1",
                price=parse_price("0.25"),
                at_us=OPENED_US,
            )
            selling.hold(book, task_id=task_id, quote_id=quote_id, at_us=OPENED_US)
            selling.settle(book, task_id=task_id, at_us=OPENED_US)
            try:  # the same key, another body
                selling.settle(book, task_id=task_id, at_us=OPENED_US, attempts=7)
            except FlatfareError as problem:
                conflicts += problem.http_status == 409
    print(conflicts)
