"""Which rate applies: conditions, layers, dates, names, multipliers."""

import pytest

from flatfare.core.errors import BadInput
from flatfare.prices.book import Found
from tests.prices.books import at, book, missing, rates

PLAIN = "{provider: p, models: {m: {prices: [{rates: {input: '2.00', output: '8.00'}}]}}}"


def test_the_past_keeps_its_rate_and_the_day_of_a_change_has_the_new_one() -> None:
    found = book("""
provider: p
models:
  m:
    prices:
      - {until: 2025-06-10, rates: {input: 10.00}}
      - {from: 2025-06-10, rates: {input: 2.00}}
""")
    assert rates(found, when="2025-06-09T23:59:59Z") == {"input": "10.00"}
    assert rates(found, when="2025-06-10T00:00:00Z") == {"input": "2.00"}


def test_a_later_start_wins_without_an_end_of_the_earlier() -> None:
    found = book("""
provider: p
models: {m: {prices: [{rates: {input: 1}}, {from: 2026-01-01, rates: {input: 2}}]}}
""")
    assert rates(found, when="2025-12-31") == {"input": "1.00"}
    assert rates(found, when="2026-01-01") == {"input": "2.00"}


def test_a_reviewed_unit_corrects_the_shipped_one_and_the_rest_shows_through() -> None:
    found = book("{provider: p, models: {m: {prices: [{rates: {input: '3.00'}}]}}}", PLAIN)
    assert rates(found) == {"input": "3.00", "output": "8.00"}


def test_reviewed_history_ends_where_the_shipped_rate_begins() -> None:
    found = book("{provider: p, models: {m: {prices: [{until: 2026-01-01, rates: {input: '9'}}]}}}", PLAIN)
    assert rates(found, when="2025-01-01")["input"] == "9.00"
    assert rates(found, when="2026-01-01")["input"] == "2.00"


def test_own_rates_come_before_all() -> None:
    own = "{provider: p, models: {m: {prices: [{rates: {input: '1.50'}}]}}}"
    assert rates(book(PLAIN, PLAIN, own))["input"] == "1.50"


def test_a_whole_model_lets_nothing_below_show_through() -> None:
    found = book("{provider: p, models: {m: {whole: true, prices: [{rates: {input: '3'}}]}}}", PLAIN)
    assert rates(found) == {"input": "3.00"}


def test_none_takes_away_a_rate_that_is_given_below() -> None:
    found = book("{provider: p, models: {m: {prices: [{rates: {output: none}}]}}}", PLAIN)
    assert rates(found) == {"input": "2.00"}


class TestContext:
    BOOK = book("""
provider: p
models:
  m:
    prices:
      - rates: {input: 1, output: 4}
      - {when: {context: over 200000}, rates: {input: 2}}
      - {when: {context: from 500000}, times: 3, units: input_tokens}
""")

    def test_over_is_exclusive(self) -> None:
        assert rates(self.BOOK, counts={"input": 200_000})["input"] == "1.00"
        assert rates(self.BOOK, counts={"input": 200_001})["input"] == "2.00"

    def test_cached_tokens_count(self) -> None:
        assert rates(self.BOOK, counts={"input": 1, "cache_read": 200_000})["input"] == "2.00"

    def test_output_does_not_count(self) -> None:
        assert rates(self.BOOK, counts={"input": 1, "output": 300_000})["input"] == "1.00"

    def test_from_is_inclusive(self) -> None:
        found = book("""
provider: p
models: {m: {prices: [{rates: {input: 1}}, {when: {context: from 200000}, rates: {input: 2}}]}}
""")
        assert rates(found, counts={"input": 199_999})["input"] == "1.00"
        assert rates(found, counts={"input": 200_000})["input"] == "2.00"

    def test_a_condition_may_count_the_uncached_prompt(self) -> None:
        found = book("""
provider: p
models:
  m: {prices: [{rates: {input: 1}}, {when: {context: over 100 uncached_prompt}, rates: {input: 2}}]}
""")
        assert rates(found, counts={"input": 100, "cache_read": 900})["input"] == "1.00"
        assert rates(found, counts={"input": 101})["input"] == "2.00"


