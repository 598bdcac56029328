"""One sale from quote to reversal: what moves, what does not, and what is refused."""

import uuid
from pathlib import Path

import pytest

from flatfare.core.errors import BadInput, Conflict, Contradiction, NotFound
from flatfare.core.ledger import Entry
from flatfare.core.outcome import Settlement
from flatfare.service import selling
from flatfare.service.selling import Costs, NotBillable, NotEnoughCredit
from flatfare.store.book import open_book
from tests.builders import OPENED_US, id_of
from tests.service.selling.shop import (
    DAY_US,
    SECOND_US,
    USD,
    customer,
    held,
    judge,
    open_task,
    quoted,
    settled,
    shop_in,
    signal,
    standing,
    top_up,
)

NOW_US = OPENED_US + SECOND_US


def settlement_of(book, name):
    return book.value("SELECT settlement FROM tasks WHERE id = ?", (id_of(name),))


def test_a_verified_task_is_paid_from_the_wallet(tmp_path: Path) -> None:
    book = shop_in(tmp_path, "acme")
    top_up(book, "acme", 20 * USD)
    held(book, "acme", "one")
    assert standing(book, "acme") == {"cash": -20 * USD, "wallet": 15 * USD, "hold": 5 * USD}
    assert settlement_of(book, "one") == "held"
    judge(book, "one")
    sale = selling.settle(book, task_id=id_of("one"), at_us=NOW_US)
    assert standing(book, "acme") == {"cash": -20 * USD, "wallet": 15 * USD, "revenue": 5 * USD}
    assert (sale.settlement, sale.settled_nano, settlement_of(book, "one")) == ("settled", 5 * USD, "settled")
    assert selling.verify(book) == []


def test_a_failed_task_is_not_billed_but_its_cost_is_booked(tmp_path: Path) -> None:
    book = shop_in(tmp_path, "acme")
    top_up(book, "acme", 20 * USD)
    held(book, "acme", "one")
    judge(book, "one", "failed")
    with pytest.raises(NotBillable, match="the task is failed, and only verified work is billed"):
        selling.settle(book, task_id=id_of("one"), at_us=NOW_US)
    sale = selling.void(
        book, task_id=id_of("one"), at_us=NOW_US, reason="failed", costs=Costs(300, 40, reason=None)
    )
    assert standing(book, "acme") == {
        "cash": -20 * USD,
        "wallet": 20 * USD,
        "model_cost": -300,
        "verification_cost": -40,
        "payable": 340,
    }
    assert (sale.settlement, sale.margin_nano, settlement_of(book, "one")) == ("voided", -340, "voided")
    assert selling.verify(book) == []


def test_nothing_is_settled_without_evidence(tmp_path: Path) -> None:
    book = shop_in(tmp_path, "acme")
    top_up(book, "acme", 20 * USD)
    held(book, "acme", "one")
    judge(book, "one", evidence=False)
    with pytest.raises(NotBillable, match="no verdict says on what evidence"):
        selling.settle(book, task_id=id_of("one"), at_us=NOW_US)
    held(book, "acme", "two")
    with pytest.raises(NotBillable, match="the task is open"):
        selling.settle(book, task_id=id_of("two"), at_us=NOW_US)


@pytest.mark.parametrize(("assumed", "is_billed"), [("free", False), ("billable", True)])
def test_silence_is_billed_only_where_the_price_says_so(
    tmp_path: Path, assumed: str, is_billed: bool
) -> None:
    book = shop_in(tmp_path, "acme")
    top_up(book, "acme", 20 * USD)
    held(book, "acme", "one", {"per_verified": "5.00", "assumed": assumed})
    judge(book, "one", "assumed")
    if is_billed:
        sale = selling.settle(book, task_id=id_of("one"), at_us=NOW_US)
        assert (sale.settled_nano, sale.lines) == (5 * USD, (("assumed", 5 * USD),))
    else:
        with pytest.raises(NotBillable, match="the task is assumed"):
            selling.settle(book, task_id=id_of("one"), at_us=NOW_US)


