"""Pictures that a model draws: what is held is no less than what is published for their size and quality."""

import json

import pytest

from flatfare.dialects.openai_pictures import PICTURE_TOKENS
from flatfare.dialects.openai_shape import read_request
from flatfare.service.budgets.bounding import Bound, Bounds
from flatfare.service.budgets.drawn import tokens_drawn
from flatfare.service.costing.metering import standard_book

NOW_US = 1_795_000_000_000_000
BOUNDS = Bounds(standard_book())


def bound(provider: str = "openai", endpoint: str = "images.generations", **body: object) -> Bound:
    raw = json.dumps({"service_tier": "default", **body}).encode()
    return BOUNDS.of(provider, endpoint, read_request(raw, "/v1/images/generations"), raw, NOW_US)


@pytest.mark.parametrize(
    ("size", "quality", "tokens"),
    [
        ("1024x1024", "low", 196),  # the calculator of the guide to image generation, read 2026-09-05
        ("1024x1024", "high", 7024),
        ("1536x1024", "high", 5488),
        ("1024x1536", "high", 5488),
        ("1024x640", "high", 3824),
        ("3072x1024", "high", 3952),
        ("2560x1440", "high", 7370),
        ("3840x1280", "high", 5311),
        ("2048x2048", "high", 14_272),
        ("3840x2160", "high", 13_342),
    ],
)
def test_gpt_image_2_draws_as_its_calculator_says(size: str, quality: str, tokens: int) -> None:
    assert tokens_drawn("gpt-image-2", size, quality) == tokens
    assert tokens_drawn("gpt-image-2.5-flare", size, "max") >= tokens  # type: ignore[operator]


def test_of_what_the_model_chooses_the_dearest_counts() -> None:
    """Any size of 8,294,400 pixels at most, sides of 3,840 at most, up to 3 to 1."""
    sizes = [
        f"{width}x{height}"
        for width in range(16, 3841, 16)
        for height in range(16, 3841, 16)
        if 655_360 <= width * height <= 8_294_400 and max(width, height) <= 3 * min(width, height)
    ]
    drawn = [tokens_drawn("gpt-image-2", size, None) or 0 for size in sizes]
    assert (
        tokens_drawn("gpt-image-2", None, None) == tokens_drawn("gpt-image-2", "auto", "auto") == max(drawn)
    )
    assert tokens_drawn("gpt-image-1", None, "medium") == 1584
    assert tokens_drawn("gpt-image-1", "auto", "auto") == max(PICTURE_TOKENS.values())


def test_the_small_model_costs_no_more_than_is_held() -> None:
    """The guide's prices of a picture; $8 a million tokens."""
    published = {"low": (5, 6), "medium": (11, 15), "high": (36, 52)}
    for quality, (square, other) in published.items():
        assert (tokens_drawn("gpt-image-1-mini", "1024x1024", quality) or 0) * 8 >= square * 1000
        assert (tokens_drawn("gpt-image-1-mini", "1536x1024", quality) or 0) * 8 >= other * 1000


def test_pictures_are_held_as_often_as_asked_for_with_their_sketches() -> None:
    """GPT Image 1 reads at $10 a million tokens and draws at $40."""
    asked = {"model": "gpt-image-1", "prompt": "a cat", "size": "1024x1024", "quality": "high"}
    size = len(json.dumps({"service_tier": "default", **asked})) + 64
    assert bound(**asked).most_nano == size * 10_000 + 4160 * 40_000
    three = bound(**asked, n=3, stream=True, partial_images=3)
    assert (three.most_nano or 0) >= 3 * (4160 + 300) * 40_000


@pytest.mark.parametrize(
    ("body", "nano"),
    [
        ({"model": "dall-e-3", "size": "1024x1024", "quality": "standard"}, 40_000_000),
        ({"model": "dall-e-3", "size": "1024x1024"}, 80_000_000),
        ({"model": "dall-e-3"}, 120_000_000),
        ({"model": "dall-e-2", "size": "256x256", "n": 4}, 64_000_000),
        ({"model": "dall-e-2", "n": 2}, 40_000_000),
    ],
)
def test_what_is_billed_by_the_picture_is_held_at_the_dearest_that_it_may_be(
    body: dict[str, object], nano: int
) -> None:
    assert bound(**body, prompt="a cat").most_nano == nano


def test_imagen_draws_four_unless_it_is_told() -> None:
    def of(parameters: object) -> int | None:
        raw = json.dumps({"instances": [{"prompt": "a cat"}], "parameters": parameters}).encode()
        asked = read_request(b'{"model": "imagen-4.0-generate-001"}', "")
        return BOUNDS.of("gemini", "predict", asked, raw, NOW_US).most_nano

    assert of({}) == of({"sampleCount": 1}) == 4 * 40_000_000
    assert of({"sampleCount": 8}) == 8 * 40_000_000


@pytest.mark.parametrize(
    "body", [{"model": "gpt-image-1.5"}, {"model": "grok-imagine-image"}, {"model": "gpt-4o"}]
)
def test_what_is_not_published_is_not_held(body: dict[str, object]) -> None:
    assert bound(**body).most_nano is None
