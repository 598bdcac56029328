"""Months, plans and ids that meet in unusual ways bill what was used, once."""

import uuid
from collections.abc import Iterator
from decimal import Decimal

import pytest

from flatfare.core.errors import Conflict
from flatfare.core.plan import plan_of
from flatfare.service import selling
from flatfare.service.invoicing import plans
from flatfare.service.invoicing.chargeback import statements
from flatfare.service.invoicing.issuing import Books, credit, draft, issue, pay, rebuilt
from flatfare.service.invoicing.periods import month
from flatfare.store.book import open_book
from flatfare.store.lake import Lake
from tests.builders import OPENED_US, id_of
from tests.service.invoicing.test_invoices import ME, _call, _next_month, after, issued, sell, the_month
from tests.service.selling import shop
from tests.service.selling.shop import DAY_US, USD

BEGIN = month(the_month(), "UTC").from_us


@pytest.fixture
def books(database: str, tmp_path) -> Iterator[Books]:
    with open_book(database) as book:
        shop.customer(book, "acme", terms="invoice")
        yield Books(book, Lake(tmp_path / "lake"), "UTC")


def offered(books: Books, at_us: int = BEGIN, **terms: object) -> None:
    plans.offer(books.book, plan_of(terms), at_us=at_us, **ME)


def tokens_of(document) -> list[str]:
    return [line["exact"] for line in document["lines"] if line["kind"] == "tokens"]


def test_another_plan_bills_its_own_calls_and_takes_back_none_of_the_former(books: Books) -> None:
    for name in ("a", "b"):
        offered(books, plan=name, tokens={"markup_percent": 0})
    plans.assign(books.book, "acme", "a", at_us=BEGIN, **ME)
    _call(books, "acme", BEGIN + 1, 10_000_000)
    assert tokens_of(issued(books).says) == ["0.010000000"]
    plans.assign(books.book, "acme", "b", at_us=after(the_month()), **ME)
    _call(books, "acme", after(the_month()) + 1, 2_000_000)
    _call(books, "acme", BEGIN + 2, 1_000_000)  # booked late
    assert tokens_of(issued(books, _next_month()).says) == ["0.003000000"]


def test_calls_from_before_a_plan_billed_them_are_not_billed(books: Books) -> None:
    offered(books, plan="t", base_fee="1.00")
    plans.assign(books.book, "acme", "t", at_us=BEGIN, **ME)
    _call(books, "acme", BEGIN + 1, 10_000_000)
    offered(books, after(the_month()), plan="t", base_fee="1.00", tokens={"markup_percent": 0})
    issued(books)
    _call(books, "acme", after(the_month()) + 1, 2_000_000)
    assert tokens_of(issued(books, _next_month()).says) == ["0.002000000"]


def test_a_month_issued_after_its_successor_takes_nothing_back(books: Books) -> None:
    offered(books, plan="t", base_fee="1.00", tokens={"markup_percent": 0})
    plans.assign(books.book, "acme", "t", at_us=BEGIN, **ME)
    _call(books, "acme", BEGIN + 1, 10_000_000)
    _call(books, "acme", after(the_month()) + 1, 2_000_000)
    second = issued(books, _next_month())
    first = issued(books)
    assert tokens_of(second.says) == ["0.012000000"]
    assert tokens_of(first.says) == []
    assert [rebuilt(books, kept) for kept in (first, second)] == [first.document, second.document]


def test_what_a_plan_includes_is_not_given_back_beside(books: Books) -> None:
    offered(books, plan="team", included={"contract-review": 3})
    plans.assign(books.book, "acme", "team", at_us=BEGIN, **ME)
    sell(books, 3)
    selling.reverse(books.book, task_id=id_of("t-1"), at_us=OPENED_US + 10, reason="reopened")
    kept = issued(books)
    assert kept.total_nano == 0
    assert rebuilt(books, kept) == kept.document


def test_an_action_of_several_words_is_included(books: Books) -> None:
    offered(books, plan="team", included={"contract review": 3})
    plans.assign(books.book, "acme", "team", at_us=BEGIN, **ME)
    sell(books, 3, action="contract review")
    assert issued(books).total_nano == 0


def test_what_is_given_back_in_small_coin_is_given_back(books: Books) -> None:
    sell(books, 10, "0.004")
    for number in range(10):
        selling.reverse(books.book, task_id=id_of(f"t-{number}"), at_us=OPENED_US + 10, reason="reopened")
    kept = issued(books)
    assert kept.total_nano == 0
    assert [(line["kind"], line["quantity"], Decimal(line["exact"])) for line in kept.says["lines"]] == [
        ("usage", 10, Decimal("0.04")),
        ("reversal", 10, Decimal("-0.04")),
    ]
    assert rebuilt(books, kept) == kept.document


def test_chargeback_of_a_month_is_what_was_used_in_it(books: Books) -> None:
    shop.customer(books.book, "search", terms="team")
    shop.settled(books.book, "search", "s-0")
    later = after(the_month()) + DAY_US
    shop.settled(books.book, "search", "s-1", at_us=later)

    def sold(name: str) -> list[int]:
        return [one.sold_nano for one in statements(books, name, now_us=later) if one.team == "search"]

    before = [sold(name) for name in (the_month(), _next_month())]
    issue(books, "search", the_month(), at_us=after(the_month()), **ME)
    assert before == [sold(name) for name in (the_month(), _next_month())] == [[5 * USD], [5 * USD]]


def test_an_id_of_a_payment_is_of_one_document_and_amount(books: Books) -> None:
    sell(books, 1)
    first = issued(books)
    shop.settled(books.book, "acme", "n", at_us=after(the_month()) + 1)
    second = issued(books, _next_month())
    one = uuid.uuid4()
    pay(books.book, first.number, payment_id=one, amount_nano=USD, at_us=1, **ME)
    with pytest.raises(Conflict, match=first.number):
        pay(books.book, second.number, payment_id=one, at_us=1, **ME)
    with pytest.raises(Conflict, match=r"1\.00 USD"):
        pay(books.book, first.number, payment_id=one, amount_nano=2 * USD, at_us=1, **ME)
    credit(books.book, first.number, credit_id=one, amount_nano=USD, at_us=1, reason="r", **ME)
    with pytest.raises(Conflict, match=first.number):
        credit(books.book, second.number, credit_id=one, at_us=1, reason="r", **ME)


def test_december_is_numbered_in_its_own_year_wherever_it_ends(books: Books) -> None:
    offered(books, plan="t", base_fee="1.00")
    plans.assign(books.book, "acme", "t", at_us=BEGIN, **ME)
    west = Books(books.book, books.lake, "America/New_York")
    name = f"{int(the_month()[:4]) + 1}-12"
    kept = issue(west, "acme", name, at_us=month(name, "America/New_York").until_us, **ME)
    assert kept is not None
    assert kept.number.startswith(f"INV-{name[:4]}-")
    assert draft(west, "acme", name)["period"] == name
