"""Unknown is never zero: costs, their totals and their prices keep what is not known apart."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flatfare.core.cost import Cost, CostState, Total
from flatfare.core.errors import BadInput
from flatfare.core.pricing import Rate, Rates, amount_text, price, rate_text
from flatfare.core.units import UNITS
from flatfare.core.usage import Usage

costs = st.one_of(
    st.integers(0, 10**15).map(Cost.measured),
    st.integers(0, 10**15).map(lambda nano: Cost.estimated(nano, "counted offline")),
    st.just(Cost.unknown("no price")),
)


def test_an_unknown_cost_has_no_amount_and_says_why() -> None:
    assert Cost.unknown("no price").as_json() == {
        "amount": None,
        "currency": "USD",
        "state": "unknown",
        "reason": "no price",
    }
    with pytest.raises(ValueError, match="says why"):
        Cost(None, CostState.UNKNOWN)
    with pytest.raises(ValueError, match="only a known cost has an amount"):
        Cost(0, CostState.UNKNOWN, "no price")


@given(st.lists(costs), st.lists(costs))
def test_totals_add_up_in_any_grouping(one: list[Cost], other: list[Cost]) -> None:
    assert Total.of(one) + Total.of(other) == Total.of(one + other)
    assert Total.of(one).is_whole == all(cost.is_known for cost in one)


def test_the_worked_example_of_the_design() -> None:
    rates = Rates.per_million(input="2.50", cache_read="1.25", output="10")
    priced = price(Usage(input=976, cache_read=1024, output=500), rates)
    assert priced.cost == Cost.measured(8_720_000)
    assert [amount_text(line.amount) for line in priced.lines] == [
        "0.002440000",
        "0.001280000",
        "0.005000000",
    ]


def test_a_special_unit_is_priced_at_its_most_specific_rate() -> None:
    rates = Rates.per_million(input="3", cache_write="3.75", cache_write_1h="6", output="15")
    lines = price(Usage(cache_write_5m=1, cache_write_1h=1, reasoning=1), rates).lines
    assert [line.rated_as for line in lines] == ["cache_write", "cache_write_1h", "output"]


def test_a_unit_without_a_rate_makes_the_cost_unknown() -> None:
    cost = price(Usage(input=10, web_search=2), Rates.per_million(input="3")).cost
    assert cost == Cost.unknown("no rate for 'web_search'")


def test_timed_units_keep_the_quantity_they_are_priced_by() -> None:
    per_hour = Rates({"input_audio_second": Rate(111_000_000, 3600)})
    cost = price(Usage(input_audio_second=Decimal("12.48")), per_hour).cost
    assert cost.amount_nano == round(Fraction("12.48") * Fraction("0.111") / 3600 * 10**9) == 384_800


def test_rates_of_unknown_units_are_refused() -> None:
    with pytest.raises(BadInput, match="no billable unit"):
        Rates.per_million(tokens="1")


token_units = sorted(name for name, unit in UNITS.items() if unit.quantum == "token")


@given(
    st.dictionaries(st.sampled_from(token_units), st.integers(0, 10**7)),
    st.dictionaries(st.sampled_from(token_units), st.integers(0, 10**12), min_size=1),
)
def test_a_cost_is_the_exact_sum_rounded_once(counts: dict[str, int], amounts: dict[str, int]) -> None:
    rates = Rates(
        {"input": Rate(3), "output": Rate(7)} | {unit: Rate(nano) for unit, nano in amounts.items()}
    )
    priced = price(Usage(counts), rates)
    exact = sum((line.amount for line in priced.lines), Fraction(0))
    assert priced.cost.amount_nano == round(exact)
    assert sum(line.count for line in priced.lines) == sum(counts.values())


@given(st.integers(0, 10**15))
def test_a_rate_is_printed_without_loss(amount_nano: int) -> None:
    assert Decimal(rate_text(Rate(amount_nano))) * 10**9 == amount_nano
