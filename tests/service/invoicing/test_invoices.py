"""Invoices: each record of the ledger stands on one, once; what is issued never changes."""

import json
import uuid
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from flatfare.core.errors import BadInput, Conflict, NotFound
from flatfare.core.invoice import DocumentKind, Status, hash_of
from flatfare.core.moments import parse_moment
from flatfare.core.plan import plan_of
from flatfare.service import selling
from flatfare.service.invoicing import issuing, plans
from flatfare.service.invoicing.favour import pay_out
from flatfare.service.invoicing.issuing import (
    Books,
    credit,
    draft,
    issue,
    open_of,
    pay,
    rebuilt,
    void,
)
from flatfare.service.invoicing.periods import month, month_of
from flatfare.service.invoicing.rendering import page, rows
from flatfare.store import calls, invoices
from flatfare.store.lake import Lake
from tests.builders import OPENED_US, id_of
from tests.service.selling import shop
from tests.service.selling.shop import DAY_US, USD

ME = {"by_whom": "test"}


def at(text: str) -> int:
    return parse_moment(text)[0]


OPENED = OPENED_US
ENDS = at("2027-02-01")


@pytest.fixture
def books(tmp_path: Path) -> Iterator[Books]:
    with shop.shop_in(tmp_path, "acme", terms="invoice") as book:
        yield Books(book, Lake(tmp_path / "lake"), "UTC")


def the_month() -> str:
    return month_of(OPENED_US, "UTC")


def after(name: str) -> int:
    return month(name, "UTC").until_us


def sell(books: Books, n: int, price: str = "5.00", mark: str = "t", **terms: object) -> None:
    for number in range(n):
        shop.settled(books.book, "acme", f"{mark}-{number}", price, **terms)


def issued(books: Books, name: str | None = None):
    name = name or the_month()
    kept = issue(books, "acme", name, at_us=after(name), **ME)
    assert kept is not None
    return kept


def sums_to_total(kept) -> None:
    amounts = [Decimal(str(row["amount"])) for row in rows(kept.says)]
    assert sum(amounts) == Decimal(str(kept.says["total"]))


def test_a_month_of_sales_becomes_one_invoice(books: Books) -> None:
    sell(books, 12)
    sell(books, 3, "1.00", "x", action="extract-names")
    kept = issued(books)
    assert (kept.number, kept.status, kept.total_nano) == (
        f"INV-{the_month()[:4]}-000001",
        Status.ISSUED,
        63 * USD,
    )
    lines = kept.says["lines"]
    assert [(line["text"], line["quantity"], line["amount"]) for line in lines] == [
        ("contract-review version 1", 12, "60.000000000"),
        ("extract-names version 1", 3, "3.000000000"),
    ]
    sums_to_total(kept)
    found = shop.standing(books.book, "acme")
    assert found["receivable"] == -63 * USD
    assert "accrued" not in found
    assert selling.verify(books.book) == []


def test_the_same_month_is_invoiced_once(books: Books) -> None:
    sell(books, 2)
    assert issued(books).number == issued(books).number
    assert books.book.value("SELECT COUNT(*) FROM invoices") == 1


def test_a_month_that_has_not_ended_is_only_drafted(books: Books) -> None:
    sell(books, 2)
    assert draft(books, "acme", the_month())["total"] == "10.000000000"
    with pytest.raises(BadInput, match="has not ended yet"):
        issue(books, "acme", the_month(), at_us=after(the_month()) - 1, **ME)


def test_nothing_to_bill_makes_no_document(books: Books) -> None:
    assert issue(books, "acme", the_month(), at_us=after(the_month()), **ME) is None


def test_each_line_is_rounded_once_and_the_rest_is_kept(books: Books) -> None:
    selling.customers.change(
        books.book, "acme", details={"tax_name": "VAT", "tax_percent": "19"}, at_us=OPENED, **ME
    )
    sell(books, 3, "0.335")
    kept = issued(books)  # 1.005 is 1.00, half to even; 19 % of it is 0.19
    assert (kept.says["net"], kept.says["tax"]["amount"], kept.total_nano) == (
        "1.000000000",
        "0.190000000",
        1_190_000_000,
    )
    sums_to_total(kept)
    assert selling.verify(books.book) == []
    assert sum(shop.standing(books.book, "acme").values()) == 0


