"""How many tokens a provider counts for a picture, by the rule it publishes for the model.

A count here is never below the provider's: where a rule leaves something open, the higher holds. Of a model
whose rule is not known, a picture counts as the dearest that is.

Sources, read 2026-11-21: OpenAI, developers.openai.com/api/docs/guides/images-vision (model sizing behavior,
calculating costs); Anthropic, platform.claude.com/docs/en/build-with-claude/vision; Google,
ai.google.dev/gemini-api/docs/tokens and /media-resolution.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Protocol

from flatfare.prices.limits import bare_name
from flatfare.service.budgets.picture_sizes import Size

DEAREST = 49_000
"""The most that a published rule with an end counts for one picture (gpt-4o-mini, high: 48,169)."""


class Rule(Protocol):
    """How a model's provider counts a picture."""

    def of(self, size: Size, detail: str | None) -> int:
        """Tokens of a picture of that size at most."""
        ...

    def most(self, detail: str | None) -> int | None:
        """Tokens of a picture of any size; None where nothing bounds them."""
        ...


@dataclass(frozen=True, slots=True)
class Flat:
    """The same at any size."""

    tokens: int

    def of(self, size: Size, detail: str | None) -> int:
        """Tokens of a picture of that size at most."""
        return self.tokens

    def most(self, detail: str | None) -> int | None:
        """Tokens of a picture of any size."""
        return self.tokens


@dataclass(frozen=True, slots=True)
class Tiles:
    """OpenAI's older rule: some tokens at any rate, and more for each tile of 512 pixels.

    A picture is scaled to fit 2,048 pixels, then to 768 on its shorter side: two rows of tiles, four at most
    along the longer side. That a small one is not enlarged is not said, so it counts as if it were.
    """

    base: int
    tile: int

    def of(self, size: Size, detail: str | None) -> int:
        """Tokens of a picture of that size at most."""
        if detail == "low":
            return self.base
        longer = 768 * Fraction(max(size), min(size))
        return self.base + self.tile * 2 * min(4, math.ceil((longer + 1) / 512))

    def most(self, detail: str | None) -> int | None:
        """Tokens of a picture of any size."""
        return self.base if detail == "low" else self.base + self.tile * 8