def test_what_is_not_due_of_a_hold_goes_back_where_it_came_from(tmp_path: Path) -> None:
    book = shop_in(tmp_path, "acme")
    top_up(book, "acme", 20 * USD)
    price = {"per_verified": "5.00", "per_attempt": "0.10"}
    sale = held(book, "acme", "one", price, attempts_max=4)
    assert sale.held_nano == 5_400_000_000
    judge(book, "one")
    sale = selling.settle(book, task_id=id_of("one"), at_us=NOW_US, attempts=2)
    assert sale.settled_nano == 5_200_000_000
    assert [line[0] for line in sale.lines] == ["2 × 0.10 per attempt", "verified"]
    assert standing(book, "acme")["wallet"] == 20 * USD - 5_200_000_000


def test_a_signal_can_make_work_free_or_cheaper(tmp_path: Path) -> None:
    book = shop_in(tmp_path, "acme")
    top_up(book, "acme", 20 * USD)
    price = {
        "per_verified": "5.00",
        "when": [
            {"signal": "csat", "below": 3, "then": "free"},
            {"signal": "csat", "below": 4, "percent": 50},
        ],
    }
    for name, csat in (("bad", "2"), ("fair", "3"), ("good", "5")):
        held(book, "acme", name, price)
        judge(book, name)
        signal(book, name, "csat", csat)
    with pytest.raises(NotBillable, match="free by the signal 'csat'"):
        selling.settle(book, task_id=id_of("bad"), at_us=NOW_US)
    assert selling.settle(book, task_id=id_of("fair"), at_us=NOW_US).settled_nano == 2_500_000_000
    assert selling.settle(book, task_id=id_of("good"), at_us=NOW_US).settled_nano == 5 * USD


def test_a_reversal_gives_back_once_and_revenue_stays_beside_refunds(tmp_path: Path) -> None:
    book = shop_in(tmp_path, "acme")
    top_up(book, "acme", 20 * USD)
    settled(book, "acme", "one")
    sale = selling.reverse(book, task_id=id_of("one"), at_us=NOW_US, reason="reopened")
    expected = {"cash": -20 * USD, "wallet": 20 * USD, "revenue": 5 * USD, "refunds": -5 * USD}
    assert standing(book, "acme") == expected
    assert (sale.net_nano, settlement_of(book, "one")) == (0, "reversed")
    again = selling.reverse(book, task_id=id_of("one"), at_us=NOW_US + 1, reason="reopened")
    assert again == sale
    assert standing(book, "acme") == expected
    with pytest.raises(Conflict, match="An id is used again only to say the same"):
        selling.reverse(book, task_id=id_of("one"), at_us=NOW_US, reason="another reason")
    with pytest.raises(Conflict, match="is reversed since"):
        selling.reverse(book, task_id=id_of("one"), entry_id=uuid.uuid4(), at_us=NOW_US, reason="again")
    (reversal,) = [e for e in selling.entries(book, task_id=id_of("one")) if e.verb == "reverse"]
    (settlement,) = [e for e in selling.entries(book, task_id=id_of("one")) if e.verb == "settle"]
    assert reversal.reverses == settlement.id
    assert selling.verify(book) == []


def test_a_part_is_given_back_and_never_more_than_was_settled(tmp_path: Path) -> None:
    book = shop_in(tmp_path, "acme")
    top_up(book, "acme", 20 * USD)
    settled(book, "acme", "one")
    for nano in (5 * USD + 1, 0, -1):
        with pytest.raises(BadInput, match="at most what was settled"):
            selling.reverse(book, task_id=id_of("one"), at_us=NOW_US, reason="x", amount_nano=nano)
    sale = selling.reverse(book, task_id=id_of("one"), at_us=NOW_US, reason="x", amount_nano=2 * USD)
    assert (sale.net_nano, standing(book, "acme")["wallet"]) == (3 * USD, 17 * USD)
    assert settlement_of(book, "one") == "settled"  # the rest of it is earned still


