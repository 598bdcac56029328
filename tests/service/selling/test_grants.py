"""Packs and credit: drawn down in the stated order, unwound in the recorded one, and what expires."""

import uuid
from pathlib import Path

import pytest

from flatfare.core.currency import decimals_of
from flatfare.core.errors import BadInput, Conflict, NotFound
from flatfare.service import selling
from flatfare.service.selling import granting
from flatfare.store import sales
from flatfare.store.book import Book
from tests.builders import OPENED_US, id_of
from tests.service.selling.shop import (
    DAY_US,
    SECOND_US,
    USD,
    held,
    judge,
    settled,
    shop_in,
    standing,
    top_up,
)

NOW_US = OPENED_US + SECOND_US


def give(book: Book, name: str, nano: int, **terms: object) -> str:
    """A lot of credit for acme; returns its id."""
    grant_id = uuid.UUID(id_of(f"grant {name}"))
    selling.grant_credit(
        book,
        grant_id=grant_id,
        customer="acme",
        amount_nano=nano,
        at_us=OPENED_US,
        by_whom="test",
        **terms,  # type: ignore[arg-type]
    )
    return str(grant_id)


def offer(book: Book, name: str = "blog-10", **terms: object) -> None:
    """Ten blog posts for $20, or as said."""
    usual = {"price_nano": 20 * USD, "units": 10, "actions": ("blog-post",)}
    selling.packs.create(book, name=name, at_us=OPENED_US, by_whom="test", **(usual | terms))


def buy(book: Book, pack: str = "blog-10", mark: str = "", **terms: object) -> str:
    """Sell acme a pack; returns the lot's id."""
    grant_id = uuid.UUID(id_of(f"bought {pack} {mark}"))
    selling.grant_pack(
        book,
        grant_id=grant_id,
        customer="acme",
        pack=pack,
        at_us=OPENED_US,
        by_whom="test",
        **terms,  # type: ignore[arg-type]
    )
    return str(grant_id)


def left(book: Book) -> dict[str, int]:
    """What is left of each lot, by its id, and in the wallet."""
    balance = selling.balance(book, "acme", at_us=NOW_US)
    return {lot.id: nano for lot, nano in balance.grants} | {"wallet": balance.wallet_nano}


