"""A reading is priced once, and the row says what was computed, what was reported, and which counts."""

from decimal import Decimal

import pytest

from flatfare.core.usage import Usage
from flatfare.dialects.reading import Asked, Exchange, Part, Reading, Reported, free, unread
from flatfare.gateway.costing import figures_of
from flatfare.gateway.records import Figures, Intent, Result, decode, encode
from flatfare.prices.book import Found, PriceBook
from flatfare.service.costing.metering import meter

MODEL = "gpt-4o-2024-08-06"
ID = "019b796d-d600-7000-8000-000000000001"
AT_US = 1_763_000_000_000_000
EXCHANGE = Exchange("openai", "chat.completions", asked=Asked(model=MODEL), at_us=AT_US)


@pytest.fixture(scope="module")
def prices() -> PriceBook:
    return PriceBook.standard()


def _version(prices: PriceBook) -> str:
    found = prices.find("openai", MODEL, AT_US)
    assert isinstance(found, Found)
    return found.version


def reading(reported: Reported | None = None, **usage: int | Decimal) -> Reading:
    return Reading(
        (Part(MODEL, Usage(usage or {"input": 976, "cache_read": 1024, "output": 500})),),
        MODEL,
        reported=reported,
    )


def test_the_row_says_what_the_meter_says_of_the_same_body(prices: PriceBook) -> None:
    """P1: one way to a cost."""
    body = {
        "model": MODEL,
        "created": AT_US // 1_000_000,
        "usage": {
            "prompt_tokens": 2000,
            "completion_tokens": 500,
            "prompt_tokens_details": {"cached_tokens": 1024},
        },
    }
    metered = meter(body, provider="openai", endpoint="chat.completions")
    figures = figures_of(prices, metered.reading, EXCHANGE, AT_US)
    assert figures.cost_nano == metered.cost.amount_nano == 8_720_000
    assert figures.price_version == metered.computed_cost.price_version == _version(prices)
    assert figures.usage == dict(metered.usage) == {"input": 976, "cache_read": 1024, "output": 500}
    assert (figures.cost_state, figures.cost_basis, figures.usage_state) == (
        "measured",
        "computed",
        "measured",
    )


def test_a_reported_charge_counts_unless_the_setting_says_computed(prices: PriceBook) -> None:
    said = reading(Reported("0.00900000001", "USD", "usage.cost"))
    counted = figures_of(prices, said, EXCHANGE, AT_US)
    assert (counted.cost_nano, counted.cost_basis) == (9_000_000, "reported")
    assert (counted.computed_nano, counted.reported_nano) == (8_720_000, 9_000_000)
    assert (counted.reported_digits, counted.reported_source) == ("0.00900000001", "usage.cost")
    computed = figures_of(prices, said, EXCHANGE, AT_US, counts_reported=False)
    assert (computed.cost_nano, computed.cost_basis, computed.reported_nano) == (
        8_720_000,
        "computed",
        9_000_000,
    )


def test_a_charge_in_a_currency_without_a_rate_of_exchange_does_not_count(prices: PriceBook) -> None:
    figures = figures_of(prices, reading(Reported("1", "XTS", "usage.cost")), EXCHANGE, AT_US)
    assert (figures.cost_basis, figures.reported_nano) == ("computed", None)
    assert (figures.original_nano, figures.original_currency) == (1_000_000_000, "XTS")
    unpriced = Exchange("openai", "chat.completions", asked=Asked(model="no-such-model"), at_us=AT_US)
    lost = Reading((Part("no-such-model", Usage(input=1)),), reported=Reported("1", "XTS", "usage.cost"))
    figures = figures_of(prices, lost, unpriced, AT_US)
    assert (figures.cost_nano, figures.cost_state) == (None, "unknown")
    assert "XTS" in str(figures.cost_reason)


@pytest.mark.parametrize("amount", ["NaN", "1e40", "free", ""])
def test_a_charge_that_is_no_amount_leaves_the_computed_cost(prices: PriceBook, amount: str) -> None:
    figures = figures_of(prices, reading(Reported(amount, "USD", "usage.cost")), EXCHANGE, AT_US)
    assert (figures.cost_nano, figures.cost_basis, figures.reported_nano) == (8_720_000, "computed", None)