def test_parts_are_given_back_until_nothing_is_left(tmp_path: Path) -> None:
    book = shop_in(tmp_path, "acme")
    top_up(book, "acme", 20 * USD)
    settled(book, "acme", "one")

    def back(mark: str, nano: int | None) -> selling.Sale:
        own = uuid.UUID(id_of(mark))
        return selling.reverse(
            book, task_id=id_of("one"), entry_id=own, at_us=NOW_US, reason=mark, amount_nano=nano
        )

    assert back("late", 2 * USD).net_nano == 3 * USD
    assert back("late", 2 * USD).net_nano == 3 * USD  # the same id is the same part
    with pytest.raises(BadInput, match=r"3\.00 that are left"):
        back("again", 4 * USD)
    with pytest.raises(Conflict, match="An id is used again only to say the same"):
        back("late", USD)
    assert back("again", USD).net_nano == 2 * USD
    sale = back("all the rest", None)
    assert (sale.reversed_nano, sale.net_nano, settlement_of(book, "one")) == (5 * USD, 0, "reversed")
    with pytest.raises(Conflict, match="is reversed since"):
        back("more", 1)
    assert standing(book, "acme") == {
        "cash": -20 * USD,
        "wallet": 20 * USD,
        "revenue": 5 * USD,
        "refunds": -5 * USD,
    }
    (settlement,) = [e for e in selling.entries(book, task_id=id_of("one")) if e.verb == "settle"]
    parts = [e for e in selling.entries(book, task_id=id_of("one")) if e.verb == "reverse"]
    assert [part.reverses for part in parts] == [settlement.id] * 3
    assert selling.verify(book) == []
    with open_book(":memory:") as fresh:
        selling.rebuilt(book, fresh)
        assert selling.differences(book, fresh) == []


def test_a_task_that_turns_gives_back_what_a_part_has_left(tmp_path: Path) -> None:
    book = shop_in(tmp_path, "acme")
    top_up(book, "acme", 20 * USD)
    settled(book, "acme", "one")
    selling.reverse(book, task_id=id_of("one"), at_us=NOW_US, reason="late", amount_nano=2 * USD)
    judge(book, "one", "reversed")
    assert selling.follow(book, now_us=NOW_US).turned == 1
    assert (standing(book, "acme")["wallet"], settlement_of(book, "one")) == (20 * USD, "reversed")
    assert selling.follow(book, now_us=NOW_US).turned == 0


@pytest.mark.parametrize(
    ("before", "verb", "says"),
    [
        ("settled", "void", "is settled since"),
        ("voided", "settle", "is voided since"),
        ("voided", "reverse", "is voided since"),
        ("held", "reverse", "is held: it cannot become reversed"),
        ("reversed", "settle", "is reversed since"),
        ("reversed", "void", "is reversed since"),
    ],
)
def test_money_moves_only_forward(tmp_path: Path, before: str, verb: str, says: str) -> None:
    book = shop_in(tmp_path, "acme")
    top_up(book, "acme", 20 * USD)
    held(book, "acme", "one")
    judge(book, "one")
    if before in ("settled", "reversed"):
        selling.settle(book, task_id=id_of("one"), at_us=NOW_US)
    if before == "reversed":
        selling.reverse(book, task_id=id_of("one"), at_us=NOW_US, reason="x")
    if before == "voided":
        selling.void(book, task_id=id_of("one"), at_us=NOW_US, reason="x")
    stood = standing(book, "acme")
    more = {} if verb == "settle" else {"reason": "x"}
    with pytest.raises(Conflict, match=says):
        getattr(selling, verb)(book, task_id=id_of("one"), entry_id=uuid.uuid4(), at_us=NOW_US, **more)
    assert standing(book, "acme") == stood


def test_a_retry_of_any_verb_moves_nothing_and_says_what_stands(tmp_path: Path) -> None:
    book = shop_in(tmp_path, "acme")
    top_up(book, "acme", 20 * USD)
    top_up(book, "acme", 20 * USD)
    task_id = open_task(book, "one")
    quote_id = quoted(book, "acme", "one")
    assert quoted(book, "acme", "one") == quote_id
    first = selling.hold(book, task_id=task_id, quote_id=quote_id, at_us=NOW_US)
    assert selling.hold(book, task_id=task_id, quote_id=quote_id, at_us=NOW_US + 5) == first
    judge(book, "one")
    sale = selling.settle(book, task_id=task_id, at_us=NOW_US)
    assert selling.settle(book, task_id=task_id, at_us=NOW_US + 9) == sale
    assert selling.hold(book, task_id=task_id, quote_id=quote_id, at_us=NOW_US) == sale
    with pytest.raises(Conflict, match="used again only to say the same"):
        selling.settle(book, task_id=task_id, at_us=NOW_US, attempts=2)
    assert standing(book, "acme") == {"cash": -20 * USD, "wallet": 15 * USD, "revenue": 5 * USD}
    with pytest.raises(Conflict, match="used again only to say the same"):
        top_up(book, "acme", 21 * USD)
    with pytest.raises(Conflict, match="a quote on other terms"):
        quoted(book, "acme", "one", "6.00")


