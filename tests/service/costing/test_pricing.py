"""From a reading to a cost: the lean way and the explained way agree, and unknown says why."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from flatfare.core.cost import Cost, CostState
from flatfare.core.pricing import Line, price
from flatfare.core.units import UNITS
from flatfare.core.usage import Usage
from flatfare.dialects.reading import Asked, Conditions, Exchange, Part, Reading, free, unread
from flatfare.prices.book import Circumstances, Found, PriceBook
from flatfare.service.costing.pricing import cost_reading, price_reading
from tests.prices.books import at, book

BOOK = book(
    """
provider: p
windows: {peak: {hours: ["01:00-04:00"]}}
always:
  - {when: {tier: batch}, times: 0.5}
  - {when: {region: eu}, times: 1.1}
models:
  m:
    prices:
      - {until: 2026-01-01, rates: {input: 3.333333, output: 7}}
      - from: 2026-01-01
        rates: {input: 2.222222, cache_read: 0.1x input, output: 9.99, web_search: 10 per 1000}
      - {when: {context: over 1000}, times: 2}
      - {when: {during: peak}, times: 3}
      - {rates: {input_audio_second: 0.006 per 60}}
  advisor: {prices: [{rates: {input: 5, output: 25}}]}
  yuan: {prices: [{currency: CNY, rates: {input: 4, output: 16}}]}
