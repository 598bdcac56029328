"""When two texts are the same: what is ignored between them is stated, one named step at a time."""

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping

from flatfare.core.errors import BadInput

_QUOTES = {ord(sign): '"' for sign in "“”„‟«»＂″"} | {ord(sign): "'" for sign in "‘’‚‛‹›＇′`´"}
_DASHES = {ord(sign): "-" for sign in "‐‑‒–—―−﹣－"}
_INVISIBLE = dict.fromkeys([0xAD, *range(0x200B, 0x2010), *range(0x202A, 0x202F), 0x2060, 0xFEFF])
_SPACES = re.compile(r"\s+")


def _without_accents(text: str) -> str:
    parted = unicodedata.normalize("NFD", text)
    return unicodedata.normalize("NFC", "".join(sign for sign in parted if not unicodedata.combining(sign)))


def _without_punctuation(text: str) -> str:
    return "".join(sign for sign in text if unicodedata.category(sign)[0] != "P")


STEPS: Mapping[str, Callable[[str], str]] = {
    "forms": lambda text: unicodedata.normalize("NFKC", text),
    "invisible": lambda text: text.translate(_INVISIBLE),
    "quotes": lambda text: text.translate(_QUOTES),
    "dashes": lambda text: text.translate(_DASHES),
    "case": str.casefold,
    "accents": _without_accents,
    "punctuation": _without_punctuation,
    "articles": lambda text: re.sub(r"\b(a|an|the)\b", " ", text, flags=re.IGNORECASE),
    "whitespace": lambda text: _SPACES.sub(" ", text).strip(),
    "surrounding": str.strip,
}
"""What may be ignored, in the order in which it is taken away.

``forms`` are ways to write one sign (ﬁ and fi, full width); ``invisible`` are soft hyphens and
signs of no width; ``surrounding`` is whitespace at both ends, ``whitespace`` any run of it.
"""


def checked(ignored: Iterable[str]) -> tuple[str, ...]:
    """The steps in their order, each once; ``BadInput`` where one is unknown."""
    named = set(ignored)
    unknown = sorted(named - set(STEPS))
    if unknown:
        raise BadInput(f"Found {unknown[0]!r} in 'ignore': it takes {', '.join(STEPS)}.")
    return tuple(step for step in STEPS if step in named)


def alike(text: str, ignored: tuple[str, ...]) -> str:
    """What is left of a text that is the same as another where this is.

    >>> alike("  The “Café”, please ", ("quotes", "case", "accents", "surrounding"))
    'the "cafe", please'
    """
    for step in ignored:
        text = STEPS[step](text)
    return text