def test_a_reversal_after_the_invoice_falls_into_the_next_and_names_it(books: Books) -> None:
    sell(books, 3)
    first = issued(books)
    late = after(the_month()) + 5 * DAY_US
    selling.reverse(books.book, task_id=id_of("t-1"), at_us=late, reason="reopened")
    following = _next_month()
    kept = issued(books, following)
    assert (kept.kind, kept.total_nano) == (DocumentKind.CREDIT_NOTE, -5 * USD)
    assert kept.number.startswith("CN-")
    line = kept.says["lines"][0]
    assert (line["kind"], line["note"]) == ("reversal", f"billed on {first.number}")
    assert line["items"][0]["refers"] == first.number
    sums_to_total(kept)
    assert shop.standing(books.book, "acme")["receivable"] == -10 * USD


def test_a_reversal_within_the_month_stands_beside_what_it_reverses(books: Books) -> None:
    sell(books, 3)
    selling.reverse(books.book, task_id=id_of("t-1"), at_us=OPENED + 10, reason="reopened")
    kept = issued(books)
    assert kept.total_nano == 10 * USD
    assert [line["kind"] for line in kept.says["lines"]] == ["usage", "reversal"]
    assert rebuilt(books, kept) == kept.document


def test_what_was_settled_late_falls_into_the_next_month(books: Books) -> None:
    sell(books, 1)
    issued(books)
    sell(books, 2, mark="late")  # told now, of a moment in the month that is invoiced
    kept = issued(books, _next_month())
    assert kept.total_nano == 10 * USD
    assert kept.says["lines"][0]["note"] == "2 of them settled in a month before"


def test_paying_is_known_by_its_id(books: Books) -> None:
    sell(books, 2)
    number = issued(books).number
    one, other = uuid.uuid4(), uuid.uuid4()
    part = pay(books.book, number, payment_id=one, amount_nano=4 * USD, at_us=ENDS, **ME)
    assert (part.status, part.paid_nano) == (Status.ISSUED, 4 * USD)
    assert pay(books.book, number, payment_id=one, amount_nano=4 * USD, at_us=ENDS, **ME).paid_nano == 4 * USD
    whole = pay(books.book, number, payment_id=other, at_us=ENDS, **ME)
    assert (whole.status, whole.paid_nano, open_of(books.book, whole)) == (Status.PAID, 10 * USD, 0)
    with pytest.raises(Conflict, match="cannot be paid"):
        pay(books.book, number, payment_id=uuid.uuid4(), amount_nano=1, at_us=ENDS, **ME)
    assert "receivable" not in shop.standing(books.book, "acme")


