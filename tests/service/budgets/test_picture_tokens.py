"""Tokens of pictures: never fewer than the examples that providers publish, and than were recorded."""

import pytest

from flatfare.service.budgets.picture_sizes import Size
from flatfare.service.budgets.picture_tokens import DEAREST, rule_of


def of(model: str, width: int, height: int, detail: str | None = None) -> int:
    rule = rule_of(model)
    assert rule is not None
    return rule.of(Size(width, height), detail)


def most(model: str, detail: str | None = None) -> int | None:
    rule = rule_of(model)
    assert rule is not None
    return rule.most(detail)


@pytest.mark.parametrize(
    ("model", "width", "height", "detail", "counted", "held"),
    [
        ("gpt-4o", 1024, 1024, "high", 765, 765),  # OpenAI's examples, guide of images and vision
        ("gpt-4o", 2048, 4096, "high", 1105, 1445),
        ("gpt-4o", 4096, 8192, "low", 85, 85),
        ("gpt-4o-mini", 1024, 1024, None, 25_501, 25_501),
        ("gpt-4o-mini-2024-07-18", 4096, 512, "auto", 48_169, 48_169),
        ("ft:gpt-4.1-2025-04-14:acme::1", 1024, 1024, None, 765, 765),
        ("gpt-5-mini", 1024, 1024, None, 1659, 1659),
        ("gpt-5-nano", 1800, 2400, "high", 3572, 3779),
        ("o4-mini-2025-04-16", 32, 32, "low", 441, 441),
        ("gpt-5.6-sol", 20_000, 20_000, None, 390_625, 960_938),
        ("gpt-5.6", 20_000, 20_000, "high", 10_000, 24_600),
        ("gpt-5.4", 20_000, 20_000, "original", 10_000, 24_600),
        ("gpt-5-4-2026-03-05", 20_000, 20_000, None, 2500, 6150),
        ("claude-sonnet-4-6", 200, 200, None, 64, 64),  # Anthropic's examples, guide of vision
        ("claude-sonnet-4-6", 1000, 1000, None, 1334, 1334),
        ("claude-sonnet-4-6", 1920, 1080, None, 1560, 1640),
        ("us.anthropic.claude-opus-4-8", 1920, 1080, None, 2765, 2765),
        ("claude-opus-4-7", 3840, 2160, None, 4784, 5001),
        ("anthropic/claude-haiku-4.5", 8000, 8000, None, 1568, 1640),
        ("gemini-2.0-flash", 3008, 2000, None, 3354, 3354),  # recorded
        ("gemini-2.5-flash", 960, 540, None, 6 * 258, 7 * 258),  # Google's example, guide of tokens
        ("gemini-3-flash-preview", 597, 566, None, 1095, 2240),  # recorded
        ("models/gemini-3.1-pro", 4000, 3000, None, 2240, 2240),
    ],
)
def test_no_fewer_are_held_than_are_counted(
    model: str, width: int, height: int, detail: str | None, counted: int, held: int
) -> None:
    assert of(model, width, height, detail) == held >= counted


@pytest.mark.parametrize(
    "model",
    [
        *("gpt-4o", "gpt-4o-mini", "gpt-5-mini", "o3", "gpt-5.4", "gpt-5.5", "gpt-5.1", "gpt-5.2-codex"),
        *(
            "claude-3-opus-20240229",
            "claude-sonnet-5",
            "gemini-2.5-pro",
            "gemini-3.8-flash",
            "gemini-4-argon",
        ),
    ],
)
@pytest.mark.parametrize("detail", [None, "auto", "low", "high", "original"])
def test_no_size_counts_more_than_the_most(model: str, detail: str | None) -> None:
    end = most(model, detail)
    assert end is not None
    sizes = [(1, 1), (31, 33), (768, 768), (2049, 513), (1, 60_000), (60_000, 7), (9999, 9999)]
    assert max(of(model, *size, detail) for size in sizes) <= end
    assert end <= DEAREST


@pytest.mark.parametrize("model", ["gpt-5.6", "gpt-5.6-luna", "gpt-6.1-sol", "openai/gpt-6-astra", "gpt-5-7"])
def test_models_that_keep_a_picture_s_size_have_no_most(model: str) -> None:
    assert most(model) is most(model, "original") is most(model, "auto") is None
    assert most(model, "high") is not None


@pytest.mark.parametrize("model", ["gpt-6-sol", "gpt-7"])
def test_a_model_whose_rule_is_not_published_counts_no_less_than_any(model: str) -> None:
    assert of(model, 10, 10) == of(model, 10, 10, "low") == DEAREST


@pytest.mark.parametrize(
    ("model", "squares"),
    [
        *[(name, 1568) for name in ("claude-2.1", "claude-instant-1.2", "claude-3-5-haiku-latest")],
        *[(name, 1568) for name in ("claude-4-sonnet", "claude-opus-4", "claude-opus-4-1-20250805")],
        *[(name, 1568) for name in ("claude-sonnet-4-0", "claude-opus-4-6", "claude-haiku-4-5@20251001")],
        *[
            (name, 4784)
            for name in ("claude-opus-4-7", "claude-opus-4-10", "claude-sonnet-5", "claude-fable-5-1")
        ],
        *[(name, 4784) for name in ("claude-opus-5-5", "claude-mythos-5", "claude-10", "claude-haiku-5-5")],
    ],
)
def test_claude_sees_more_from_4_7_on(model: str, squares: int) -> None:
    assert most(model) == -(-squares * 784 // 750)


def test_of_other_vendors_no_rule_is_known() -> None:
    assert [rule_of(name) for name in ("pixtral-12b", "grok-4", "us.amazon.nova-pro-v1:0", "llama-4")] == [
        None
    ] * 4