def test_a_quote_is_used_once_and_expires(tmp_path: Path) -> None:
    book = shop_in(tmp_path, "acme")
    top_up(book, "acme", 20 * USD)
    quote_id = quoted(book, "acme", "one")
    selling.hold(book, task_id=open_task(book, "one"), quote_id=quote_id, at_us=NOW_US)
    with pytest.raises(Conflict, match="used by another task"):
        selling.hold(book, task_id=open_task(book, "two"), quote_id=quote_id, at_us=NOW_US)
    late = quoted(book, "acme", "three")
    with pytest.raises(Conflict, match="has expired at 2026-01-10T10:00:00Z"):
        selling.hold(book, task_id=open_task(book, "three"), quote_id=late, at_us=OPENED_US + DAY_US)
    another = quoted(book, "acme", "one again")
    with pytest.raises(Conflict, match="is held: it cannot become held"):
        selling.hold(book, task_id=id_of("one"), quote_id=another, entry_id=uuid.uuid4(), at_us=NOW_US)
    assert standing(book, "acme") == {"cash": -20 * USD, "wallet": 15 * USD, "hold": 5 * USD}


def test_too_little_credit_is_said_with_what_is_there(tmp_path: Path) -> None:
    book = shop_in(tmp_path, "acme")
    top_up(book, "acme", 3 * USD)
    with pytest.raises(
        NotEnoughCredit, match=r"acme has 3.00 USD for contract-review, which needs 5.00"
    ) as no:
        held(book, "acme", "one")
    assert (no.value.exit_code, no.value.http_status) == (3, 402)
    assert standing(book, "acme") == {"cash": -3 * USD, "wallet": 3 * USD}
    assert settlement_of(book, "one") == "none"


def test_what_nobody_knows_is_not_found(tmp_path: Path) -> None:
    book = shop_in(tmp_path, "acme")
    with pytest.raises(NotFound, match="no customer 'nobody'"):
        quoted(book, "nobody", "one")
    with pytest.raises(NotFound, match="There is no quote"):
        selling.hold(book, task_id=id_of("one"), quote_id=uuid.uuid4(), at_us=NOW_US)
    with pytest.raises(NotFound, match="record that it is opened"):
        selling.hold(book, task_id=id_of("one"), quote_id=quoted(book, "acme", "one"), at_us=NOW_US)
    for verb in (selling.settle, selling.sale_of):
        with pytest.raises(NotFound, match="nothing was held for it"):
            verb(book, task_id=id_of("x"), **({"at_us": NOW_US} if verb is selling.settle else {}))


def test_currencies_do_not_mix(tmp_path: Path) -> None:
    book = shop_in(tmp_path, "acme", currency="EUR")
    with pytest.raises(BadInput, match="amount in USD for acme, whose books are in EUR"):
        quoted(book, "acme", "one", "5.00")
    with pytest.raises(BadInput, match="amount in USD for acme"):
        top_up(book, "acme", USD)
    top_up(book, "acme", 10 * USD, currency="EUR")
    held(book, "acme", "one", {"currency": "EUR", "per_verified": "5.00"})
    judge(book, "one")
    sale = selling.settle(book, task_id=id_of("one"), at_us=NOW_US, costs=Costs(7))
    assert sale.margin_nano is None
    assert standing(book, "acme") == {
        "cash EUR": -10 * USD,
        "wallet EUR": 5 * USD,
        "revenue EUR": 5 * USD,
        "model_cost": -7,
        "payable": 7,
    }
    assert selling.verify(book) == []