@dataclass(frozen=True, slots=True)
class Patches:
    """OpenAI's newer rule: patches of 32 pixels up to a number, each so many tokens.

    ``auto`` is ``original`` where the model has that, unless it is said to be ``high``. What ``low``
    counts is not said, and a small picture may be enlarged for it: 256 patches at least, else as ``high``.
    """

    high: int
    original: int | None  # None: as many as there are
    auto: int | None
    multiplier: Fraction
    least: int = 0  # tokens, of a model whose rule is not published yet

    def _patches(self, detail: str | None) -> int | None:
        if detail in ("low", "high"):
            return self.high
        return self.original if detail == "original" else self.auto

    def of(self, size: Size, detail: str | None) -> int:
        """Tokens of a picture of that size at most."""
        count, most = -(-size.width // 32) * -(-size.height // 32), self._patches(detail)
        if most is not None:
            count = min(count, most)
        if detail == "low":
            count = max(count, 256)
        return max(self.least, math.ceil(count * self.multiplier))

    def most(self, detail: str | None) -> int | None:
        """Tokens of a picture of any size."""
        most = self._patches(detail)
        return None if most is None else max(self.least, math.ceil(most * self.multiplier))


@dataclass(frozen=True, slots=True)
class ClaudeSquares:
    """Anthropic's rule: a token for each square of 28 pixels, up to a number.

    The same page said before: width times height over 750. Whichever is more counts.
    """

    squares: int

    def of(self, size: Size, detail: str | None) -> int:
        """Tokens of a picture of that size at most."""
        squares = -(-size.width // 28) * -(-size.height // 28)
        return min(self.most(detail), max(squares, -(-size.width * size.height // 750)))

    def most(self, detail: str | None) -> int:
        """Tokens of a picture of any size."""
        return -(-self.squares * 28 * 28 // 750)


@dataclass(frozen=True, slots=True)
class GeminiTiles:
    """Google's rule up to Gemini 2.5: 258 tokens for each tile, and for the whole (recorded: 13 times 258).

    A tile is the shorter side over 1.5, of 768 pixels at most. That none is below 256, and that nothing is
    read beyond 3,072 pixels, is said of Vertex alone, so it does not lower the count.
    """

    def of(self, size: Size, detail: str | None) -> int:
        """Tokens of a picture of that size at most."""
        tile = max(1, min(768, min(size) * 2 // 3))
        count = -(-size.width // tile) * -(-size.height // tile) + 1
        return min(DEAREST, 258 * count)

    def most(self, detail: str | None) -> int | None:
        """Tokens of a picture of any size."""
        return DEAREST


GEMINI_3 = Flat(2240)
"""At ultra high resolution; 1,120 unless a part asks for it."""

_MOST_A_PATCH = Fraction("2.46")
"""For models whose multiplier the table does not name: the largest that it does."""


def _patches(multiplier: str | None = None) -> Patches:
    by = _MOST_A_PATCH if multiplier is None else Fraction(multiplier)
    return Patches(1536, 1536, 1536, by)


_OPENAI: Mapping[str, Rule] = {
    "gpt-5": Tiles(70, 140),
    "gpt-5-chat": Tiles(70, 140),
    "gpt-4o": Tiles(85, 170),
    "gpt-4.1": Tiles(85, 170),
    "gpt-4.5-preview": Tiles(85, 170),
    "gpt-4o-mini": Tiles(2833, 5667),
    "o1": Tiles(75, 150),
    "o1-pro": Tiles(75, 150),
    "o3": Tiles(75, 150),
    "computer-use-preview": Tiles(65, 129),
    "gpt-5.4-mini": _patches("1.62"),
    "gpt-5.4-nano": _patches("2.46"),
    "gpt-5-mini": _patches("1.62"),
    "gpt-5-nano": _patches("2.46"),
    "gpt-4.1-mini": _patches("1.62"),
    "gpt-4.1-nano": _patches("2.46"),
    "o4-mini": _patches("1.72"),
    "gpt-5.2": _patches(),
    "gpt-5.2-chat": _patches(),
    "gpt-5.2-codex": _patches(),
    "gpt-5.3-codex": _patches(),
    "gpt-5.1-codex-mini": _patches(),
    "gpt-5-codex-mini": _patches(),
    "gpt-5.4": Patches(2500, 10_000, 2500, _MOST_A_PATCH),
    "gpt-5.5": Patches(2500, 10_000, 10_000, _MOST_A_PATCH),
}

_UNRESIZED = Patches(10_000, None, None, _MOST_A_PATCH)
"""GPT-5.6: a picture keeps its size, unless ``low`` or ``high`` is asked for, whose ends are not said."""

_LATER = Patches(10_000, None, None, _MOST_A_PATCH, DEAREST)
"""OpenAI's models since, of which nothing that could be read says more: as GPT-5.6, and no less than any."""

_STANDARD_CLAUDE = re.compile(
    r"claude-(?:v?[123](?!\d)|instant|4-(?:opus|sonnet)|(?:opus|sonnet|haiku)-4(?:[-.][0-6])?(?![-.]?\d))"
)
_UNDOTTED = re.compile(r"^gpt-(\d)-(\d)(?=-|$)")
_LATER_THAN_5_6 = re.compile(r"gpt-(?:5\.[7-9]|5\.\d\d|[6-9]|\d\d)")
_OPENAIS = re.compile(r"gpt-\d|o\d|chatgpt|computer-use")


@lru_cache(maxsize=1024)
def rule_of(model: str) -> Rule | None:
    """The rule for a model under any of its hosts' names; None where its provider's is not known.

    >>> rule_of("ft:gpt-4o-2024-08-06:acme::x"), rule_of("us.anthropic.claude-opus-4-8"), rule_of("pixtral")
    (Tiles(base=85, tile=170), ClaudeSquares(squares=4784), None)
    """
    name = bare_name(model.split(":")[1] if model.startswith("ft:") else model)
    name = _UNDOTTED.sub(r"gpt-\1.\2", name)
    if name.startswith("claude-"):
        return ClaudeSquares(1568 if _STANDARD_CLAUDE.match(name) else 4784)
    if name.startswith("gemini-"):
        return _of_gemini(name)
    if name in _OPENAI:
        return _OPENAI[name]
    if name.startswith("gpt-5.6"):
        return _UNRESIZED
    if _LATER_THAN_5_6.match(name):
        return _LATER
    return Flat(DEAREST) if _OPENAIS.match(name) else None


def _of_gemini(name: str) -> Rule:
    if re.match(r"gemini-(?:1\.[05]|2\.[05])-(?:flash|pro)", name) and "image" not in name:
        return GeminiTiles()
    if re.match(r"gemini-3(?:\.\d+)?-(?:flash|pro)", name) and "image" not in name:
        return GEMINI_3
    return Flat(DEAREST)
