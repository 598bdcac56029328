"""Late labels, links and prices show as if they had come in time, whether calls were sealed or not."""

from decimal import Decimal
from pathlib import Path

import pytest

from flatfare.core.errors import BadUsage
from flatfare.core.identity import derived
from flatfare.prices.book import Found, PriceBook
from flatfare.service import adjusting, doctoring
from flatfare.service.adjusting import Selection
from flatfare.service.costing import repricing
from flatfare.service.costing.price_versions import told
from flatfare.store import adjustments, reading, sealing
from flatfare.store.book import Book, Value
from flatfare.store.lake import Lake
from tests.prices.books import MemoryLog
from tests.store.rows import MINUTE_US, NOON_US, call, place, write

RECORD = {"reason": "late", "by_whom": "ann", "at_us": 1}


@pytest.fixture(params=["hot", "sealed"])
def books(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Book, Lake]:
    """Six calls, the first three of them sealed or not; they name a model that is priced."""
    book, lake = place(tmp_path)
    write(book, [call(number, model="gpt-4o-2024-08-06", labels='{"team":"ads"}') for number in range(6)])
    if request.param == "sealed":
        sealing.seal_calls(book, lake, NOON_US + 3 * MINUTE_US, now_us=1)
    return book, lake


def newest(books: tuple[Book, Lake]) -> list[dict[str, Value]]:
    with reading.opened(*books, "calls") as engine:
        return adjustments.present_calls(engine, "TRUE", [])


def test_a_late_label_joins_those_there_are(books: tuple[Book, Lake]) -> None:
    chosen = Selection(until_us=NOON_US + 2 * MINUTE_US)
    assert adjusting.relabel(*books, chosen, {"feature": "chat"}, **RECORD) == 2
    assert [one["labels"] for one in newest(books)][:3] == [
        '{"feature":"chat","team":"ads"}',
        '{"feature":"chat","team":"ads"}',
        '{"team":"ads"}',
    ]
    assert adjusting.relabel(*books, chosen, {"feature": "chat"}, **RECORD) == 0


def test_an_empty_value_takes_a_label_away(books: tuple[Book, Lake]) -> None:
    assert adjusting.relabel(*books, Selection(labelled={"team": "ads"}), {"team": ""}, **RECORD) == 6
    assert {one["labels"] for one in newest(books)} == {"{}"}


def test_a_late_link_moves_the_cost_to_its_task(books: tuple[Book, Lake]) -> None:
    chosen = Selection(equal={"model": "gpt-4o-2024-08-06"}, since_us=NOON_US + 4 * MINUTE_US)
    assert adjusting.link(*books, chosen, "ticket 7", source="import", **RECORD) == 2
    with reading.opened(*books, "folded") as engine:
        sums = engine.execute(
            "SELECT SUM(n), SUM(cost_nano) FROM folded WHERE task_id = ?",
            [str(derived("task", "import", "ticket 7"))],
        ).fetchone()
    assert sums == (2, 41 + 51)


def test_a_new_price_is_applied_on_request_and_on_record(books: tuple[Book, Lake]) -> None:
    done = repricing.reprice(
        *books, PriceBook.standard(), Selection(since_us=0), counts_reported=True, **RECORD
    )
    assert (done.changed, done.left) == (6, {})
    assert newest(books)[0]["cost_nano"] == 100 * 2_500 + 10 * 10_000  # $2.50 and $10 per million (OpenAI)
    records = books[0].rows("SELECT kind, by_whom, reason FROM adjustments")
    assert set(records) == {("reprice", "ann", "late")}
    assert doctoring.examine(*books).is_sound


def _priced_now() -> str:
    found = PriceBook.standard().find("openai", "gpt-4o-2024-08-06", NOON_US)
    assert isinstance(found, Found)
    return found.version


def test_a_call_priced_anew_names_the_prices_that_it_has_now(books: tuple[Book, Lake]) -> None:
    """Those of before the prices were written down with a call are not recorded until then."""
    assert {one["price_version"] for one in newest(books)} == {None}
    prices, everything = PriceBook.standard(), Selection(since_us=0)
    repricing.reprice(*books, prices, everything, counts_reported=True, **RECORD)
    assert {one["price_version"] for one in newest(books)} == {_priced_now()}
    (terms,) = told(books[0], PriceBook(()), _priced_now())
    assert terms["model"] == "gpt-4o-2024-08-06"
    lines = [{"provider": "openai", "model": "gpt-4o-2024-08-06", "rates": {"input": "2.40"}}]
    own = PriceBook.standard(MemoryLog(lines))
    assert repricing.reprice(*books, own, everything, counts_reported=True, **RECORD).changed == 6
    assert {str(one["price_version"]).split(":")[1] for one in newest(books)} == {"own"}
    with reading.opened(*books, "calls") as engine:
        backed = engine.execute("SELECT COUNT(*) FROM calls WHERE n = -1 AND price_version IS NOT NULL")
        assert backed.fetchone() == (6,)  # the row taken back says by which prices it was
    assert repricing.reprice(*books, own, everything, counts_reported=True, **RECORD).changed == 0


def test_a_charge_that_was_reported_stays_the_cost_that_counts(books: tuple[Book, Lake]) -> None:
    row = call(9, model="gpt-4o-2024-08-06", reported_nano=7, cost_nano=7, cost_basis="reported")
    change = repricing.repriced(row, PriceBook.standard(), counts_reported=True)
    assert change == {
        "computed_nano": 372_500,
        "computed_state": "measured",
        "computed_reason": None,
        "price_version": _priced_now(),
    }
    change = repricing.repriced(row, PriceBook.standard(), counts_reported=False)
    assert isinstance(change, dict)
    assert change["cost_nano"] == 372_500


def test_a_call_of_unknown_usage_keeps_its_bound() -> None:
    row = call(0, usage_state="unknown", cost_nano=99, cost_state="estimated", delivery="unproven")
    assert repricing.repriced(row, PriceBook.standard(), counts_reported=True) == {}


def test_what_has_no_price_is_unknown_with_its_reason() -> None:
    change = repricing.repriced(
        call(0, model="gpt-99-unheard-of"), PriceBook.standard(), counts_reported=True
    )
    assert isinstance(change, dict)
    assert (change["cost_nano"], change["cost_state"]) == (None, "unknown")
    assert "No price for model 'gpt-99-unheard-of'" in str(change["cost_reason"])


def test_usage_beyond_the_columns_is_priced_too() -> None:
    row = call(0, other_usage='{"input_audio_second": "12.48", "page": "3"}', cache_read=5)
    assert repricing.counts_of(row) == {
        "input": 100,
        "output": 10,
        "cache_read": 5,
        "input_audio_second": Decimal("12.48"),
        "page": 3,
    }


def test_every_call_at_once_is_never_meant() -> None:
    with pytest.raises(BadUsage, match="No calls were chosen"):
        Selection().condition()
    with pytest.raises(BadUsage, match="not chosen by 'cost_nano'"):
        Selection(equal={"cost_nano": "1"}).condition()