def test_on_invoice_what_is_held_is_pending_and_what_is_settled_accrues(tmp_path: Path) -> None:
    book = shop_in(tmp_path)
    customer(book, "acme", terms="invoice", credit_limit_nano=8 * USD)
    held(book, "acme", "one")
    assert standing(book, "acme") == {"pending": -5 * USD, "hold": 5 * USD}
    with pytest.raises(NotEnoughCredit, match=r"acme has 3\.00 USD"):
        held(book, "acme", "two")
    judge(book, "one")
    selling.settle(book, task_id=id_of("one"), at_us=NOW_US)
    assert standing(book, "acme") == {"accrued": -5 * USD, "revenue": 5 * USD}
    held(book, "acme", "three", "3.00")
    selling.void(book, task_id=id_of("three"), at_us=NOW_US, reason="cancelled")
    selling.reverse(book, task_id=id_of("one"), at_us=NOW_US, reason="reopened")
    assert standing(book, "acme") == {"revenue": 5 * USD, "refunds": -5 * USD}
    lines = selling.account_postings(book, "accrued:acme:USD")
    assert [(position, entry.verb, nano) for position, entry, nano, _ in lines] == [
        (1, "settle", -5 * USD),
        (2, "reverse", 5 * USD),
    ]
    assert selling.verify(book) == []


def test_a_team_is_charged_back_what_it_used(tmp_path: Path) -> None:
    book = shop_in(tmp_path, "search", terms="team")
    settled(book, "search", "one")
    assert standing(book, "search") == {"team": -5 * USD, "revenue": 5 * USD}


def test_the_costs_of_a_task_are_booked_as_they_become_known(tmp_path: Path) -> None:
    book = shop_in(tmp_path, "acme", terms="invoice")
    settled(book, "acme", "one")
    for costs in (Costs(100), Costs(100), Costs(150, 20, 7), Costs(90, 20, 7, "one call has no price")):
        sale = selling.book_costs(book, task_id=id_of("one"), costs=costs, at_us=NOW_US)
        assert sale.costs == costs
    stood = standing(book, "acme")
    assert [stood[k] for k in ("model_cost", "verification_cost", "rework_cost", "payable")] == [
        -90,
        -20,
        -7,
        117,
    ]
    assert sale.margin_nano is None  # part of the cost is unknown
    assert len([e for e in selling.entries(book, customer="acme") if e.verb == "cost"]) == 3
    assert selling.verify(book) == []


def test_what_was_known_later_of_a_cost_stands(tmp_path: Path) -> None:
    book = shop_in(tmp_path, "acme", terms="invoice")
    settled(book, "acme", "one")
    selling.book_costs(book, task_id=id_of("one"), costs=Costs(150), at_us=NOW_US + 5)
    late = selling.book_costs(book, task_id=id_of("one"), costs=Costs(100), at_us=NOW_US + 4)
    assert late.costs == Costs(150)
    assert standing(book, "acme")["model_cost"] == -150


def test_any_other_entry_is_posted_once_and_balances(tmp_path: Path) -> None:
    book = shop_in(tmp_path, "acme", terms="invoice")
    settled(book, "acme", "one")
    one = uuid.uuid4()
    issue = {
        "entry_id": one,
        "verb": "issue",
        "customer": "acme",
        "at_us": NOW_US,
        "by_whom": "test",
        "reference": "2026-01",
    }
    postings = [("accrued", "acme", 5 * USD, "USD"), ("receivable", "acme", -5 * USD, "USD")]

    def posted(**given: object) -> Entry:
        with book.writing_of(selling.lock_of("acme")):
            return selling.post(book, **given)  # type: ignore[arg-type]

    entry = posted(postings=postings, **issue)
    assert posted(postings=postings[::-1], **issue) == entry
    with pytest.raises(Conflict):
        posted(postings=postings, **{**issue, "reference": "2026-02"})
    with pytest.raises(Contradiction, match="sum to 1 nano"):
        posted(postings=[*postings, ("tax", "acme", 1, "USD")], **{**issue, "entry_id": uuid.uuid4()})
    with pytest.raises(NotEnoughCredit, match="more is taken than is there"):
        posted(
            postings=[("wallet", "acme", -1, "USD"), ("cash", "acme", 1, "USD")],
            **{**issue, "entry_id": uuid.uuid4()},
        )
    with pytest.raises(BadInput, match="not of their books"):
        posted(
            postings=[("wallet", "other", 1, "USD"), ("cash", "acme", -1, "USD")],
            **{**issue, "entry_id": uuid.uuid4()},
        )
    credit = {**issue, "verb": "credit_note", "reverses": one}
    with pytest.raises(NotFound, match="could be reversed"):
        posted(postings=postings, **{**credit, "reverses": uuid.uuid4()})
    back = [("accrued", "acme", -5 * USD, "USD"), ("receivable", "acme", 5 * USD, "USD")]
    posted(postings=back, **{**credit, "entry_id": uuid.uuid4()})
    with pytest.raises(Conflict, match="reversed at most once"):
        posted(postings=back, **{**credit, "entry_id": uuid.uuid4()})
    assert selling.verify(book) == []


