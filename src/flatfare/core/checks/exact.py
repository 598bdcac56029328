"""Exact match: the output is what was expected, or one of what was expected."""

from collections.abc import Sequence

from flatfare.core.checks.finding import Ruling, abstained, failed, passed
from flatfare.core.checks.likeness import alike
from flatfare.core.checks.submission import Json, NotJson, canonical, read_json


def same_text(found: str, expected: Json, ignored: tuple[str, ...]) -> Ruling:
    """Compares text; a list of expected values accepts any of them."""
    wanted = _accepted(expected)
    if wanted is None:
        return abstained("Nothing was expected: there is nothing to compare the output with.")
    remark = f" (ignoring {', '.join(ignored)})" if ignored else ""
    if alike(found, ignored) in {alike(text, ignored) for text in wanted}:
        return passed(f"The output is what was expected{remark}.")
    either = " or ".join(repr(shortened(text)) for text in wanted[:3])
    return failed(f"Found {shortened(found)!r}, expected {either}{remark}.")


def same_json(found: Json, expected: Json) -> Ruling:
    """Compares values of JSON: the order of keys does not count, nor how a number is written."""
    if expected is None:
        return abstained("Nothing was expected: there is nothing to compare the output with.")
    expected = _as_json(expected)
    if canonical(found) == canonical(expected):
        return passed("The output is the JSON that was expected.")
    return failed(f"Found {shortened(canonical(found))}, expected {shortened(canonical(expected))}.")


def shortened(text: str, length: int = 120) -> str:
    """The text as a sentence can hold it."""
    return text if len(text) <= length else text[: length - 1] + "…"


def _as_json(expected: Json) -> Json:
    """What a text that is JSON says; another text stands for itself."""
    if not isinstance(expected, str):
        return expected
    try:
        return read_json(expected)
    except NotJson:
        return expected


def _accepted(expected: Json) -> list[str] | None:
    if expected is None or (isinstance(expected, Sequence) and not expected and expected != ""):
        return None
    several = expected if isinstance(expected, Sequence) and not isinstance(expected, str) else [expected]
    return [value if isinstance(value, str) else canonical(value) for value in several]
