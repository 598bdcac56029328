"""Calls priced anew from their rows: as the answer would be priced now, or left as they are, with why."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from flatfare.core.errors import BadUsage
from flatfare.core.usage import Usage
from flatfare.dialects.reading import Asked, Conditions, Exchange, Part, Reading, free
from flatfare.gateway.costing import figures_of
from flatfare.gateway.records import Intent, Result
from flatfare.gateway.rows import row_of
from flatfare.prices.book import PriceBook
from flatfare.prices.catalogue import Trust
from flatfare.service.costing import metering, recordings, repricing
from flatfare.service.costing.kept_conditions import Left
from flatfare.service.costing.metering import Response
from flatfare.service.costing.pricing import moment_of
from flatfare.store.book import Value
from flatfare.store.layout import CALLS
from tests.prices.books import Layer, at, book

Row = dict[str, Value]

PRICES = """
provider: p
models:
  m: {{prices: [{{rates: {{input: {m}, output: 10, page: 0.01 per 1}}}}]}}
  advisor: {{prices: [{{rates: {{input: {advisor}, output: 25}}}}]}}
  quick:
    prices: [{{rates: {{input: {m}, output: 10}}}}, {{when: {{latency: optimized}}, times: 1.25}}]
  long:
    prices:
      - {{rates: {{input: {m}, output: 10}}}}
      - {{when: {{context: from 1000}}, rates: {{input: {advisor}, output: 20}}}}
  yuan: {{prices: [{{currency: CNY, rates: {{input: {m}, output: 16}}}}]}}
