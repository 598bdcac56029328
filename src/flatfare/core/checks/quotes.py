"""Quoted spans: what the output puts in quotation marks stands word for word in the source.

Ways to write are levelled (marks, dashes, spaces, words parted at a line's end, an ellipsis that
leaves something out); words are not.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from flatfare.core.checks.exact import shortened
from flatfare.core.checks.finding import Ruling, abstained, failed, passed
from flatfare.core.checks.likeness import alike
from flatfare.core.checks.submission import Json

_PAIRS = ('""', "“”", "„“", "„”", "«»", "»«", "「」", "『』", "＂＂")
_SPAN = re.compile(
    "|".join(f"{opening}([^{opening}{closing}]*){closing}" for opening, closing in map(tuple, _PAIRS))
)
_BLOCK = re.compile(r"(?:^[ \t]*>[^\n]*\n?)+", re.MULTILINE)
_LEFT_OUT = re.compile(r"\[ ?(?:…|\. ?\. ?\.) ?\]|…|\. ?\. ?\.")
_BRACKETED = re.compile(r"\[(\w{1,3})\]")
_PARTED = re.compile(r"(?<=\w)[-\u2010\u00ad][^\S\n]*\n\s*(?=\w)")
_LEVELLED = ("forms", "invisible", "quotes", "dashes", "whitespace")
_AT_THE_END = ",.;:!?"
_LINES = re.compile(r"\n\s*\n")


@dataclass(frozen=True, slots=True)
class Span:
    """A quoted span: its place in the output, in characters, and its words."""

    start: int
    end: int
    text: str


def spans(output: str, *, blockquotes: bool = True) -> Iterator[Span]:
    """Every quoted span of the output; marks pair within a paragraph."""
    if blockquotes:
        for block in _BLOCK.finditer(output):
            text = re.sub(r"^[ \t]*>+[ \t]?", "", block[0], flags=re.MULTILINE)
            yield Span(block.start(), block.end(), text)
        output = _BLOCK.sub(lambda block: re.sub(r"[^\n]", " ", block[0]), output)
    start = 0
    for paragraph in [*_LINES.split(output)]:
        start = output.index(paragraph, start)
        for match in _SPAN.finditer(paragraph):
            text = next(group for group in match.groups() if group is not None)
            yield Span(start + match.start(), start + match.end(), text)
        start += len(paragraph)


def is_unclosed(output: str) -> bool:
    """Some paragraph has a quotation mark that nothing closes."""
    rest = [_SPAN.sub("", paragraph) for paragraph in _LINES.split(_BLOCK.sub("", output))]
    return any(sign in text for text in rest for sign in '"“„«「『')


class Source:
    """A text that quotations are looked for in, levelled once."""

    def __init__(self, text: str, *, ignore_case: bool = False) -> None:
        self._steps = (*_LEVELLED, "case") if ignore_case else _LEVELLED
        readings = [_PARTED.sub("", text), _PARTED.sub("-", text)]
        self._readings = [alike(reading, self._steps) for reading in dict.fromkeys(readings)]
        if len(self._readings) > 1:  # parted words of both kinds: leave every hyphen out
            self._bare: str | None = self._readings[0].replace("-", "")
        else:
            self._bare = None

    def holds(self, quote: str) -> bool:
        """The quotation stands here; parts around an ellipsis stand here in their order."""
        plain = _BRACKETED.sub(r"\1", quote)
        whole = re.sub(r"\s+", " ", _PARTED.sub("", plain))
        parts = [alike(part, self._steps) for part in _LEFT_OUT.split(whole)]
        parts = [part for part in parts if part.strip(_AT_THE_END)]
        is_changed = plain != quote
        if any(_stand_in(parts, reading, is_changed) for reading in self._readings):
            return True
        return self._bare is not None and _stand_in(
            [p.replace("-", "") for p in parts], self._bare, is_changed
        )


def _stand_in(parts: list[str], text: str, any_case: bool) -> bool:
    if any_case:
        text, parts = text.casefold(), [part.casefold() for part in parts]
    place = 0
    for part in parts:
        place = max(_after(part, text, place), _after(part.rstrip(_AT_THE_END), text, place))
        if place < 0:
            return False
    return True


def _after(part: str, text: str, place: int) -> int:
    """Where the part ends in the text, at whole words and not before a place; -1 if it is not there."""
    while (found := text.find(part, place)) >= 0:
        end = found + len(part)
        if not (_joins(text, found) or _joins(text, end)):
            return end
        place = found + 1
    return -1


def _joins(text: str, place: int) -> bool:
    return 0 < place < len(text) and text[place - 1].isalnum() and text[place].isalnum()


def judged(
    output: str, sources: list[str], *, words_min: int, quotes_min: int, ignore_case: bool, blockquotes: bool
) -> Ruling:
    """Passes where each quoted span of enough words stands in some source."""
    if not any(source.strip() for source in sources):
        return abstained("There is no source to look for quotations in.")
    found = list(spans(output, blockquotes=blockquotes))
    long_enough = [span for span in found if _words(span.text) >= words_min]
    readings = [Source(source, ignore_case=ignore_case) for source in sources]
    missing = [span for span in long_enough if not any(reading.holds(span.text) for reading in readings)]
    details: dict[str, Json] = {
        "quotes": len(long_enough),
        "shorter": len(found) - len(long_enough),
        "missing": [[span.start, span.end] for span in missing],
    }
    if missing:
        reasons = [
            f"This quotation does not stand in the source: {shortened(span.text, 200)!r}." for span in missing
        ]
        return failed(*reasons, details=details)
    if len(long_enough) < quotes_min:
        return failed(
            f"Found {len(long_enough)} quotations, expected at least {quotes_min}.", details=details
        )
    if is_unclosed(output):
        return abstained(
            "A quotation mark is opened and never closed: it cannot be told what is quoted.", details=details
        )
    if not long_enough:
        return abstained(f"The output quotes nothing of {words_min} words or more.", details=details)
    return passed(f"All {len(long_enough)} quotations stand in the source.", details=details)


def _words(text: str) -> int:
    """Words, where words are parted; else signs by threes (Chinese and Japanese have no spaces)."""
    words = len(re.findall(r"\w+", text))
    wide = len(re.findall(r"[\u3040-\u30ff\u3400-\u9fff]", text))
    return max(words, wide // 3)