def test_lots_are_drawn_by_priority_then_expiry_then_gifts_then_age_and_the_wallet_last(
    tmp_path: Path,
) -> None:
    book = shop_in(tmp_path, "acme")
    top_up(book, "acme", USD)
    order = [
        give(book, "first", USD, priority=1, paid="cash"),
        give(book, "soon", USD, expires_at_us=OPENED_US + DAY_US, paid="cash"),
        give(book, "later", USD, expires_at_us=OPENED_US + 2 * DAY_US, paid="cash"),
        give(book, "gift", USD),
        give(book, "paid", USD, paid="cash"),
        give(book, "last", USD, priority=200),
    ]
    give(book, "other", USD, actions=("translation",))
    sale = held(book, "acme", "one", "6.50")
    assert [draw.account.owner for draw in sale.draws] == [*order, "acme"]
    assert [draw.amount_nano for draw in sale.draws] == [USD] * 6 + [USD // 2]


def test_what_comes_back_goes_back_in_the_opposite_order_to_the_same_lots(tmp_path: Path) -> None:
    book = shop_in(tmp_path, "acme")
    top_up(book, "acme", 10 * USD)
    first, second = give(book, "a", 2 * USD, priority=1), give(book, "b", 2 * USD, priority=2)
    settled(book, "acme", "one", "6.00")
    assert left(book) == {"wallet": 8 * USD}
    selling.reverse(book, task_id=id_of("one"), at_us=NOW_US, reason="x", amount_nano=5 * USD)
    assert left(book) == {"wallet": 10 * USD, second: 2 * USD, first: USD}
    assert selling.verify(book) == []


def test_a_pack_gives_a_unit_for_a_sale_whatever_its_price(tmp_path: Path) -> None:
    book = shop_in(tmp_path, "acme")
    top_up(book, "acme", 10 * USD)
    offer(book)
    lot = buy(book)
    assert standing(book, "acme") == {"cash": -30 * USD, "wallet": 10 * USD, "grant": 20 * USD}
    sale = settled(book, "acme", "one", "3.00", action="blog-post")
    assert (sale.is_paid_by_unit, sale.settled_nano) == (True, 2 * USD)
    settled(book, "acme", "two", "3.00", action="contract-review")
    assert left(book) == {lot: 18 * USD, "wallet": 7 * USD}
    held(book, "acme", "three", "3.00", action="blog-post")
    selling.void(book, task_id=id_of("three"), at_us=NOW_US, reason="failed")
    with pytest.raises(BadInput, match="given back whole"):
        selling.reverse(book, task_id=id_of("one"), at_us=NOW_US, reason="x", amount_nano=USD)
    selling.reverse(book, task_id=id_of("one"), at_us=NOW_US, reason="x")
    assert left(book) == {lot: 20 * USD, "wallet": 7 * USD}
    assert selling.verify(book) == []


def test_the_last_unit_is_sold_once_and_then_money_pays(tmp_path: Path) -> None:
    book = shop_in(tmp_path, "acme")
    top_up(book, "acme", 10 * USD)
    offer(book, "blog-3", units=3)
    buy(book, "blog-3")
    stood = standing(book, "acme")
    assert stood["grant"] + stood["rounding"] == 20 * USD  # what does not divide by three is rounding
    assert stood["rounding"] == 2
    sales_made = [held(book, "acme", f"{n}", "3.00", action="blog-post") for n in range(4)]
    assert [sale.is_paid_by_unit for sale in sales_made] == [True, True, True, False]
    assert standing(book, "acme")["wallet"] == 7 * USD


def test_a_pack_bought_on_invoice_accrues_and_a_gift_is_a_promotion(tmp_path: Path) -> None:
    book = shop_in(tmp_path, "acme", terms="invoice")
    offer(book)
    offer(book, "credit", units=None, actions=(), credit_nano=25 * USD)
    buy(book, paid="invoice")
    assert standing(book, "acme") == {"accrued": -20 * USD, "grant": 20 * USD}
    buy(book, "credit")
    assert standing(book, "acme") == {
        "accrued": -20 * USD,
        "cash": -20 * USD,
        "promotion": -5 * USD,
        "grant": 45 * USD,
    }
    buy(book, mark="gift", paid="promotion")
    assert standing(book, "acme")["promotion"] == -25 * USD


def test_a_hold_keeps_its_lot_when_the_lot_expires_in_the_meantime(tmp_path: Path) -> None:
    book = shop_in(tmp_path, "acme")
    offer(book, expires_days=1)
    lot = buy(book)
    held(book, "acme", "one", "3.00", action="blog-post")
    later_us = OPENED_US + 2 * DAY_US
    assert selling.expire_lots(book, now_us=later_us) == 1
    assert selling.expire_lots(book, now_us=later_us) == 0
    assert standing(book, "acme") == {"cash": -20 * USD, "breakage": 18 * USD, "hold": 2 * USD}
    judge(book, "one")
    sale = selling.settle(book, task_id=id_of("one"), at_us=later_us)
    assert sale.settled_nano == 2 * USD
    selling.reverse(book, task_id=id_of("one"), at_us=later_us, reason="reopened")
    ((fresh, nano),) = selling.balance(book, "acme", at_us=later_us).grants
    assert (nano, fresh.units, fresh.actions, fresh.category) == (2 * USD, 1, ("blog-post",), "promotion")
    assert fresh.expires_at_us == later_us + 30 * DAY_US
    assert fresh.id != lot
    assert standing(book, "acme") == {
        "cash": -20 * USD,
        "breakage": 20 * USD,
        "revenue": 2 * USD,
        "refunds": -2 * USD,
        "promotion": -2 * USD,
        "grant": 2 * USD,
    }
    assert selling.verify(book) == []


def test_a_gift_that_expires_is_taken_back_and_is_not_earned(tmp_path: Path) -> None:
    book = shop_in(tmp_path, "acme")
    give(book, "gift", 2 * USD, expires_at_us=OPENED_US + DAY_US)
    held(book, "acme", "one", "1.00")
    selling.void(book, task_id=id_of("one"), at_us=OPENED_US + DAY_US, reason="late")
    assert standing(book, "acme") == {"promotion": -2 * USD, "grant": 2 * USD}
    assert selling.expire_lots(book, now_us=OPENED_US + DAY_US) == 1
    assert standing(book, "acme") == {"promotion": -USD, "grant": USD}  # what came back is a new lot
    assert selling.expire_lots(book, now_us=OPENED_US + 31 * DAY_US) == 1
    assert standing(book, "acme") == {}
    assert selling.verify(book) == []


def test_an_expired_or_foreign_lot_is_never_drawn(tmp_path: Path) -> None:
    book = shop_in(tmp_path, "acme", "other")
    give(book, "gone", USD, expires_at_us=OPENED_US + 1)
    with pytest.raises(selling.NotEnoughCredit):
        held(book, "other", "one", "1.00")
    assert held(book, "acme", "two", "1.00").draws[0].amount_nano == USD
    selling.void(book, task_id=id_of("two"), at_us=OPENED_US, reason="x")
    quote_id = uuid.uuid4()
    from flatfare.core.action_price import parse_price

    selling.quote(
        book,
        quote_id=quote_id,
        customer="acme",
        action="a",
        action_version="1",
        price=parse_price("1.00"),
        at_us=OPENED_US,
    )
    with pytest.raises(selling.NotEnoughCredit, match=r"acme has 0\.00 USD"):
        selling.hold(book, task_id=id_of("one"), quote_id=quote_id, at_us=OPENED_US + 1)


def test_the_same_grant_is_given_once(tmp_path: Path) -> None:
    book = shop_in(tmp_path, "acme")
    offer(book)
    assert buy(book) == buy(book)
    assert standing(book, "acme")["grant"] == 20 * USD
    with pytest.raises(Conflict):
        buy(book, paid="promotion")
    assert give(book, "x", USD) == give(book, "x", USD)
    with pytest.raises(Conflict):
        give(book, "x", 2 * USD)
    assert standing(book, "acme")["grant"] == 21 * USD


def test_packs_are_checked_and_never_change(tmp_path: Path) -> None:
    book = shop_in(tmp_path, "acme")
    offer(book)
    with pytest.raises(Conflict, match="a pack never changes"):
        offer(book, price_nano=10 * USD)
    for terms in ({"units": 0}, {"actions": ()}, {"credit_nano": 5}, {"expires_days": 0}, {"price_nano": -1}):
        with pytest.raises(BadInput):
            offer(book, "bad", **terms)
    with pytest.raises(NotFound, match="There are: blog-10"):
        buy(book, "nothing")
    lot = buy(book, mark="before")
    selling.packs.withdraw(book, "blog-10", at_us=NOW_US, by_whom="test")
    with pytest.raises(Conflict, match="offered no more"):
        buy(book, mark="after")
    assert buy(book, mark="before") == lot  # a retry of what was sold


def test_available_counts_what_pays_for_any_action(tmp_path: Path) -> None:
    book = shop_in(tmp_path, "acme")
    top_up(book, "acme", 3 * USD)
    give(book, "a", USD)
    give(book, "b", USD, actions=("translation",))
    offer(book)
    buy(book)
    assert selling.balance(book, "acme", at_us=NOW_US).available_nano == 4 * USD
    assert len(sales.grants_of(book, "acme")) == 3


@pytest.mark.parametrize(
    ("currency", "nano", "says"),
    [
        ("JPY", USD // 2, r"Found 0\.5 JPY to be paid: JPY has no decimals \(ISO 4217\)\. Write .* 1\."),
        ("USD", 1_005_000_000, r"Found 1\.005 USD to be paid: USD has 2 decimals .* such as 1\.01\."),
        ("KWD", 1_000_500_000, r"Found 1\.0005 KWD to be paid: KWD has 3 decimals .* such as 1\.001\."),
    ],
)
def test_money_finer_than_its_currency_is_not_taken(
    tmp_path: Path, currency: str, nano: int, says: str
) -> None:
    book = shop_in(tmp_path, "acme", currency=currency)
    with pytest.raises(BadInput, match=says):
        top_up(book, "acme", nano, currency=currency)
    for paid in ("cash", "invoice"):
        with pytest.raises(BadInput, match=says):
            give(book, paid, nano, paid=paid)
    with pytest.raises(BadInput, match=says):
        offer(book, currency=currency, price_nano=nano, units=1)
    assert standing(book, "acme") == {}
    step = USD // 10 ** decimals_of(currency)
    top_up(book, "acme", step, currency=currency)
    give(book, "a gift of any size", nano)
    assert standing(book, "acme")[f"wallet {currency}".removesuffix(" USD")] == step


def test_what_was_taken_once_is_known_when_it_is_told_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A book in which half a yen was paid in stays one to which nothing happens twice."""
    book = shop_in(tmp_path, "acme", currency="JPY")
    with monkeypatch.context() as before:
        before.setattr(granting, "check_payable", lambda nano, code: nano)
        top_up(book, "acme", USD // 2, currency="JPY")
        lot = give(book, "paid", USD // 2, paid="cash")
    top_up(book, "acme", USD // 2, currency="JPY")
    assert give(book, "paid", USD // 2, paid="cash") == lot
    assert standing(book, "acme")["cash JPY"] == -USD