"""
NOON = at("2026-06-01T12:00:00Z")


def priced(m: int = 2, advisor: int = 5) -> PriceBook:
    """The book at these prices a million tokens of input."""
    return book(PRICES.format(m=m, advisor=advisor), exchange=(("CNY", "2026-05-20", "0.14", "bank"),))


def row(prices: PriceBook, reading: Reading, model: str = "m", provider: str = "p", at_us: int = NOON) -> Row:
    """The row that the gateway writes of such an answer."""
    return _row(prices, reading, Exchange(provider, "chat.completions", asked=Asked(model)), at_us)


def _row(prices: PriceBook, reading: Reading, exchange: Exchange, at_us: int) -> Row:
    served = reading.parts[0].conditions if reading.parts else Conditions()
    asked = exchange.asked
    intent = Intent(
        "00000000-0000-7000-8000-000000000001",
        at_us,
        exchange.provider,
        exchange.endpoint,
        asked.model,
        service_tier=asked.service_tier,
        region=asked.region,
    )
    figures = figures_of(prices, reading, exchange, at_us)
    tier, region = served.service_tier, served.region
    result = Result(intent.call_id, at_us, figures, model=reading.model, service_tier=tier, region=region)
    return dict.fromkeys(column.name for column in CALLS) | row_of(intent, result)


def used(model: str | None = None, **counts: int) -> Part:
    return Part(model, Usage(counts))


def anew(call: Row, prices: PriceBook) -> Row | Left:
    """The row after it was priced anew."""
    change = repricing.repriced(call, prices, counts_reported=True)
    return change if isinstance(change, Left) else call | change


def cost(call: Row | Left) -> tuple[Value, Value]:
    assert not isinstance(call, Left), call.why
    return call["cost_nano"], call["cost_state"]


def test_a_call_is_priced_by_all_that_it_used() -> None:
    answer = Reading((used(input=1_000_000, page=3),), model="m")
    assert cost(anew(row(priced(), answer), priced(m=4))) == (4_030_000_000, "measured")


def test_what_several_models_used_together_is_priced_as_none_of_them() -> None:
    answer = Reading((used(input=1_000_000), used("advisor", input=1_000_000)), model="m")
    call = row(priced(), answer)
    assert cost(call) == (7_000_000_000, "measured")
    for prices in (priced(), priced(m=4)):
        left = anew(call, prices)
        assert isinstance(left, Left)
        assert left.why.startswith("several models served them")


def test_nor_where_one_of_them_had_no_price() -> None:
    answer = Reading((used(input=1_000_000), used("nameless", input=1_000_000)), model="m")
    call = row(priced(), answer)
    assert cost(call) == (None, "unknown")
    assert isinstance(anew(call, priced()), Left)


def test_a_snapshot_that_was_given_a_price_of_its_own_is_priced_at_that() -> None:
    prices = book("{provider: p, models: {m: {prices: [{rates: {input: 2, output: 2}}]}}}")
    call = row(prices, Reading((used(input=1_000_000),), model="m-2026-01-05"), "m-2026-01-05")
    assert cost(call) == (2_000_000_000, "measured")
    own = "{provider: p, models: {m-2026-01-05: {prices: [{rates: {input: 3, output: 3}}]}}}"
    both = PriceBook((Layer(Trust.OWN, own), *prices.layers))
    assert cost(anew(call, both)) == (3_000_000_000, "measured")


def test_what_used_nothing_stays_free_whether_its_model_has_a_price_or_not() -> None:
    for model in ("m", "no-such-model"):
        call = row(priced(), free("an error of status 404: providers bill no failed request"), model)
        assert anew(call, priced(m=4)) == call
        assert cost(call) == (0, "measured")


def test_a_call_under_conditions_that_it_does_not_keep_stands_while_its_price_does() -> None:
    fast = Part(None, Usage(input=1_000_000), Conditions(details={"latency": "optimized"}))
    call = row(priced(), Reading((fast,), model="quick"), "quick")
    assert cost(call) == (2_500_000_000, "measured")
    assert cost(anew(call, priced())) == (2_500_000_000, "measured")
    left = anew(call, priced(m=4))
    assert left == Left("their price goes by latency too, which a call does not keep")
    slow = row(priced(), Reading((used(input=1_000_000),), model="quick"), "quick")
    assert cost(anew(slow, priced())) == (2_000_000_000, "measured")
    assert anew(slow, priced(m=4)) == left


def test_an_import_is_priced_by_the_columns_that_it_was_priced_by() -> None:
    call = row(priced(), Reading((used(input=1_000_000),), model="quick"), "quick")
    call["import_id"] = "00000000-0000-7000-8000-000000000002"
    assert cost(anew(call, priced(m=4))) == (4_000_000_000, "measured")


def test_a_sum_of_small_requests_is_not_priced_as_a_large_one() -> None:
    turns = Reading((used(input=600), used(input=600)), model="long")
    call = row(priced(), turns, "long")
    assert cost(call) == (1200 * 2_000, "measured")
    assert cost(anew(call, priced())) == cost(call)
    assert str(anew(call, priced(m=4))).count("the size of each request") == 1
    small = row(priced(), Reading((used(input=600),), model="long"), "long")
    assert cost(anew(small, priced(m=4))) == (600 * 4_000, "measured")


def test_a_large_request_is_priced_as_such_where_its_own_prices_say_that_it_was() -> None:
    large = row(priced(), Reading((used(input=1200),), model="long"), "long")
    assert cost(large) == (1200 * 5_000, "measured")
    change = repricing.repriced(large, priced(advisor=6), counts_reported=True, is_by_size=lambda _: True)
    assert not isinstance(change, Left)
    assert change["cost_nano"] == 1200 * 6_000


def test_rates_in_another_currency_are_changed_into_dollars_as_they_were() -> None:
    answer = Reading((used(input=1_000_000),), model="yuan")
    before, after = priced(), priced(m=3)
    call = row(before, answer, "yuan")
    assert cost(call) == (280_000_000, "measured")
    changed = anew(call, after)
    assert changed == row(after, answer, "yuan")
    assert cost(changed) == (420_000_000, "measured")


def test_an_estimate_keeps_its_reason() -> None:
    part = Part(None, Usage(input=1_000_000), estimated="the answer broke off")
    changed = anew(row(priced(), Reading((part,), model="m")), priced(m=4))
    assert not isinstance(changed, Left)
    assert (changed["cost_state"], changed["cost_reason"]) == ("estimated", "the answer broke off")


@dataclass(frozen=True, slots=True)
class Answer:
    """A recorded answer, read."""

    name: str
    reading: Reading
    exchange: Exchange
    at_us: int


def answers(folder: Path) -> Iterator[Answer]:
    for name, response in recordings.responses_in(folder, Response(b"")):
        try:
            recognised, is_stream = metering.recognise(response)
        except BadUsage:
            continue
        if recognised is not None and response.problem is None:
            exchange = metering.exchange_of(recognised, response)
            reading = metering._read(recognised.route, response.body, exchange, is_stream)
            at_us = moment_of(reading, exchange, NOON)
            assert at_us is not None
            yield Answer(name, reading, exchange, at_us)


def test_recorded_answers_are_priced_anew_as_they_would_be_now_or_left(shared: Callable[..., Path]) -> None:
    """At the same prices nothing changes; at the double a call costs what its answer now does, or stands."""
    same = PriceBook.standard()
    double = Layer(Trust.OWN, "{provider: '*', always: [{times: 2, units: all}]}")
    dearer = PriceBook((double, *same.layers), same.exchange)
    left = {same: 0, dearer: 0}
    changed = count = 0
    for answer in answers(shared("recorded")):
        count += 1
        call = _row(same, answer.reading, answer.exchange, answer.at_us)
        for prices in (same, dearer):
            wanted = _row(prices, answer.reading, answer.exchange, answer.at_us)
            found = anew(call, prices)
            if isinstance(found, Left):
                left[prices] += 1
                continue
            for name in ("cost_nano", "cost_state", "computed_nano", "computed_state", "cost_reason"):
                assert found[name] == wanted[name], (answer.name, name)
            changed += found["computed_nano"] != call["computed_nano"]
    assert changed > count / 2
    assert left[same] <= count / 50
    assert left[dearer] <= count / 20
