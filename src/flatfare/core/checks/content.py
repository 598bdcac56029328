"""Content: what the output must hold, and what it must not, however it is written or hidden."""

import re
from collections.abc import Sequence

from flatfare.core.checks.finding import Ruling, failed, passed
from flatfare.core.checks.likeness import alike
from flatfare.core.checks.submission import Json

_LEVELLED = ("forms", "invisible", "quotes", "dashes", "whitespace")


def holds(text: str, phrase: str, *, whole_words: bool, ignore_case: bool) -> bool:
    """The phrase stands in the text.

    >>> holds("No for\\u200bbidden word", "forbidden", whole_words=True, ignore_case=True)
    True
    """
    steps = (*_LEVELLED, "case") if ignore_case else _LEVELLED
    wanted = re.escape(alike(phrase, steps))
    pattern = rf"(?<!\w){wanted}(?!\w)" if whole_words else wanted
    return re.search(pattern, alike(text, steps)) is not None


def judged(
    text: str,
    required: Sequence[str],
    any_of: Sequence[str],
    forbidden: Sequence[str],
    *,
    whole_words: bool,
    ignore_case: bool,
) -> Ruling:
    """Passes where all required phrases stand in the text, one of ``any_of``, and none that is forbidden."""

    def stands(phrase: str) -> bool:
        return holds(text, phrase, whole_words=whole_words, ignore_case=ignore_case)

    missing = [number for number, phrase in enumerate(required) if not stands(phrase)]
    present = [number for number, phrase in enumerate(forbidden) if stands(phrase)]
    no_choice = bool(any_of) and not any(map(stands, any_of))
    details: dict[str, Json] = {"missing": missing, "forbidden": present, "none_of_any": no_choice}
    reasons = [f"The output does not say {required[number]!r}." for number in missing]
    reasons += [f"The output says {forbidden[number]!r}, which is forbidden." for number in present]
    if no_choice:
        reasons.append(f"The output says none of {', '.join(map(repr, any_of))}.")
    if reasons:
        return failed(*reasons, details=details)
    return passed("The output says what it must and nothing that it must not.", details=details)
