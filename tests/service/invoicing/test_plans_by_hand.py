"""Plans over months, reckoned by hand: what each document comes to, line by line."""

import json
import uuid
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from flatfare.core.errors import BadInput, Conflict
from flatfare.core.moments import parse_moment
from flatfare.core.plan import plan_of
from flatfare.service import selling
from flatfare.service.invoicing import plans
from flatfare.service.invoicing.issuing import Books, issue, issue_so_far, rebuilt, void
from flatfare.service.invoicing.periods import moment_in, month
from flatfare.service.invoicing.rendering import rows
from flatfare.store import calls, invoices
from flatfare.store.invoices import Kept
from flatfare.store.lake import Lake
from tests.builders import id_of
from tests.service.selling import shop
from tests.service.selling.shop import USD

ME = {"by_whom": "test"}


def at(text: str) -> int:
    return parse_moment(text)[0]


@pytest.fixture
def books(tmp_path: Path) -> Iterator[Books]:
    with shop.shop_in(tmp_path, "acme", terms="invoice") as book:
        yield Books(book, Lake(tmp_path / "lake"), "UTC")


def put_on(books: Books, since: str, **terms: object) -> None:
    plans.offer(books.book, plan_of(terms), at_us=at(since), **ME)
    plans.assign(books.book, "acme", str(terms["plan"]), at_us=at(since), **ME)


def sold(books: Books, when: str, *names: str, price: str = "5.00") -> None:
    for name in names:
        shop.settled(books.book, "acme", name, price, at_us=at(when))


def taken_back(books: Books, when: str, *names: str) -> None:
    for name in names:
        selling.reverse(books.book, task_id=id_of(name), at_us=at(when), reason="reopened")


def called(books: Books, when: str, dollars: int) -> None:
    row = {
        "id": str(uuid.uuid4()),
        "at_us": at(when),
        "source": "gateway",
        "cost_nano": dollars * USD,
        "cost_state": "measured",
        "labels": json.dumps({"customer": "acme"}),
    }
    with books.book.writing():
        calls.insert(books.book, [row])


def issued(books: Books, name: str) -> Kept:
    kept = issue(books, "acme", name, at_us=month(name, books.time_zone).until_us, **ME)
    assert kept is not None
    assert rebuilt(books, kept) == kept.document
    assert sum(Decimal(str(row["amount"])) for row in rows(kept.says)) == Decimal(str(kept.says["total"]))
    assert selling.verify(books.book) == []
    return kept


def told(kept: Kept) -> list[tuple[str, str]]:
    lines = kept.says["lines"]
    assert isinstance(lines, list)
    return [(line["kind"], f"{Decimal(line['amount']):.2f}") for line in lines]


def test_calls_by_the_token_count_towards_the_minimum(books: Books) -> None:
    put_on(books, "2026-10-01", plan="t", minimum="100.00", tokens={"markup_percent": 20})
    called(books, "2026-10-05", 60)
    assert told(issued(books, "2026-10")) == [("minimum", "28.00"), ("tokens", "72.00")]
    called(books, "2026-11-05", 150)
    assert told(issued(books, "2026-11")) == [("tokens", "180.00")]


def test_what_is_given_back_of_a_month_before_is_not_eaten_by_the_minimum(books: Books) -> None:
    put_on(books, "2026-10-01", plan="t", minimum="100.00")
    sold(books, "2026-10-05", *(f"october {n}" for n in range(40)))
    assert issued(books, "2026-10").total_nano == 200 * USD
    sold(books, "2026-11-05", *(f"november {n}" for n in range(20)))
    taken_back(books, "2026-11-06", "october 3")
    assert told(issued(books, "2026-11")) == [("usage", "100.00"), ("reversal", "-5.00")]


