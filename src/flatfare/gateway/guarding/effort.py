"""How hard a request asks a model to think, in the words of each provider, and how to ask for less.

Providers take a word (OpenAI, Anthropic, Gemini 3) or a number of tokens (Anthropic, Gemini 2.5,
OpenRouter); a request may name both. A request that names neither asks for its model's default,
where that is known.
"""

import re
from collections.abc import Iterator

import msgspec

from flatfare.core.guard import EFFORTS, effort_rank
from flatfare.gateway.guarding.editing import value_at, with_value
from flatfare.prices.limits import bare_name

Path = tuple[str, ...]

TOKENS = {"none": 0, "minimal": 1024, "low": 1024, "medium": 8192, "high": 24_576, "xhigh": 32_768}
"""Tokens of thinking that a word stands for (Google's table of OpenAI's words for Gemini 2.5, docs 2026-11;
beyond ``high`` our own). ``max`` stands for any number."""

THINKING_MIN = 1024
"""Anthropic takes no smaller budget of thinking (docs, 2026-11)."""

GEMINI_PRO_MIN = 128
"""Gemini 2.5 Pro cannot be kept from thinking altogether (docs, 2026-11)."""

_CONFIGS = ("generationConfig", "generation_config")
_THINKING = ("thinkingConfig", "thinking_config")
_LEVELS = ("thinkingLevel", "thinking_level")
_BUDGETS = ("thinkingBudget", "thinking_budget")
_BEDROCK = "additionalModelRequestFields"
_GOOGLE = ("extra_body", "google", "thinking_config")

_WORDS: tuple[Path, ...] = (
    ("reasoning_effort",),
    ("reasoning", "effort"),
    ("output_config", "effort"),
    (_BEDROCK, "output_config", "effort"),
    (_BEDROCK, "reasoning_effort"),
    *((config, thinking, level) for config in _CONFIGS for thinking in _THINKING for level in _LEVELS),
    *((*_GOOGLE, level) for level in _LEVELS),
)
_NUMBERS: tuple[Path, ...] = (
    ("thinking", "budget_tokens"),
    (_BEDROCK, "thinking", "budget_tokens"),
    ("reasoning", "max_tokens"),
    ("thinking_budget",),
    *((config, thinking, budget) for config in _CONFIGS for thinking in _THINKING for budget in _BUDGETS),
    *((*_GOOGLE, budget) for budget in _BUDGETS),
)
_MARKS = (b"effort", b"hinking", b'"reasoning"')
"""A request without any of these names no effort."""

_MEDIUM_UNASKED = re.compile(r"o1|o3|o3-mini|o4-mini|gpt-5|gpt-5-mini|gpt-5-nano")
"""OpenAI's models that think at ``medium`` unless told otherwise; later ones do not think (API reference,
2026-11). Those that take no other effort (``gpt-5-pro``, deep research) are left."""

_HIGH_UNASKED = re.compile(r"claude-(?:opus|sonnet)-4[-.][6-9]")
"""Anthropic's models that take ``output_config.effort`` without a beta header, and mean ``high`` without it
(docs, 2026-11)."""

_LEVEL_UNASKED = re.compile(r"gemini-3[\d.]*-(?:pro|flash)(?:-preview)?(?:-\d\d-\d{4})?")
_BUDGET_UNASKED = re.compile(r"gemini-2\.5-(?:pro|flash)(?:-preview)?(?:-\d\d-\d{4})?")
"""Gemini's models that think as they see fit unless told otherwise (docs, 2026-11)."""


def asked_effort(body: bytes, endpoint: str, model: str | None) -> int | None:
    """The place of the effort asked for among ``EFFORTS``; None where nothing says or implies one."""
    named = [rank for rank, _, _ in _named(body)]
    if named:
        return max(named)
    unasked = _unasked(endpoint, model)
    return None if unasked is None else unasked[0]


def with_less_effort(body: bytes, endpoint: str, model: str | None, most: int) -> bytes:
    """The request with no more effort than ``most``, and every other byte as it was."""
    found = list(_named(body))
    for rank, path, value in found:
        if rank > most:
            body = _lowered(body, path, value, most)
    if found:
        return body
    unasked = _unasked(endpoint, model)
    if unasked is None or unasked[0] <= most:
        return body
    return with_value(body, unasked[1], _written(unasked[1], None, most, model))


def _named(body: bytes) -> Iterator[tuple[int, Path, object]]:
    """Each effort that a request names: its place, where it stands, and as it was written."""
    if not any(mark in body for mark in _MARKS):
        return
    for path in _WORDS:
        value = value_at(body, path)
        rank = effort_rank(value) if isinstance(value, str) else None
        if rank is not None:
            yield rank, path, value
    for path in _NUMBERS:
        value = value_at(body, path)
        if isinstance(value, int | float) and not isinstance(value, bool):
            yield _rank_of(int(value)), path, value


def _rank_of(tokens: int) -> int:
    """The least effort that stands for so many tokens; a negative number leaves it to the model."""
    if tokens < 0:
        return EFFORTS.index("high")
    return next((EFFORTS.index(word) for word, most in TOKENS.items() if tokens <= most), len(EFFORTS) - 1)


def _lowered(body: bytes, path: Path, value: object, most: int) -> bytes:
    if path[-1] == "budget_tokens" and most < EFFORTS.index("minimal"):
        return with_value(body, path[:-1], b'{"type":"disabled"}')
    return with_value(body, path, _written(path, value, most, None))


def _written(path: Path, value: object, most: int, model: str | None) -> bytes:
    """An effort as it is written at a place."""
    word = EFFORTS[most]
    if path[-1] in ("budget_tokens", "max_tokens", "thinking_budget", "thinkingBudget"):
        least = GEMINI_PRO_MIN if model is not None and "-pro" in model else 0
        return b"%d" % max(TOKENS[word], least)
    if path[-1] in _LEVELS:
        word = "minimal" if word == "none" else word
    elif "output_config" in path:
        word = "low" if word in ("none", "minimal") else word
    return msgspec.json.encode(word.upper() if isinstance(value, str) and value.isupper() else word)


def _unasked(endpoint: str, model: str | None) -> tuple[int, Path] | None:
    """The effort of a model that is told nothing, and where to tell it; None where that is not known."""
    if model is None:
        return None
    name = bare_name(model)
    medium, high = EFFORTS.index("medium"), EFFORTS.index("high")
    if endpoint == "chat.completions" and _MEDIUM_UNASKED.fullmatch(name):
        return medium, ("reasoning_effort",)
    if endpoint == "responses" and _MEDIUM_UNASKED.fullmatch(name):
        return medium, ("reasoning", "effort")
    if endpoint == "messages" and _HIGH_UNASKED.fullmatch(name):
        return high, ("output_config", "effort")
    if endpoint in ("generateContent", "streamGenerateContent"):
        if _LEVEL_UNASKED.fullmatch(name):
            return high, ("generationConfig", "thinkingConfig", "thinkingLevel")
        if _BUDGET_UNASKED.fullmatch(name):
            return high, ("generationConfig", "thinkingConfig", "thinkingBudget")
    return None
