"""What the versions of an action came to, each currency by itself."""

from pathlib import Path

from flatfare.core.sale import Costs
from flatfare.service import selling
from flatfare.service.selling.summing import Sold, sold
from tests.builders import OPENED_US, id_of
from tests.service.selling.shop import SECOND_US, USD, customer, held, settled, shop_in, top_up


def test_sales_in_two_currencies_are_never_added(tmp_path: Path) -> None:
    with shop_in(tmp_path, "acme") as book:
        customer(book, "essen", currency="EUR")
        top_up(book, "acme", 100 * USD)
        top_up(book, "essen", 100 * USD, currency="EUR")
        for name in ("one", "two"):
            settled(book, "acme", name)
        settled(book, "essen", "three", {"currency": "EUR", "per_verified": "4.00"})
        held(book, "essen", "four", {"currency": "EUR", "per_verified": "4.00"})
        held(book, "acme", "five")
        assert sold(book) == {
            ("contract-review", "1"): [
                Sold("USD", 3, 2, net_nano=10 * USD, held_nano=5 * USD, margin_nano=10 * USD),
                Sold("EUR", 2, 1, net_nano=4 * USD, held_nano=4 * USD, margin_nano=None),
            ]
        }


def test_a_margin_is_known_where_that_of_every_sale_is(tmp_path: Path) -> None:
    with shop_in(tmp_path, "acme") as book:
        top_up(book, "acme", 100 * USD)
        for name, costs in (("one", Costs(300)), ("two", Costs(200))):
            settled(book, "acme", name)
            selling.book_costs(book, task_id=id_of(name), costs=costs, at_us=OPENED_US + 2 * SECOND_US)
        ((sums,),) = sold(book).values()
        assert sums.margin_nano == 10 * USD - 500
        settled(book, "acme", "three")
        unknown = Costs(reason="no price for a model")
        selling.book_costs(book, task_id=id_of("three"), costs=unknown, at_us=OPENED_US + 2 * SECOND_US)
        ((sums,),) = sold(book).values()
        assert (sums.net_nano, sums.margin_nano) == (15 * USD, None)