def test_a_part_that_nobody_can_pay_is_not_booked(books: Books) -> None:
    shop.customer(books.book, "yamada", currency="JPY", terms="invoice")
    shop.settled(books.book, "yamada", "one", {"per_verified": "500", "currency": "JPY"})
    kept = issue(books, "yamada", the_month(), at_us=after(the_month()), **ME)
    assert kept is not None
    half = {"amount_nano": USD // 2, "at_us": ENDS, **ME}
    says = r"Found 0\.5 JPY to be paid: JPY has no decimals"
    with pytest.raises(BadInput, match=says):
        pay(books.book, kept.number, payment_id=uuid.uuid4(), **half)
    with pytest.raises(BadInput, match=says):
        credit(books.book, kept.number, credit_id=uuid.uuid4(), reason="late", **half)
    pay(books.book, kept.number, payment_id=uuid.uuid4(), at_us=ENDS, **ME)
    note = credit(
        books.book, kept.number, credit_id=uuid.uuid4(), amount_nano=USD, reason="x", at_us=ENDS, **ME
    )
    with pytest.raises(BadInput, match=says):
        pay_out(books.book, note.number, payment_id=uuid.uuid4(), **half)
    assert shop.standing(books.book, "yamada")["cash JPY"] == -500 * USD


def test_what_half_a_payment_left_open_can_be_paid(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    sell(books, 2)
    number = issued(books).number
    with monkeypatch.context() as before:
        before.setattr(issuing, "check_payable", lambda nano, code: nano)
        pay(books.book, number, payment_id=uuid.uuid4(), amount_nano=1, at_us=ENDS, **ME)
    assert pay(books.book, number, payment_id=uuid.uuid4(), at_us=ENDS, **ME).status is Status.PAID


def test_a_void_document_frees_what_it_billed_and_keeps_its_number(books: Books) -> None:
    sell(books, 2)
    first = issued(books)
    assert void(books.book, first.number, at_us=ENDS, reason="wrong address", **ME).status is Status.VOID
    assert void(books.book, first.number, at_us=ENDS, reason="again", **ME).status is Status.VOID
    second = issued(books)
    assert (second.number[-6:], second.total_nano) == ("000002", 10 * USD)
    assert selling.verify(books.book) == []


def test_a_paid_invoice_is_credited_and_not_voided(books: Books) -> None:
    sell(books, 2)
    number = issued(books).number
    pay(books.book, number, payment_id=uuid.uuid4(), at_us=ENDS, **ME)
    with pytest.raises(Conflict, match="credit note"):
        void(books.book, number, at_us=ENDS, reason="x", **ME)
    one = uuid.uuid4()
    note = credit(books.book, number, credit_id=one, amount_nano=3 * USD, at_us=ENDS, reason="late", **ME)
    assert (note.kind, note.total_nano, note.refers) == (DocumentKind.CREDIT_NOTE, -3 * USD, number)
    again = credit(books.book, number, credit_id=one, amount_nano=3 * USD, at_us=ENDS, reason="late", **ME)
    assert again.number == note.number
    with pytest.raises(Conflict, match="can be credited"):
        credit(books.book, number, credit_id=uuid.uuid4(), amount_nano=8 * USD, at_us=ENDS, reason="x", **ME)
    assert rebuilt(books, note) == note.document
    assert selling.verify(books.book) == []


def test_a_plan_adds_its_fee_takes_off_what_it_includes_and_fills_up_to_its_minimum(books: Books) -> None:
    plan = plan_of(
        {"plan": "team", "base_fee": "49.00", "included": {"contract-review": 2}, "minimum": "100.00"}
    )
    begin = month(the_month(), "UTC").from_us
    plans.offer(books.book, plan, at_us=begin, **ME)
    plans.assign(books.book, "acme", "team", at_us=begin, **ME)
    sell(books, 5)
    kept = issued(books)
    assert [(line["kind"], line["amount"]) for line in kept.says["lines"]] == [
        ("usage", "25.000000000"),
        ("base fee", "49.000000000"),
        ("included", "-10.000000000"),
        ("minimum", "36.000000000"),
    ]
    assert kept.total_nano == 100 * USD
    assert rebuilt(books, kept) == kept.document
    assert selling.verify(books.book) == []


def test_a_fee_is_shared_out_by_days(books: Books) -> None:
    period = month(the_month(), "UTC")
    plans.offer(books.book, plan_of({"plan": "team", "base_fee": "31.00"}), at_us=period.from_us, **ME)
    plans.assign(books.book, "acme", "team", at_us=period.until_us - 10 * DAY_US, **ME)
    days = (period.until_us - period.from_us) // DAY_US
    expected = round(Decimal(310) / days, 9)
    assert Decimal(issued(books).says["lines"][0]["exact"]) == expected


def test_a_price_change_leaves_the_months_before_as_they_were(books: Books) -> None:
    begin = month(the_month(), "UTC").from_us
    plans.offer(books.book, plan_of({"plan": "team", "base_fee": "10.00"}), at_us=begin, **ME)
    plans.assign(books.book, "acme", "team", at_us=begin, **ME)
    first = issued(books)
    plans.offer(books.book, plan_of({"plan": "team", "base_fee": "20.00"}), at_us=after(the_month()), **ME)
    assert (first.total_nano, issued(books, _next_month()).total_nano) == (10 * USD, 20 * USD)
    assert rebuilt(books, first) == first.document


def test_calls_by_the_token_are_billed_at_cost_plus_once(books: Books) -> None:
    begin = month(the_month(), "UTC").from_us
    plans.offer(books.book, plan_of({"plan": "t", "tokens": {"markup_percent": 20}}), at_us=begin, **ME)
    plans.assign(books.book, "acme", "t", at_us=begin, **ME)
    _call(books, "acme", begin + 1, 10_000_000)
    _call(books, "other", begin + 1, 99)
    assert issued(books).says["lines"][0]["exact"] == "0.012000000"
    _call(books, "acme", begin + 2, 5_000_000)  # booked late
    assert issued(books, _next_month()).says["lines"][0]["exact"] == "0.006000000"


def test_every_document_can_be_made_again_byte_for_byte(books: Books) -> None:
    sell(books, 4, "1.005")
    first = issued(books)
    selling.reverse(books.book, task_id=id_of("t-0"), at_us=after(the_month()) + 1, reason="reopened")
    sell(books, 2, "7.00", "n")
    second = issued(books, _next_month())
    for kept in (first, second):
        assert rebuilt(books, kept) == kept.document
        assert hash_of(kept.document) == kept.hash


def test_a_document_that_was_edited_is_not_the_one_that_is_made_again(books: Books) -> None:
    sell(books, 2)
    kept = issued(books)
    edited = kept.document.replace("10.000000000", "11.000000000")
    assert rebuilt(books, kept) != edited


def test_a_page_to_print(books: Books) -> None:
    pytest.importorskip("typst", reason="needs the extra invoices: pip install 'flatfare[invoices]'")
    sell(books, 3)
    made = page(issued(books), {"1": "Flat & Sons #1", "2": "*not bold*"})
    assert made.startswith(b"%PDF-")
    assert len(made) > 5_000


def test_prepaid_packs_stand_on_the_invoice_where_they_are_bought_on_one(books: Books) -> None:
    selling.packs.create(
        books.book,
        name="ten-posts",
        price_nano=20 * USD,
        currency="USD",
        units=10,
        actions=("blog-post",),
        at_us=OPENED,
        **ME,
    )
    selling.grant_pack(
        books.book,
        grant_id=uuid.uuid4(),
        customer="acme",
        pack="ten-posts",
        at_us=OPENED,
        paid="invoice",
        **ME,
    )
    kept = issued(books)
    assert [(line["text"], line["amount"]) for line in kept.says["lines"]] == [
        ("Pack ten-posts", "20.000000000")
    ]


def test_a_number_that_is_not_there(books: Books) -> None:
    with pytest.raises(NotFound, match="INV-1"):
        pay(books.book, "INV-1", payment_id=uuid.uuid4(), at_us=ENDS, **ME)


@pytest.mark.parametrize("name", ["2026", "2026-13", "november"])
def test_a_month_that_is_none(books: Books, name: str) -> None:
    with pytest.raises(BadInput, match="write it like"):
        draft(books, "acme", name)


def test_a_month_heeds_daylight_saving() -> None:
    spring = month("2026-03", "Europe/Berlin")
    assert (spring.until_us - spring.from_us) // 3_600_000_000 == 31 * 24 - 1


def _next_month() -> str:
    return month_of(after(the_month()) + 1, "UTC")


def _call(books: Books, customer: str, at_us: int, cost_nano: int) -> None:
    row = {
        "id": str(uuid.uuid4()),
        "at_us": at_us,
        "source": "gateway",
        "cost_nano": cost_nano,
        "cost_state": "measured",
        "labels": json.dumps({"customer": customer}),
    }
    with books.book.writing():
        calls.insert(books.book, [row])


def test_numbers_go_on_past_a_million(books: Books) -> None:
    sell(books, 1)
    first = issued(books)
    year = first.number[4:8]
    for count in ("999999", "1000000"):
        with books.book.writing():
            books.book.execute(
                "UPDATE invoices SET number = ? WHERE id = ?", (f"INV-{year}-{count}", first.id)
            )
            following = invoices.next_number(books.book, "INV", int(year))
            assert following == f"INV-{year}-{int(count) + 1}"