class TestMultipliers:
    BOOK = book("""
provider: p
always:
  - {when: {tier: batch}, times: 0.5}
  - {when: {region: [us, eu]}, times: 1.1}
  - {when: {tier: provisioned}, times: 0}
  - {rates: {web_search: 10 per 1000}}
models:
  m:
    prices:
      - rates: {input: 2.00, cache_read: 0.1x input, cache_write_1h: 2x input, output: 10.00}
      - {when: {context: over 200000}, times: 2, units: input_tokens}
      - {when: {context: over 200000}, times: 3/2, units: output_tokens}
  stated: {prices: [{rates: {input: 2.00}}, {when: {tier: batch}, rates: {input: 0.90}}]}
  same: {prices: [{rates: {input: 2.00}}, {when: {tier: batch}, times: 1}]}
""")

    def test_batch_halves_tokens_and_not_fees(self) -> None:
        assert rates(self.BOOK, tier="batch") == {
            "input": "1.00",
            "cache_read": "0.10",
            "cache_write_1h": "2.00",
            "output": "5.00",
            "web_search": "10.00 per 1000",
        }

    def test_long_context_batch_cache_and_region_multiply(self) -> None:
        found = rates(self.BOOK, tier="batch", region="eu", counts={"input": 200_001})
        assert found["cache_read"] == "0.22"  # 2.00 × 0.1 × 2 × 0.5 × 1.1
        assert found["output"] == "8.25"  # 10.00 × 1.5 × 0.5 × 1.1

    def test_a_rate_stated_for_batch_is_not_halved_again(self) -> None:
        assert rates(self.BOOK, "stated", tier="batch")["input"] == "0.90"

    def test_a_rate_stated_for_batch_still_takes_the_regional_premium(self) -> None:
        assert rates(self.BOOK, "stated", tier="batch", region="us")["input"] == "0.99"

    def test_a_models_multiplier_stands_in_for_the_providers(self) -> None:
        assert rates(self.BOOK, "same", tier="batch")["input"] == "2.00"

    def test_provisioned_tokens_cost_nothing_and_fees_do(self) -> None:
        found = rates(self.BOOK, tier="provisioned")
        assert (found["input"], found["web_search"]) == ("0.00", "10.00 per 1000")

    def test_an_unknown_region_takes_no_premium(self) -> None:
        assert rates(self.BOOK, region=None)["input"] == "2.00"

    def test_a_tier_nothing_is_known_of_is_missing_not_standard(self) -> None:
        assert missing(self.BOOK, tier="flex") == (
            "No rates for the service tier 'flex' of model 'm' at p are known, only its standard ones. "
            "Add them: flatfare prices add p/m --tier flex --input … --output …"
        )

    @pytest.mark.parametrize("tier", [None, "standard", "default", "ON_DEMAND", "auto"])
    def test_the_standard_tier_has_many_names(self, tier: str | None) -> None:
        assert rates(self.BOOK, tier=tier)["input"] == "2.00"

    def test_a_fraction_of_a_nano_dollar_is_kept(self) -> None:
        found = book("""
provider: p
models: {m: {prices: [{rates: {input: "0.000000001"}}, {when: {tier: batch}, times: 0.5}]}}
""").find("p", "m", at("2026-01-01"), _batch())
        assert isinstance(found, Found)
        assert found.cost_nano({"input": 2_000_000}) == 1


def test_not_global_is_every_known_region_but_global() -> None:
    found = book("""
provider: p
always: [{when: {region: ["!global"]}, times: 1.1}]
models: {m: {prices: [{rates: {input: 1}}]}}
""")
    assert rates(found, region="europe-west4")["input"] == "1.10"
    assert rates(found, region="GLOBAL")["input"] == "1.00"
    assert rates(found, region=None)["input"] == "1.00"


def test_details_choose_among_rates() -> None:
    found = book("""
provider: p
models:
  m:
    prices:
      - {when: {size: 1024x1024, quality: high}, rates: {image: 0.17}}
      - {when: {quality: high}, rates: {image: 0.25}}
      - rates: {image: 0.04}
""")
    assert rates(found, size="1024x1024", quality="high") == {"image": "0.17 per 1"}
    assert rates(found, size="1536x1024", quality="high") == {"image": "0.25 per 1"}
    assert rates(found) == {"image": "0.04 per 1"}


def test_terms_of_an_organisation_are_its_own() -> None:
    found = book(
        PLAIN,
        own="{provider: p, always: [{times: '0.8', units: all, organisation: acme, from: 2026-01-01}]}",
    )
    assert rates(found, organisation="acme") == {"input": "1.60", "output": "6.40"}
    assert rates(found, organisation="acme", when="2025-12-31")["input"] == "2.00"
    assert rates(found, organisation="other")["input"] == "2.00"


def test_terms_for_a_pattern_and_for_a_model_both_hold() -> None:
    found = book(
        PLAIN,
        own="""
provider: p
models:
  m: {prices: [{rates: {input: 1.00}}]}
  "m*": {prices: [{times: 0.9, name: discount}]}
""",
    )
    assert rates(found) == {"input": "0.90", "output": "7.20"}


