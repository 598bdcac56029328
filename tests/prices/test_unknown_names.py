"""A name that nobody lists has no price, however near it is to one that somebody does."""

import pytest

from flatfare.prices.book import Circumstances, Found, Missing, PriceBook
from flatfare.service.costing.metering import standard_book

DAY_US = 1_794_700_800_000_000  # 2026-11-15


def asked(name: str, details: dict[str, str] | None = None, book: PriceBook | None = None) -> Found | Missing:
    provider, _, model = name.partition("/")
    return (book or standard_book()).find(provider, model, DAY_US, Circumstances(details=details or {}))


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("openai/gpt-4o-ultra", "gpt-4o"),
        ("openai/gpt-4o-realtime-foo", "gpt-4o"),
        ("openai/gpt-9", "gpt-5"),
        ("anthropic/claude-opus-9", "claude-opus-5"),
        ("anthropic/claude-opus-4-1-ultra", "claude-opus-4-1"),
        ("anthropic/claude-opus-4-11", "claude-opus-4-1"),
        ("anthropic/claude-opus-4-5-1", "claude-opus-4-5"),
        ("anthropic/claude-3-opus-ultra", "claude-3-opus-latest"),
        ("gemini/gemini-99-pro", "gemini-pro"),
        ("gemini/gemini-2.5-pro-ultra", "gemini-2.5-pro"),
        ("vertex/gemini-3.8-flash-cyber", "gemini-3.8-flash"),
        ("deepseek/deepseek-chat-ultra", "deepseek-chat"),
        ("xai/grok-4-ultra", "grok-4"),
        ("azure/gpt-4o-ultra", "gpt-4o"),
        ("openrouter/openai/gpt-4o-ultra", "openai/gpt-4o"),
    ],
)
def test_a_name_that_begins_like_a_known_one_is_unknown_and_says_which_was_meant(
    name: str, meant: str
) -> None:
    found = asked(name)
    assert isinstance(found, Missing), found.model
    assert f"Did you mean {meant!r}" in found.reason


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("anthropic/claude-sonnet-4-20250514", "claude-sonnet-4"),
        ("anthropic/claude-opus-4-5-20251101", "claude-opus-4-5"),
        ("gemini/gemini-2.0-flash-001", "gemini-2.0-flash"),
        ("gemini/gemini-2.5-pro-preview-05-06", "gemini-2.5-pro-preview-05-06"),
        ("gemini/gemini-3.1-pro-preview-customtools", "gemini-3.1-pro-preview"),
        ("vertex/claude-haiku-4-5@20251001", "claude-haiku-4-5"),
        ("bedrock/us.anthropic.claude-3-5-haiku-20241022-v1:0", "claude-3-5-haiku"),
        ("cohere/c4ai-aya-expanse-32b", "c4ai-aya-expanse-32b"),
        ("minimax/MiniMax-M2.1-highspeed", "MiniMax-M2.1-highspeed"),
    ],
)
def test_snapshots_and_paths_are_the_same_model(name: str, model: str) -> None:
    found = asked(name)
    assert isinstance(found, Found), found.reason
    assert found.model == model


def test_a_server_of_ones_own_is_no_suggestion() -> None:
    found = asked("watsonx/ibm/granite-99")
    assert isinstance(found, Missing)
    assert "Did you mean" not in found.reason


@pytest.mark.parametrize(
    "name",
    ["azure/my-deployment", "bedrock/arn:aws:bedrock:us-east-1:0:application-inference-profile/otnfa2ysixqd"],
)
def test_a_name_that_its_user_chose_says_how_to_tell_the_model(name: str) -> None:
    found = asked(name)
    assert isinstance(found, Missing)
    assert "--same-as PROVIDER/MODEL" in found.reason
    assert "Did you mean" not in found.reason


def test_hugging_face_bills_what_its_upstream_does() -> None:
    """Together's own page has Scout at $0.18 and $0.59; Hugging Face's list leaves it out."""
    found = asked("huggingface/meta-llama/Llama-4-Scout-17B-16E-Instruct", {"upstream": "together"})
    assert isinstance(found, Found), found.reason
    assert found.cost_nano({"input": 1_000_000, "output": 1_000_000}) == 770_000_000


def test_hugging_face_without_an_upstream_has_no_price() -> None:
    assert isinstance(asked("huggingface/meta-llama/Llama-4-Scout-17B-16E-Instruct"), Missing)


def test_a_name_made_to_be_slow_is_not() -> None:
    assert isinstance(asked("anthropic/claude-opus-4-5" + "-2025-01-01" * 40 + "!"), Missing)