""",
    exchange=(("CNY", "2026-05-20", "0.14", "bank"),),
)
NOON = at("2026-06-01T12:00:00Z")
counts = st.dictionaries(
    st.sampled_from(sorted(UNITS)),
    st.one_of(st.integers(0, 10**9), st.decimals(0, 10**5, places=3)),
    max_size=6,
)


def reading(*parts: Part, **more: object) -> Reading:
    return Reading(parts=parts, **more)  # type: ignore[arg-type]


def call(at_us: int | None = NOON, **asked: str) -> Exchange:
    return Exchange("p", "chat.completions", asked=Asked(**asked), at_us=at_us)  # type: ignore[arg-type]


@given(
    usage=counts.map(Usage),
    moment=st.integers(at("2025-12-30"), at("2026-01-03")),
    tier=st.sampled_from([None, "batch", "flex"]),
    region=st.sampled_from([None, "eu", "us"]),
)
def test_the_lean_way_equals_the_explained_way_and_core(
    usage: Usage, moment: int, tier: str | None, region: str | None
) -> None:
    read = reading(Part("m", usage, Conditions(service_tier=tier, region=region)))
    explained = price_reading(BOOK, read, call(moment))
    assert cost_reading(BOOK, read, call(moment)) == explained.cost
    assert cost_reading(BOOK, read, call(moment)).price_version == explained.dollars.price_version
    found = BOOK.find("p", "m", moment, Circumstances(tier, region), usage)
    if isinstance(found, Found):
        plain = price(usage, found.rates, found.currency)
        assert explained.cost.amount_nano == plain.cost.amount_nano
        explained_lines = [Line(one.unit, one.count, one.rated_as, one.rate) for one in explained.lines]
        assert explained_lines == list(plain.lines)


def test_each_line_says_who_says_so_and_since_when() -> None:
    read = reading(Part("m", Usage(input=1000, cache_read=500, reasoning=10)))
    priced = price_reading(BOOK, read, call())
    assert [(line.unit, line.rated_as, line.rate.amount_nano) for line in priced.lines] == [
        ("input", "input", 4_444_444_000),
        ("cache_read", "cache_read", 444_444_400),
        ("reasoning", "output", 19_980_000_000),
    ]
    assert {line.provenance.since_us for line in priced.lines} == {at("2026-01-01")}
    assert {line.provenance.source for line in priced.lines} == {"the REVIEWED layer"}


def test_parts_of_several_models_are_summed_and_rounded_once() -> None:
    read = reading(Part("m", Usage(input=1)), Part("advisor", Usage(input=1, output=1)))
    assert cost_reading(BOOK, read, call()) == Cost.measured(2_222 + 30_000)


def test_the_served_model_counts_and_else_the_asked_one() -> None:
    assert cost_reading(
        BOOK, reading(Part(None, Usage(input=1)), model="advisor"), call(model="m")
    ) == Cost.measured(5_000)
    assert cost_reading(BOOK, reading(Part(None, Usage(input=1))), call(model="advisor")) == Cost.measured(
        5_000
    )
    unnamed = cost_reading(BOOK, reading(Part(None, Usage(input=1))), call())
    assert unnamed.reason == "neither the request nor the answer names a model: name it with --model"


def test_what_was_asked_holds_where_the_answer_does_not_say() -> None:
    read = reading(Part("advisor", Usage(input=2)))
    assert cost_reading(BOOK, read, call(service_tier="batch")) == Cost.measured(5_000)
    served = reading(Part("advisor", Usage(input=2), Conditions(service_tier="standard")))
    assert cost_reading(BOOK, served, call(service_tier="batch")) == Cost.measured(10_000)


def test_the_moment_is_the_requests_else_the_answers_else_the_given() -> None:
    read = reading(Part("m", Usage(input=1_000)), created_at_us=at("2025-06-01T12:00:00Z"))
    assert cost_reading(BOOK, read, call()).amount_nano == 2_222_222
    assert cost_reading(BOOK, read, call(None)).amount_nano == 3_333_333
    bare = reading(Part("m", Usage(input=1_000)))
    assert cost_reading(BOOK, bare, call(None), NOON).amount_nano == 2_222_222
    assert "the moment of the call is not known" in str(cost_reading(BOOK, bare, call(None)).reason)


def test_a_currency_stays_beside_its_dollars() -> None:
    read = reading(Part("yuan", Usage(input=1_000)))
    priced = price_reading(BOOK, read, call())
    assert priced.cost == Cost.measured(4_000_000, currency="CNY")
    assert priced.dollars == Cost.measured(560_000)
    assert cost_reading(BOOK, read, call()) == priced.dollars
    later = price_reading(BOOK, read, call(at("2026-11-01")))
    assert later.cost == Cost.measured(4_000_000, currency="CNY")
    assert later.dollars.reason is not None
    assert later.dollars.reason.startswith("no exchange rate of CNY to USD is known for the day")


def test_counts_that_were_inferred_make_an_estimate() -> None:
    read = reading(Part("advisor", Usage(input=2), estimated="counted with o200k"))
    assert cost_reading(BOOK, read, call()) == Cost.estimated(10_000, "counted with o200k")
    cut = reading(Part("advisor", Usage(input=2)), is_complete=False)
    assert cost_reading(BOOK, cut, call()).state is CostState.ESTIMATED


def test_what_is_free_costs_nothing_and_says_why() -> None:
    assert cost_reading(BOOK, free("an error of status 429"), call()) == Cost.measured(
        0, "an error of status 429"
    )


def test_an_answer_without_usage_is_unknown_and_says_why() -> None:
    assert cost_reading(BOOK, unread("no usage in the stream"), call()) == Cost.unknown(
        "no usage in the stream"
    )


def test_a_unit_without_a_rate_names_the_command_that_adds_it() -> None:
    read = reading(Part("advisor", Usage(input=1, web_search=2)))
    assert cost_reading(BOOK, read, call()).reason == (
        "no rate for 'web_search' of model 'advisor' at p: flatfare prices add p/advisor --rate web_search=…"
    )


def test_time_is_exact() -> None:
    read = reading(Part("m", Usage({"input_audio_second": Decimal("12.345")})))
    assert cost_reading(BOOK, read, call()) == Cost.measured(1_234_500)


def test_the_standard_book_prices_a_well_known_call() -> None:
    read = reading(Part("gpt-4o-2024-08-06", Usage(input=976, cache_read=1024, output=500)))
    exchange = Exchange("openai", "chat.completions", at_us=at("2026-01-01"))
    assert cost_reading(PriceBook.standard(), read, exchange) == Cost.measured(8_720_000)


def version_of(model: str = "m", tier: str | None = None, provider: str = "p") -> str:
    found = BOOK.find(provider, model, NOON, Circumstances(tier))
    assert isinstance(found, Found)
    return found.version


def test_a_cost_names_the_prices_it_was_computed_with() -> None:
    read = reading(Part("m", Usage(input=10_000)))
    assert cost_reading(BOOK, read, call()).price_version != version_of()  # a longer prompt has others
    short = reading(Part("m", Usage(input=10)))
    assert cost_reading(BOOK, short, call()).price_version == version_of()
    assert cost_reading(BOOK, short, call(service_tier="batch")).price_version == version_of(tier="batch")


def test_an_estimate_and_another_currency_name_their_prices_too() -> None:
    cut = reading(Part("m", Usage(input=10)), is_complete=False)
    assert cost_reading(BOOK, cut, call()).price_version == version_of()
    yuan = reading(Part("yuan", Usage(input=10)))
    assert cost_reading(BOOK, yuan, call()).price_version == version_of("yuan")


def test_an_answer_of_two_models_names_the_prices_of_both() -> None:
    read = reading(Part("m", Usage(input=10)), Part("advisor", Usage(input=10)), Part("m", Usage(input=5)))
    assert cost_reading(BOOK, read, call()).price_version == f"{version_of()},{version_of('advisor')}"


def test_what_no_price_made_names_none() -> None:
    for read in (
        free("an error of status 429"),
        unread("no usage in the stream"),
        reading(Part("m", Usage(page=1))),
        reading(Part("nobody's", Usage(input=1))),
    ):
        assert cost_reading(BOOK, read, call()).price_version is None