def test_free_is_a_price() -> None:
    found = book("{provider: p, models: {m: {free: true}}}").find("p", "m", at("2026-01-01"))
    assert isinstance(found, Found)
    assert found.cost_nano({"input": 10**9, "web_search": 5}) == 0


def test_peak_hours_hold_on_weekdays_and_not_on_holidays() -> None:
    found = book("""
provider: p
windows:
  peak: {days: [mon, tue, wed, thu, fri], hours: ["01:00-04:00", "06:00-10:00"], except: [2026-10-01]}
models: {m: {prices: [{rates: {input: 1}}, {when: {during: peak}, times: 2}]}}
""")
    assert rates(found, when="2026-11-20T01:00:00Z")["input"] == "2.00"  # a Friday
    assert rates(found, when="2026-11-20T04:00:00Z")["input"] == "1.00"
    assert rates(found, when="2026-11-21T01:00:00Z")["input"] == "1.00"  # a Saturday
    assert rates(found, when="2026-10-01T01:00:00Z")["input"] == "1.00"  # a holiday


class TestNames:
    BOOK = book(
        """
provider: p
models:
  gpt-4o: {prices: [{rates: {input: 1}}]}
  gpt-4o-2024-05-13: {prices: [{rates: {input: 5}}]}
  "ft:gpt-4o*": {prices: [{rates: {input: 3}}]}
  claude-3-7-sonnet: {prices: [{rates: {input: 7}}]}
"""
    )

    @pytest.mark.parametrize(
        "name", ["gpt-4o", "GPT-4o", "gpt-4o-2024-08-06", "gpt-4o-20240806", "models/gpt-4o"]
    )
    def test_a_snapshot_is_found_under_its_undated_name(self, name: str) -> None:
        assert rates(self.BOOK, name) == {"input": "1.00"}

    def test_a_snapshot_with_rates_of_its_own_keeps_them(self) -> None:
        assert rates(self.BOOK, "gpt-4o-2024-05-13") == {"input": "5.00"}

    def test_a_fine_tune_has_its_own_rates(self) -> None:
        assert rates(self.BOOK, "ft:gpt-4o-2024-08-06:acme::Abc123") == {"input": "3.00"}

    def test_a_fine_tune_never_becomes_its_base(self) -> None:
        assert "ft:claude-3-7-sonnet" in missing(self.BOOK, "ft:claude-3-7-sonnet:acme::1")

    def test_a_vertex_name_with_path_and_date(self) -> None:
        name = "publishers/anthropic/models/claude-3-7-sonnet@20250219"
        assert rates(self.BOOK, name) == {"input": "7.00"}

    def test_a_snapshot_told_apart_below_is_not_taken_for_the_undated_above(self) -> None:
        found = book(
            "{provider: p, models: {g: {prices: [{rates: {input: '9'}}]}}}",
            "{provider: p, models: {g: {prices: [{rates: {input: '1'}}]}, "
            "g-2024-05-13: {prices: [{rates: {input: '5'}}]}}}",
        )
        assert rates(found, "g-2024-05-13") == {"input": "5.00"}
        assert rates(found, "g-2024-08-06") == {"input": "9.00"}


class TestElsewhere:
    MAKER = "{provider: openai, models: {gpt-4o: {prices: [{rates: {input: '2.5'}}]}}}"

    def test_a_seller_has_its_makers_rates(self) -> None:
        seller = "{provider: p, rates_of: [openai], always: [{times: '1.1', name: zone}]}"
        assert rates(book((self.MAKER, seller)), "gpt-4o") == {"input": "2.75"}

    def test_a_routers_slug_leads_to_the_maker(self) -> None:
        assert rates(book(self.MAKER), "openai/gpt-4o:nitro", provider="openrouter") == {"input": "2.50"}

    def test_a_host_that_is_no_router_does_not_have_the_makers_rates(self) -> None:
        assert "No price" in missing(book(self.MAKER), "openai/gpt-4o", provider="somehost")

    def test_a_host_has_the_rates_of_the_upstream_it_names(self) -> None:
        found = book("{provider: hub_together, models: {m: {prices: [{rates: {input: '0.5'}}]}}}")
        assert rates(found, provider="hub", upstream="together") == {"input": "0.50"}
        assert "No price" in missing(found, provider="hub")

    def test_a_free_slug_costs_nothing(self) -> None:
        found = book(self.MAKER).find("openrouter", "openai/gpt-4o:free", at("2026-01-01"))
        assert isinstance(found, Found)
        assert found.cost_nano({"input": 1000, "output": 1000}) == 0

    def test_same_as_borrows_and_adds(self) -> None:
        mine = "{provider: azure, models: {chat: {same_as: openai/gpt-4o, prices: [{rates: {output: '9'}}]}}}"
        assert rates(book((self.MAKER, mine)), "chat", provider="azure") == {
            "input": "2.50",
            "output": "9.00",
        }

    def test_same_as_in_a_circle_ends(self) -> None:
        circle = "{provider: p, models: {a: {same_as: p/b}, b: {same_as: p/a}}}"
        assert "No price" in missing(book(circle), "a")