def test_a_sale_that_was_included_is_not_paid_back(books: Books) -> None:
    put_on(books, "2026-10-01", plan="t", included={"contract-review": 2})
    sold(books, "2026-10-05", "a", "b", "c")
    assert told(issued(books, "2026-10")) == [("usage", "15.00"), ("included", "-10.00")]
    taken_back(books, "2026-11-06", "a")  # two are left, both included: the one that was paid comes back
    assert told(issued(books, "2026-11")) == [("reversal", "-5.00")]
    taken_back(books, "2026-12-06", "b", "c")  # of these nothing was paid any more
    december = issued(books, "2026-12")
    assert told(december) == [("reversal", "-10.00"), ("included", "10.00")]
    assert december.total_nano == 0
    assert shop.standing(books.book, "acme")["refunds"] == -15 * USD
    assert "receivable" not in shop.standing(books.book, "acme")  # 5 billed, 5 given back


def test_the_dearest_that_is_left_takes_the_unit_of_one_taken_back(books: Books) -> None:
    put_on(books, "2026-10-01", plan="t", included={"contract-review": 1})
    sold(books, "2026-10-05", "a", price="10.00")
    sold(books, "2026-10-06", "b", "c", price="4.00")
    assert issued(books, "2026-10").total_nano == 8 * USD
    taken_back(books, "2026-11-06", "a")  # b is included instead: 4 of the 8 are due
    kept = issued(books, "2026-11")
    assert told(kept) == [("reversal", "-10.00"), ("included", "6.00")]
    assert kept.total_nano == -4 * USD


def test_a_part_given_back_of_an_included_sale_is_not_paid_out(books: Books) -> None:
    put_on(books, "2026-10-01", plan="t", included={"contract-review": 1})
    sold(books, "2026-10-05", "a")
    selling.reverse(
        books.book, task_id=id_of("a"), at_us=at("2026-10-06"), reason="late", amount_nano=2 * USD
    )
    assert told(issued(books, "2026-10")) == [("usage", "5.00"), ("reversal", "-2.00"), ("included", "-3.00")]


def test_a_plan_changed_within_a_month_bills_both_by_days(books: Books) -> None:
    put_on(books, "2026-11-01", plan="a", base_fee="30.00", minimum="100.00", included={"contract-review": 1})
    sold(books, "2026-11-03", "early")
    put_on(books, "2026-11-16", plan="b", base_fee="60.00", minimum="200.00", included={"contract-review": 1})
    sold(books, "2026-11-20", "late", "later")
    kept = issued(books, "2026-11")
    lines = kept.says["lines"]
    assert isinstance(lines, list)
    assert [(line["text"], f"{Decimal(line['amount']):.2f}") for line in lines] == [
        ("contract-review version 1", "15.00"),
        ("Plan a, 15 of 30 days", "15.00"),
        ("Plan b, 15 of 30 days", "30.00"),
        ("contract-review version 1, included in the plan", "-10.00"),
        # 50 of a's 100 and 100 of b's 200, less the 50 that were used
        ("Minimum of 150.000000000 a month, by days, what is missing", "100.00"),
    ]
    assert kept.total_nano == 150 * USD


def test_a_plan_that_is_taken_twice_in_a_month_includes_once(books: Books) -> None:
    put_on(books, "2026-11-01", plan="a", base_fee="30.00", included={"contract-review": 1})
    put_on(books, "2026-11-10", plan="b", base_fee="3.00")
    put_on(books, "2026-11-20", plan="a", base_fee="30.00", included={"contract-review": 1})
    sold(books, "2026-11-05", "one")
    sold(books, "2026-11-25", "two")
    assert told(issued(books, "2026-11")) == [
        ("usage", "10.00"),
        ("base fee", "20.00"),  # 9 and 11 of 30 days
        ("base fee", "1.00"),
        ("included", "-5.00"),
    ]


def test_calls_are_billed_at_the_markup_of_their_day_however_late_they_come(books: Books) -> None:
    put_on(books, "2026-11-01", plan="a", tokens={"markup_percent": 20})
    called(books, "2026-11-03", 10)
    put_on(books, "2026-11-16", plan="b", tokens={"markup_percent": 50})
    called(books, "2026-11-20", 10)
    assert told(issued(books, "2026-11")) == [("tokens", "12.00"), ("tokens", "15.00")]
    plans.assign(books.book, "acme", None, at_us=at("2026-12-01"), **ME)
    called(books, "2026-11-04", 5)  # booked in December, when there is no plan any more
    called(books, "2026-12-04", 1000)
    assert told(issued(books, "2026-12")) == [("tokens", "6.00")]