def test_what_is_reversed_in_truth_is_given_back_once(tmp_path: Path) -> None:
    book = shop_in(tmp_path, "acme")
    top_up(book, "acme", 20 * USD)
    for name in ("one", "two"):
        settled(book, "acme", name)
    assert selling.follow(book, now_us=NOW_US) == selling.Followed()
    judge(book, "one", "reversed")
    book.execute("UPDATE tasks SET is_disputed = 1 WHERE id = ?", (id_of("one"),))
    assert selling.follow(book, now_us=NOW_US + 9) == selling.Followed()  # whoever decides it gives it back
    book.execute("UPDATE tasks SET is_disputed = 0 WHERE id = ?", (id_of("one"),))
    assert selling.follow(book, now_us=NOW_US + 9) == selling.Followed(turned=1)
    assert selling.follow(book, now_us=NOW_US + 10) == selling.Followed()
    sale = selling.sale_of(book, id_of("one"))
    assert (sale.settlement, sale.reversed_nano, settlement_of(book, "one")) == (
        "reversed",
        5 * USD,
        "reversed",
    )
    assert standing(book, "acme")["wallet"] == 15 * USD
    assert selling.verify(book) == []


def test_a_signal_that_comes_after_the_settlement_changes_what_is_due(tmp_path: Path) -> None:
    book = shop_in(tmp_path, "acme")
    top_up(book, "acme", 40 * USD)
    when = [{"signal": "csat", "below": 3, "then": "free"}, {"signal": "csat", "below": 4, "percent": 50}]
    for name in ("bad", "fair", "good", "silent"):
        settled(book, "acme", name, {"per_verified": "5.00", "when": when})
    settled(book, "acme", "plain")
    for name, csat in (("bad", "1"), ("fair", "3"), ("good", "5"), ("plain", "1")):
        signal(book, name, "csat", csat, at_us=NOW_US)
    assert selling.follow(book, now_us=NOW_US + 9) == selling.Followed(signalled=2)
    assert selling.follow(book, now_us=NOW_US + 9) == selling.Followed()
    nets = {n: selling.sale_of(book, id_of(n)).net_nano for n in ("bad", "fair", "good", "silent", "plain")}
    assert nets == {
        "bad": 0,
        "fair": 2_500_000_000,
        "good": 5 * USD,
        "silent": 5 * USD,
        "plain": 5 * USD,
    }
    assert selling.verify(book) == []


def test_the_moves_are_those_of_the_contract() -> None:
    from flatfare.core.sale import MOVES

    assert {(a, b) for a, ends in MOVES.items() for b in ends} == {
        (Settlement.NONE, Settlement.HELD),
        (Settlement.HELD, Settlement.SETTLED),
        (Settlement.HELD, Settlement.VOIDED),
        (Settlement.SETTLED, Settlement.REVERSED),
    }


def test_sales_are_the_same_on_both_databases(database: str) -> None:
    with open_book(database) as book:
        customer(book, "acme")
        top_up(book, "acme", 20 * USD)
        settled(book, "acme", "one")
        held(book, "acme", "two")
        selling.void(book, task_id=id_of("two"), at_us=NOW_US, reason="x", costs=Costs(5))
        selling.reverse(book, task_id=id_of("one"), at_us=NOW_US, reason="x", amount_nano=USD)
        assert standing(book, "acme") == {
            "cash": -20 * USD,
            "wallet": 16 * USD,
            "revenue": 5 * USD,
            "refunds": -USD,
            "model_cost": -5,
            "payable": 5,
        }
        assert selling.verify(book) == []
        assert selling.totals(book)[selling.Kind.REVENUE] == {"USD": 5 * USD}
        assert [sale.settlement for sale in selling.sales_of(book, customer="acme", settlement="voided")] == [
            "voided"
        ]