class TestMissing:
    def test_says_what_to_do(self) -> None:
        assert missing(book(PLAIN), "gpt-6-mini", "2026-08-01") == (
            "No price for model 'gpt-6-mini' at p on 2026-08-01. "
            "Add one: flatfare prices add p/gpt-6-mini --input … --output …"
        )

    def test_suggests_a_name_that_is_near(self) -> None:
        found = book("{provider: p, models: {gpt-5-mini: {prices: [{rates: {input: '1'}}]}}}")
        assert missing(found, "gpt-5-mimi").endswith("Did you mean 'gpt-5-mini'?")

    def test_says_from_when_the_first_price_is(self) -> None:
        found = book("{provider: p, models: {m: {prices: [{from: 2026-07-01, rates: {input: '1'}}]}}}")
        assert "The first known one is from 2026-07-01." in missing(found)


class TestCurrency:
    TEXT = """
provider: p
models: {m: {prices: [{currency: CNY, rates: {input: 4, output: 16}}]}}
"""

    def test_a_rate_stays_in_its_own_currency(self) -> None:
        found = book(self.TEXT).find("p", "m", at("2026-01-15"))
        assert isinstance(found, Found)
        assert (found.currency, found.cost_nano({"input": 1_000_000})) == ("CNY", 4_000_000_000)

    def test_mixed_currencies_need_the_days_rate(self) -> None:
        always = "{provider: p, always: [{rates: {web_search: 10 per 1000}}]}"
        reason = missing(book(self.TEXT, own=always))
        assert "in CNY and USD, and an exchange rate of the day is not known" in reason
        assert reason.endswith("Add it: flatfare prices add exchange/CNY --rate … --from …")
        exchange = (("CNY", "2026-05-20", "0.125", "bank"),)
        assert rates(book(self.TEXT, own=always, exchange=exchange))["web_search"] == "80.00 per 1000"


def test_minimums_and_request_fees_are_billed() -> None:
    found = book("""
provider: p
models:
  m:
    prices:
      - {rates: {input_audio_second: 0.36 per 3600, request: 5 per 1000}}
      - {minimum: {input_audio_second: 10}}
""").find("p", "m", at("2026-01-01"))
    assert isinstance(found, Found)
    assert found.cost_nano({"input_audio_second": 3}) == 1_000_000 + 5_000_000
    assert found.cost_nano({"input_audio_second": 20}) == 2_000_000 + 5_000_000


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{provider: p, models: {m: {prices: [{rate: {input: 1}}]}}}", "m: Found 'rate' in a statement"),
        (
            "{provider: p, models: {m: {prices: [{rates: {inptu: 1}}]}}}",
            "m: Found 'inptu' where a billable unit",
        ),
        ("{provider: p, models: {m: {prices: [{rates: {input: -1}}]}}}", "write it like 2.50"),
        ("{provider: p, models: {m: {prices: [{when: {context: 200k}, times: 2}]}}}", "'over 200000'"),
        ("{provider: p, models: {m: {prices: [{when: {during: peak}, times: 2}]}}}", "names none"),
        ("{provider: p, models: {m: {prces: []}}}", "found 'prces'"),
        ("{provider: p, models: {m: text}}", "m: found 'text' where a mapping was expected"),
        ("{provider: p, models: [m]}", "models: found"),
        ("{provider: p, models: {m: {prices: [text]}}}", "a statement: found 'text'"),
        ("{provider: p, models: {m: {prices: text}}}", "where a list of statements was expected"),
        ("{provider: p, windows: [1]}", "windows: found"),
        ("{provider: p, models: {m: {match: text}}}", "found 'text' for match"),
        ("{provider: p, models: {m: {free: perhaps}}}", "true or false was expected"),
        ("{provider: p, modles: {}}", "Found 'modles' at the top"),
        (
            "{provider: p, models: {m: {prices: [{from: soon, rates: {input: 1}}]}}}",
            "where a time was expected",
        ),
    ],
)
def test_a_misspelt_statement_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(BadInput) as problem:
        book(text)
    assert sentence in str(problem.value)


def _batch() -> object:
    from flatfare.prices.book import Circumstances

    return Circumstances("batch")