@pytest.mark.parametrize(
    ("currency", "net", "tax", "total"),
    [  # a third of ten, and 7.5 % of that
        ("JPY", "3", "0", "3"),
        ("EUR", "3.33", "0.25", "3.58"),
        ("KWD", "3.333", "0.250", "3.583"),
        ("CLF", "3.3333", "0.2500", "3.5833"),
    ],
)
def test_fees_by_days_are_rounded_to_what_can_be_paid(
    tmp_path: Path, currency: str, net: str, tax: str, total: str
) -> None:
    with shop.shop_in(tmp_path) as book:
        shop.customer(
            book,
            "acme",
            currency=currency,
            terms="invoice",
            details={"tax_name": "VAT", "tax_percent": "7.5"},
        )
        books = Books(book, Lake(tmp_path / "lake"), "UTC")
        put_on(books, "2026-11-21", plan="t", currency=currency, base_fee="10.00")
        said = issued(books, "2026-11").says
        assert isinstance(said["tax"], dict)
        assert (Decimal(str(said["net"])), Decimal(said["tax"]["amount"]), Decimal(str(said["total"]))) == (
            Decimal(net),
            Decimal(tax),
            Decimal(total),
        )
        assert sum(shop.standing(book, "acme").values()) == 0


def test_a_price_of_the_plan_counts_from_its_day(books: Books) -> None:
    first = {"plan": "t", "prices": {"contract-review": "4.00"}}
    put_on(books, "2026-10-01", **first)
    begins = moment_in("2026-12-01", "Europe/Berlin")
    changed = plan_of({"plan": "t", "prices": {"contract-review": {"per_verified": "6.00", "minimum": "1"}}})
    plans.offer(books.book, changed, at_us=at("2026-11-10"), from_us=begins, **ME)

    def price(at_us: int, action: str = "contract-review") -> int | None:
        found = plans.price_for(books.book, "acme", action, at_us)
        return None if found is None else found.per_verified_nano

    assert price(at("2026-09-30")) is None
    assert (price(begins - 1), price(begins)) == (4 * USD, 6 * USD)
    assert (price(begins, "blog-post"), plans.price_for(books.book, "bolt", "x", begins)) == (None, None)
    with pytest.raises(BadInput, match="what has passed keeps its price"):
        plans.offer(books.book, plan_of(first), at_us=at("2026-11-10"), from_us=at("2026-11-09"), **ME)
    with pytest.raises(BadInput, match="the next cannot begin before it"):
        plans.offer(books.book, plan_of(first), at_us=at("2026-11-11"), **ME)


def test_a_plan_to_come_gives_way_to_what_is_agreed_later(books: Books) -> None:
    for name in ("a", "b", "c"):
        plans.offer(books.book, plan_of({"plan": name}), at_us=at("2026-10-01"), **ME)
    plans.assign(books.book, "acme", "a", at_us=at("2026-10-01"), **ME)
    plans.assign(books.book, "acme", "b", at_us=at("2026-10-02"), from_us=at("2026-12-01"), **ME)
    plans.assign(books.book, "acme", "c", at_us=at("2026-10-03"), from_us=at("2026-11-01"), **ME)
    assert invoices.subscriptions(books.book, "acme") == [
        ("a", at("2026-10-01"), at("2026-11-01")),
        ("c", at("2026-11-01"), None),
    ]
    with pytest.raises(BadInput, match="what has passed"):
        plans.assign(books.book, "acme", None, at_us=at("2026-11-03"), from_us=at("2026-11-02"), **ME)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"prices": {"x": "€4.00"}}, "found an amount in EUR in a price in USD"),
        ({"prices": {"x": 4.5}}, "write the amount as text"),
        ({"prices": {"x": {"size": "bananas", "tiers": [{"up_to": 1, "per_verified": "1"}]}}}, "'bananas'"),
        ({"prices": ["x"]}, "expected actions and the price of each"),
        ({"currency": "EUR", "tokens": {"markup_percent": 1}}, "billed in that only"),
    ],
)
def test_a_plan_that_cannot_be_billed_is_refused(given: dict[str, object], says: str) -> None:
    with pytest.raises(BadInput, match=says):
        plan_of({"plan": "t", **given})


