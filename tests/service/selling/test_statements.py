"""A statement: every thing that happened in words, and the balance before plus its lines is the one after."""

import csv
import io
import json
import uuid
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from flatfare.cli.root import root
from flatfare.core.money import nano_of, parse_amount
from flatfare.core.statement import LineKind
from flatfare.service import selling
from flatfare.service.invoicing import issuing, rendering
from flatfare.service.invoicing.favour import pay_out
from flatfare.service.invoicing.issuing import Books
from flatfare.service.selling import stating
from flatfare.store.book import Book
from flatfare.store.lake import Lake
from tests.builders import OPENED_US, id_of
from tests.service.selling import shop
from tests.service.selling.shop import DAY_US, USD


@pytest.fixture
def book(tmp_path: Path) -> Book:
    return shop.shop_in(tmp_path)


def told(book: Book, tmp_path: Path, name: str, **asked: object) -> stating.Told:
    return stating.told(book, Lake(tmp_path / "lake"), name, at_us=OPENED_US + 400 * DAY_US, **asked)  # type: ignore[arg-type]


def lines_of(found: stating.Told) -> list[tuple[str, str, int, int]]:
    return [
        (line.text, stating.note_of(line, found.customer.currency), line.amount_nano, line.after.balance_nano)
        for line in found.said.lines
    ]


def test_a_prepaid_customer_reads_what_was_bought_and_what_is_left(book: Book, tmp_path: Path) -> None:
    shop.customer(book, "acme")
    shop.top_up(book, "acme", 50 * USD)
    shop.settled(book, "acme", "one", at_us=OPENED_US + DAY_US)
    shop.held(book, "acme", "two", at_us=OPENED_US + 2 * DAY_US)
    selling.void(book, task_id=id_of("two"), at_us=OPENED_US + 3 * DAY_US, reason="not verified")
    selling.reverse(
        book, task_id=id_of("one"), at_us=OPENED_US + 4 * DAY_US, reason="late", amount_nano=1_500_000_001
    )
    shop.held(book, "acme", "three", at_us=OPENED_US + 5 * DAY_US)
    found = told(book, tmp_path, "acme")
    assert lines_of(found) == [
        ("paid in", "", 50 * USD, 50 * USD),
        ("contract-review version 1", "wallet", -5 * USD, 45 * USD),
        ("contract-review version 1, not charged", "not verified", 0, 45 * USD),
        ("contract-review version 1, given back", "late", 1_500_000_001, 46_500_000_001),
    ]
    assert stating.parts_of(found.said.after) == (
        ("in the wallet", 41_500_000_001),
        ("held for work under way", 5 * USD),
    )


def test_a_pack_says_how_many_units_are_left(book: Book, tmp_path: Path) -> None:
    shop.customer(book, "acme", terms="invoice")
    selling.packs.create(
        book,
        name="ten",
        price_nano=20 * USD,
        currency="USD",
        units=10,
        actions=("contract-review",),
        at_us=OPENED_US,
        by_whom="test",
    )
    selling.grant_pack(
        book,
        grant_id=uuid.UUID(id_of("pack")),
        customer="acme",
        pack="ten",
        at_us=OPENED_US,
        paid="invoice",
        by_whom="test",
    )
    shop.settled(book, "acme", "one", at_us=OPENED_US + DAY_US)
    found = told(book, tmp_path, "acme")
    assert lines_of(found) == [
        ("pack ten, 10 units, on the next invoice", "", 0, 0),
        ("contract-review version 1", "1 unit of pack ten, 9 left", -2 * USD, -2 * USD),
    ]
    assert (found.said.after.credit_nano, found.said.after.owed_nano) == (18 * USD, 20 * USD)


def test_an_invoice_is_on_it_with_what_it_adds_and_its_payment(book: Book, tmp_path: Path) -> None:
    shop.customer(book, "acme", terms="invoice", details={"tax_name": "VAT", "tax_percent": "19"})
    shop.settled(book, "acme", "one", price="5.001", at_us=OPENED_US)
    books = Books(book, Lake(tmp_path / "lake"))
    at_us = OPENED_US + 10 * DAY_US
    kept = issuing.issue_so_far(books, "acme", at_us=at_us, by_whom="test")
    assert kept is not None
    issuing.pay(book, kept.number, payment_id=uuid.uuid4(), at_us=at_us + DAY_US, by_whom="test")
    note = issuing.credit(
        book,
        kept.number,
        credit_id=uuid.uuid4(),
        amount_nano=2 * USD,
        at_us=at_us + 2 * DAY_US,
        by_whom="test",
        reason="late",
    )
    pay_out(book, note.number, payment_id=uuid.uuid4(), at_us=at_us + 3 * DAY_US, by_whom="test")
    found = told(book, tmp_path, "acme")
    assert [(line.kind, line.amount_nano, line.after.balance_nano) for line in found.said.lines] == [
        (LineKind.BOUGHT, -5_001_000_000, -5_001_000_000),
        (LineKind.INVOICE, -949_000_000, -5_950_000_000),  # tax 0.95, less 0.001 that rounding left
        (LineKind.PAYMENT, 5_950_000_000, 0),
        (LineKind.CREDIT_NOTE, 2 * USD, 2 * USD),
        (LineKind.PAID_OUT, -2 * USD, 0),
    ]
    invoice = found.said.lines[1]
    assert (invoice.text, invoice.document) == (f"invoice {kept.number}", kept.number)
    assert stating.note_of(invoice, "USD") == "in all 5.95; rounding -0.001; tax 0.95"
    assert found.said.lines[2].text == f"payment of {kept.number}"


