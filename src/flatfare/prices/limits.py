"""How much a model reads and writes at most, in tokens: what bounds a call that says no limit itself.

Facts from LiteLLM's price file and genai-prices (both 2026-11-20), the largest of all hosts
under one name; ``tools/write_model_limits.py`` makes the table anew.
"""

import csv
import re
from dataclasses import dataclass
from functools import cache
from importlib import resources

_VENDORS = ("anthropic.", "amazon.", "meta.", "mistral.", "cohere.", "ai21.", "deepseek.", "openai.", "qwen.")
_END = re.compile(
    r"(?:[-@:](?:online|nitro|floor|free|exacto|v\d+(?::\d+)?|\d{8}|\d{4}-\d{2}-\d{2}|latest|\d{4}))+$"
)


@dataclass(frozen=True, slots=True)
class Limits:
    """Tokens a model reads at most, and writes at most; None where it is not known."""

    reads: int | None = None
    writes: int | None = None


NO_LIMITS = Limits()


def bare_name(model: str) -> str:
    """A model's name without its host, place, date and version.

    >>> bare_name("us.anthropic.claude-sonnet-4-5-20250929-v1:0"), bare_name("azure/gpt-5-mini-2025-08-07")
    ('claude-sonnet-4-5', 'gpt-5-mini')
    >>> bare_name("models/gemini-3-pro-preview"), bare_name("gpt-4o-2024-08-06")
    ('gemini-3-pro-preview', 'gpt-4o')
    """
    name = model.lower().rsplit("/", 1)[-1]
    for vendor in _VENDORS:
        _, found, rest = name.partition(vendor)
        if found:
            name = rest
    return _END.sub("", name) or name


def limits_of(model: str) -> Limits:
    """The limits of a model under any of its hosts' names."""
    return _table().get(bare_name(model), NO_LIMITS)


@cache
def _table() -> dict[str, Limits]:
    text = resources.files("flatfare.prices").joinpath("data/limits.csv").read_text("utf-8")
    return {
        row["model"]: Limits(int(row["reads"]) or None, int(row["writes"]) or None)
        for row in csv.DictReader(text.splitlines())
    }
