"""Tokens counted offline, for streams whose usage never came: an estimate, never a measurement.

Where the model's vocabulary is public and its package is installed the text is counted
exactly; elsewhere it is estimated from its characters. What a provider adds around the
text is not known either way.
"""

import importlib
import importlib.util
import re
from functools import cache
from typing import Protocol

from flatfare.dialects.dialect import Prompt

MESSAGE_TOKENS, ANSWER_TOKENS = 4, 3
"""Tokens around each message of a chat, and before the answer (OpenAI cookbook, how to count tokens
with tiktoken, 2026-11)."""
TOOLS_TOKENS, TOOL_TOKENS, FIELD_TOKENS = 20, 2, 5
"""Tokens around the tools of a request, each tool, and each argument, beside their names and descriptions:
fitted to recorded usage of gpt-4o (2026-11); the providers do not publish how they write tools out."""

_OLDER = re.compile(r"gpt-?(?:4(?!o|\.)|3\.?5)|text-embedding|davinci-00[23]|babbage-002")
_CODERS = {"o200k": "o200k_base", "cl100k": "cl100k_base"}


class _Vocabulary(Protocol):
    def encode(self, text: str, *, disallowed_special: tuple[str, ...]) -> list[int]:
        """The text's tokens; what looks like a special token is text where none is disallowed."""


def vocabulary_of(model: str | None, usual: str | None) -> str | None:
    """The public vocabulary that a model counts with; None where none is public.

    Models before GPT-4o count with ``cl100k``, later ones of OpenAI with ``o200k``.
    """
    if usual is None:
        return None
    return "cl100k" if _OLDER.search((model or "").lower()) else usual


_KNOWN = re.compile(r"(?:ft:)?(?:chatgpt-4o|gpt-(?:3\.?5-turbo|4|4o|4\.1|4\.5|5)|o1|o3|o4-mini)(?![a-z0-9])")
_SAFETY = 20
"""One token more for so many that are counted."""


def at_most(body: bytes, model: str) -> int | None:
    """Tokens that a model reads of a request of text at most; None where it is not known how it counts.

    What is sent has the texts in it, and names and marks beside; what JSON writes in a longer way is counted
    on top. So all of it has as many tokens as the texts, at least. Which models count with which vocabulary
    is OpenAI's list (tiktoken 0.14, model.py, 2026-11).
    """
    if _KNOWN.match(model.lower()) is None or not is_installed():
        return None
    tokens, _ = count(body.decode("utf-8", "replace"), vocabulary_of(model, "o200k"))
    return tokens + tokens // _SAFETY + 1 + 4 * body.count(b"\\u")


def count(text: str, vocabulary: str | None) -> tuple[int, str]:
    """Tokens of the text, and how they were counted."""
    if vocabulary is not None and is_installed():
        return len(
            _vocabulary(vocabulary).encode(text, disallowed_special=())
        ), f"counted offline with the vocabulary {vocabulary}"
    return by_characters(text), "estimated from its characters"


def count_prompt(prompt: Prompt, vocabulary: str | None) -> int:
    """Tokens of what a request sends to be read, with the frames around it."""
    tokens, _ = count(prompt.text, vocabulary)
    if prompt.messages:
        tokens += MESSAGE_TOKENS * prompt.messages + ANSWER_TOKENS
    if prompt.tools:
        tokens += TOOLS_TOKENS + TOOL_TOKENS * prompt.tools + FIELD_TOKENS * prompt.tool_fields
    return tokens


def is_installed() -> bool:
    """Whether the package that bundles the vocabularies is there (the extra ``tokens``)."""
    return importlib.util.find_spec("bpe_openai") is not None


@cache
def _vocabulary(name: str) -> _Vocabulary:
    coder: _Vocabulary = importlib.import_module("bpe_openai").get_encoding(_CODERS[name])
    return coder


_WORD = re.compile(r"[^\W\d_]+|\d+|\s+|[^\w\s]|_")


def by_characters(text: str) -> int:
    """Tokens judged by the kinds of characters, for vocabularies that are not public.

    A short word of a Latin script is one token and longer ones one more for about every six
    letters; other scripts take about one token for a character and a half; three digits are
    one; marks are one each; single spaces belong to the word after them. Its error against
    usage that providers stated is measured in ``docs/costing.md``.

    >>> by_characters("This is a test.")
    5
    """
    tokens = 0.0
    for piece in _WORD.findall(text):
        first = piece[0]
        if first.isspace():
            tokens += 0 if piece == " " else 1
        elif first.isdigit():
            tokens += -(-len(piece) // 3)
        elif not first.isalpha():
            tokens += 1
        elif first < "\u0250":
            tokens += 1 + max(0, len(piece) - 6) / 6
        else:
            tokens += len(piece) / 1.5
    return round(tokens)