CENT = USD // 100
STEPS = st.lists(
    st.tuples(st.sampled_from(["top_up", "credit", "sell", "void", "reverse"]), st.integers(1, 9 * USD)),
    max_size=12,
)


@settings(max_examples=30, deadline=None)
@given(STEPS, st.integers(0, 12), st.sampled_from(["prepaid", "invoice", "team"]))
def test_any_history_cut_anywhere_adds_up(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]], cut: int, terms: str
) -> None:
    folder = tmp_path_factory.mktemp("shop")
    with shop.shop_in(folder, "acme", terms=terms) as book:
        shop.top_up(book, "acme", 100 * USD if terms == "prepaid" else CENT)
        for number, (step, nano) in enumerate(steps):
            _take(book, step, nano, f"t{number}", OPENED_US + number * DAY_US)
        cut_us = OPENED_US + cut * DAY_US
        whole, first, rest = (
            told(book, folder, "acme", **asked).said
            for asked in ({}, {"until_us": cut_us}, {"since_us": cut_us})
        )
        assert first.after == rest.before
        assert (*first.lines, *rest.lines) == whole.lines
        assert rest.after == whole.after
        assert whole.before.balance_nano + sum(whole.totals.values()) == whole.after.balance_nano
        found = selling.balance(book, "acme", at_us=OPENED_US)
        assert whole.after.credit_nano == (
            found.wallet_nano + found.grants_nano + found.held_nano + found.pending_nano
        )
        assert whole.after.owed_nano == -found.accrued_nano - found.receivable_nano


def _take(book: Book, step: str, nano: int, name: str, at_us: int) -> None:
    price = f"{nano // USD}.{nano % USD:09d}"
    if step == "top_up":
        shop.top_up(book, "acme", nano - nano % CENT + CENT, name)  # what is paid can be paid
    elif step == "credit":
        grant_id = uuid.UUID(id_of(name))
        selling.grant_credit(
            book, grant_id=grant_id, customer="acme", amount_nano=nano, at_us=at_us, by_whom="test"
        )
    elif step == "void":
        shop.held(book, "acme", name, price, at_us=at_us)
        selling.void(book, task_id=id_of(name), at_us=at_us + 1, reason="not done")
    else:
        shop.settled(book, "acme", name, price, at_us=at_us)
        if step == "reverse":
            given_nano = max(1, nano // 3)
            selling.reverse(
                book, task_id=id_of(name), at_us=at_us + DAY_US // 2, reason="no", amount_nano=given_nano
            )


def test_as_csv_each_balance_is_the_one_before_and_the_amount(book: Book, tmp_path: Path) -> None:
    _history(book)
    told_rows = list(stating.rows(told(book, tmp_path, "acme", since_us=OPENED_US + 1)))
    assert told_rows[0]["kind"] == "balance before"
    balances = [nano_of(parse_amount(str(row["balance"]))[0]) for row in told_rows]
    amounts = [nano_of(parse_amount(str(row["amount"]))[0]) for row in told_rows[1:]]
    assert amounts
    assert [one + amount for one, amount in zip(balances, amounts, strict=False)] == balances[1:]


def _history(book: Book) -> None:
    shop.customer(book, "acme")
    shop.top_up(book, "acme", 50 * USD)
    shop.settled(book, "acme", "one", price="4.000000001", at_us=OPENED_US + DAY_US)
    shop.settled(book, "acme", "two", at_us=OPENED_US + 2 * DAY_US)


def test_no_line_says_what_the_work_cost(book: Book, tmp_path: Path) -> None:
    _history(book)
    costs = selling.Costs(work_nano=777_000_000)
    selling.book_costs(book, task_id=id_of("one"), costs=costs, at_us=OPENED_US + 3 * DAY_US)
    document = stating.document_of(told(book, tmp_path, "acme"))
    assert "777" not in json.dumps(document)
    assert [line["kind"] for line in document["lines"]] == ["paid in", "bought", "bought"]  # type: ignore[attr-defined]


def test_the_newest_are_shown_with_the_balance_that_they_came_to(book: Book, tmp_path: Path) -> None:
    _history(book)
    found = told(book, tmp_path, "acme", latest=1)
    assert [line.after.balance_nano for line in found.said.lines] == [40_999_999_999]
    assert found.said.before.credit_nano == 45_999_999_999


def test_the_page_to_print_is_a_pdf(book: Book, tmp_path: Path) -> None:
    pytest.importorskip("typst")
    _history(book)
    found = told(book, tmp_path, "acme")
    assert rendering.statement_page(found, {"1": "Example GmbH"}, "Europe/Berlin").startswith(b"%PDF-")


def test_the_command_prints_a_table_csv_and_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with shop.shop_in(tmp_path) as book:
        _history(book)
        book.execute("UPDATE tasks SET external_id = 'order-17' WHERE id = ?", (id_of("one"),))

    def run(*words: str) -> str:
        result = CliRunner().invoke(root, ["customers", "statement", "acme", *words])
        assert result.exit_code == 0, result.output
        return result.stdout

    assert "Balance after: 40.999999999 USD (40.999999999 in the wallet)." in run()
    document = json.loads(run("--json"))
    assert document["after"]["balance"] == "40.999999999"
    assert document["lines"][1]["task_name"] == "order-17"
    rows = list(csv.DictReader(io.StringIO(run("--csv"))))
    assert [row["amount"] for row in rows] == ["", "50.000000000", "-4.000000001", "-5.000000000"]