@pytest.mark.parametrize("fee", ["base_fee", "minimum"])
def test_a_fee_that_nobody_can_pay_is_not_offered(books: Books, fee: str) -> None:
    plan = plan_of({"plan": "t", "currency": "JPY", fee: "0.5"})
    with pytest.raises(BadInput, match=r"Found 0\.5 JPY to be paid: JPY has no decimals"):
        plans.offer(books.book, plan, at_us=at("2026-10-01"), **ME)
    assert plans.listed(books.book) == []


def test_who_pays_in_advance_has_no_minimum_and_nothing_included(books: Books) -> None:
    shop.customer(books.book, "cash")
    plans.offer(books.book, plan_of({"plan": "m", "minimum": "9.00"}), at_us=at("2026-10-01"), **ME)
    with pytest.raises(BadInput, match="--terms invoice"):
        plans.assign(books.book, "cash", "m", at_us=at("2026-10-01"), **ME)


def test_a_document_that_another_refers_to_is_not_voided(books: Books) -> None:
    sold(books, "2026-10-05", "a", "b")
    october = issued(books, "2026-10")
    taken_back(books, "2026-11-06", "a")
    november = issued(books, "2026-11")
    with pytest.raises(Conflict, match=f"{november.number} takes back what {october.number} billed"):
        void(books.book, october.number, at_us=at("2026-12-01"), reason="wrong address", **ME)
    assert rebuilt(books, november) == november.document


def test_a_tax_that_is_none_is_refused_where_it_is_given(books: Books) -> None:
    for percent in ("19%", "-1", "101", "", "1/0"):
        with pytest.raises(BadInput, match="expected a percentage"):
            selling.customers.change(
                books.book, "acme", details={"tax_percent": percent}, at_us=at("2026-10-01"), **ME
            )


def test_what_is_owed_so_far_is_billed_once_and_the_month_bills_the_rest(books: Books) -> None:
    sold(books, "2026-11-03", "a", "b")
    first = issue_so_far(books, "acme", at_us=at("2026-11-05T12:00:00Z"), **ME)
    assert first is not None
    assert (first.number, first.period, first.total_nano) == (
        "INV-2026-000001",
        "2026-11 until 2026-11-05T12:00:00Z",
        10 * USD,
    )
    assert issue_so_far(books, "acme", at_us=at("2026-11-05T12:00:00Z"), **ME) is None
    sold(books, "2026-11-20", "c")
    taken_back(books, "2026-11-21", "a")
    assert told(issued(books, "2026-11")) == [("usage", "5.00"), ("reversal", "-5.00")]
    assert rebuilt(books, first) == first.document


def test_a_plan_waits_for_the_end_of_its_month_and_bills_its_tokens_then(books: Books) -> None:
    sold(books, "2026-11-03", "a")
    issue_so_far(books, "acme", at_us=at("2026-11-05"), **ME)
    put_on(books, "2026-11-10", plan="t", tokens={"markup_percent": 0})
    called(books, "2026-11-11", 7)
    with pytest.raises(BadInput, match="known when 2026-11 has ended"):
        issue_so_far(books, "acme", at_us=at("2026-11-12"), **ME)
    assert told(issued(books, "2026-11")) == [("tokens", "7.00")]


def test_the_same_plan_is_offered_again_long_after_its_day(books: Books) -> None:
    plan, day = plan_of({"plan": "team", "base_fee": "10.00"}), at("2027-01-01")
    made = plans.offer(books.book, plan, at_us=at("2026-12-01"), from_us=day, **ME)
    assert plans.offer(books.book, plan, at_us=at("2027-03-01"), from_us=day, **ME) == made
    dearer = plan_of({"plan": "team", "base_fee": "20.00"})
    with pytest.raises(BadInput, match="what has passed keeps its price"):
        plans.offer(books.book, dearer, at_us=at("2027-03-01"), from_us=day, **ME)