def test_an_unknown_model_is_unknown_and_never_zero(prices: PriceBook) -> None:
    said = Reading((Part("no-such-model", Usage(input=10)),), "no-such-model")
    figures = figures_of(prices, said, Exchange("openai", "chat.completions", at_us=AT_US), AT_US)
    assert (figures.cost_nano, figures.cost_state, figures.cost_basis) == (None, "unknown", None)
    assert figures.cost_reason
    assert figures.usage == {"input": 10}


def test_an_answer_without_usage_is_unknown_and_a_free_one_zero(prices: PriceBook) -> None:
    unknown = figures_of(prices, unread("no usage in it"), EXCHANGE, AT_US)
    assert (unknown.usage_state, unknown.cost_state, unknown.cost_reason) == (
        "unknown",
        "unknown",
        "no usage in it",
    )
    nothing = figures_of(prices, free("an error of status 500"), EXCHANGE, AT_US)
    assert (nothing.usage_state, nothing.cost_nano, nothing.cost_state) == ("measured", 0, "measured")
    assert nothing.cost_reason == "an error of status 500"


def test_a_stream_that_broke_off_is_estimated(prices: PriceBook) -> None:
    cut = Reading(reading().parts, MODEL, reason="the client left", is_complete=False)
    figures = figures_of(prices, cut, EXCHANGE, AT_US)
    assert (figures.usage_state, figures.cost_state, figures.cost_reason) == (
        "estimated",
        "estimated",
        "the client left",
    )


def test_usage_of_several_models_adds_up(prices: PriceBook) -> None:
    parts = (Part(MODEL, Usage(input=10, output=1)), Part("gpt-4o-mini", Usage(input=5)))
    figures = figures_of(prices, Reading(parts, MODEL), EXCHANGE, AT_US)
    assert figures.usage == {"input": 15, "output": 1}
    assert figures.cost_nano == 25_000 + 10_000 + 750


def test_a_count_that_no_call_has_is_no_cost(prices: PriceBook) -> None:
    figures = figures_of(prices, reading(output=10**15), EXCHANGE, AT_US)
    assert (figures.cost_nano, figures.cost_state) == (None, "unknown")


def test_records_read_back_as_written() -> None:
    intent = Intent(ID, 1, "openai", "chat.completions", labels='{"é":"\\u0000"}', bound_nano=2**63 - 1)
    result = Result(ID, 2, Figures({"input": 1, "session_second": "1.5"}), traits="{}")
    assert [decode(encode(record)) for record in (intent, result)] == [intent, result]


def test_a_record_of_an_earlier_version_still_reads() -> None:
    """Fields are only ever added at the end, with a default."""
    import msgspec

    short = msgspec.msgpack.encode(["intent", ID, 1, "openai", "chat.completions"])
    assert decode(short) == Intent(ID, 1, "openai", "chat.completions")
    longer = msgspec.msgpack.encode(["void", ID, "a field of a later version"])
    assert decode(longer) == decode(msgspec.msgpack.encode(["void", ID]))


def test_beside_a_reported_charge_stand_the_prices_of_the_computed_cost(prices: PriceBook) -> None:
    said = reading(Reported("0.009", "USD", "usage.cost"))
    assert figures_of(prices, said, EXCHANGE, AT_US).price_version == _version(prices)


def test_a_charge_that_was_only_reported_has_no_prices(prices: PriceBook) -> None:
    unpriced = Exchange("openai", "chat.completions", asked=Asked(model="nobody's"), at_us=AT_US)
    said = Reading((Part("nobody's", Usage(input=1)),), reported=Reported("0.009", "USD", "usage.cost"))
    figures = figures_of(prices, said, unpriced, AT_US)
    assert (figures.cost_nano, figures.cost_basis, figures.price_version) == (9_000_000, "reported", None)


def test_a_count_that_cannot_be_right_has_no_prices(prices: PriceBook) -> None:
    assert figures_of(prices, reading(output=10**15), EXCHANGE, AT_US).price_version is None
