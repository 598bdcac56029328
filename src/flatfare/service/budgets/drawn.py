"""How many tokens a picture costs at most that a model draws, by the size and quality asked for.

Where the request leaves size or quality to the model, the dearest counts. Sources: developers.openai.com/api/
docs/guides/image-generation, its table for earlier models, and its calculator for GPT Image 2 as read on
2026-09-05 (nine sizes at high, one at low), which the formula here gives to the token.
"""

import re
from collections.abc import Mapping

from flatfare.dialects.openai_pictures import PICTURE_TOKENS
from flatfare.prices.limits import bare_name

SKETCHES_TOKENS = 300
"""Three sketches on the way of a streamed picture, each 100 tokens more (same guide, ``partial_images``)."""

DALLE_SIZES = ("1024x1024", "1792x1024")
DALLE_QUALITIES = ("standard", "hd")
"""The dearest sizes and qualities of DALL-E are among these."""

# By the guide's prices of a picture, rounded up to the next digit, at $8 per million tokens.
_MINI_TOKENS: Mapping[tuple[str, str], int] = {
    ("low", "1024x1024"): 688,
    ("low", "1024x1536"): 813,
    ("low", "1536x1024"): 813,
    ("medium", "1024x1024"): 1438,
    ("medium", "1024x1536"): 1938,
    ("medium", "1536x1024"): 1938,
    ("high", "1024x1024"): 4563,
    ("high", "1024x1536"): 6563,
    ("high", "1536x1024"): 6563,
}
_SIZE = re.compile(r"([1-9]\d{0,4})x([1-9]\d{0,4})")
_SIDES: Mapping[str, int] = {"low": 16, "medium": 48, "high": 96}
_LARGEST = (2880, 2880)
"""The dearest that GPT Image 2 draws: 8,294,400 pixels at most; the nearer to a square, the more tokens."""


def tokens_drawn(model: str, size: str | None, quality: str | None) -> int | None:
    """Tokens of one picture at most; None where they are not published.

    >>> tokens_drawn("gpt-image-1", "1024x1024", "low"), tokens_drawn("gpt-image-2", "1536x1024", "high")
    (272, 5488)
    """
    name = bare_name(model)
    if name == "gpt-image-1":
        return _most(PICTURE_TOKENS, size, quality)
    if name == "gpt-image-1-mini":
        return _most(_MINI_TOKENS, size, quality)
    if re.fullmatch(r"gpt-image-2(?:\.5-\w+)?", name):
        return _by_pixels(size, quality)
    return None  # GPT Image 1.5 writes text besides, at its own rate, and nobody says how much


def _most(table: Mapping[tuple[str, str], int], size: str | None, quality: str | None) -> int:
    qualities = [quality] if quality in _SIDES else list(_SIDES)
    sizes = {own for _, own in table}
    wanted = {size} if size in sizes else sizes
    return max(tokens for (how, own), tokens in table.items() if how in qualities and own in wanted)


def _by_pixels(size: str | None, quality: str | None) -> int:
    """GPT Image 2, and 2.5: it draws no dearer at a quality of the same name, nor above high at any other."""
    found = _SIZE.fullmatch(size or "")
    width, height = (int(found[1]), int(found[2])) if found else _LARGEST
    side, longer, shorter = _SIDES.get(quality or "", 96), max(width, height), min(width, height)
    other = (2 * side * shorter + longer) // (2 * longer)
    return -(-side * other * (2_000_000 + width * height) // 4_000_000)
