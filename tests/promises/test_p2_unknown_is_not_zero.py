"""P2: no price or no usage makes a cost unknown, with a reason; nothing is zero for want of a price."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flatfare.core.cost import CostState
from flatfare.core.units import UNITS
from flatfare.core.usage import Usage
from flatfare.dialects.reading import Conditions, Exchange, Part, Reading
from flatfare.prices.book import PriceBook
from flatfare.service.costing.pricing import cost_reading
from tests.prices.books import at

NOW = at("2026-11-20")
BOOK = PriceBook.standard()


@given(
    st.text(max_size=60).map(lambda text: f"no-such-model-{text}"),
    st.sampled_from(
        ["openai", "anthropic", "gemini", "vertex", "bedrock", "azure", "mistral", "groq", "nobody"]
    ),
    st.sampled_from(sorted(UNITS)),
)
def test_an_unknown_model_is_unknown_and_never_zero(model: str, provider: str, unit: str) -> None:
    read = Reading(parts=(Part(model, Usage({unit: 1000})),))
    cost = cost_reading(BOOK, read, Exchange(provider, "chat.completions", at_us=NOW))
    assert cost.state is CostState.UNKNOWN
    assert cost.amount_nano is None
    assert cost.reason


@pytest.mark.parametrize(
    ("model", "usage", "reason"),
    [
        ("gpt-4o", Usage(input=10, page=3), "no rate for 'page'"),
        ("gpt-6-mini", Usage(input=10), "No price for model 'gpt-6-mini' at openai on 2026-11-20. Add one:"),
        (None, Usage(input=10), "names a model"),
    ],
)
def test_the_reason_says_what_to_do(model: str | None, usage: Usage, reason: str) -> None:
    read = Reading(parts=(Part(model, usage),))
    cost = cost_reading(BOOK, read, Exchange("openai", "chat.completions", at_us=NOW))
    assert cost.amount_nano is None
    assert cost.reason is not None
    assert reason in cost.reason


def test_one_unknown_part_makes_the_whole_unknown() -> None:
    read = Reading(parts=(Part("gpt-4o", Usage(input=10)), Part("gpt-6-mini", Usage(input=10))))
    assert cost_reading(BOOK, read, Exchange("openai", "responses", at_us=NOW)).amount_nano is None


def test_a_service_tier_without_rates_is_unknown() -> None:
    read = Reading(parts=(Part("gpt-4o", Usage(input=10), Conditions(service_tier="sapphire")),))
    cost = cost_reading(BOOK, read, Exchange("openai", "chat.completions", at_us=NOW))
    assert cost.amount_nano is None
    assert cost.reason is not None
    assert "the service tier 'sapphire'" in cost.reason


def test_a_true_zero_is_a_price() -> None:
    read = Reading(parts=(Part("minimax/minimax-m2:free", Usage(input=1000, output=1000)),))
    cost = cost_reading(BOOK, read, Exchange("openrouter", "chat.completions", at_us=NOW))
    assert (cost.amount_nano, cost.state) == (0, CostState.MEASURED)
