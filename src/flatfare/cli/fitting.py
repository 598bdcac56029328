"""Tables on a terminal: which columns fit, how wide each may be, and rows as lines where not even those do.

Nothing that is shown is cut: a word is broken only where it is longer than a column may be.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

GAP = 2
WORD_MAX = 24
"""A longer word does not keep a column from becoming narrower: it is broken."""

_DAY = re.compile(r"\d{4}-\d\d-\d\d( \d\d:\d\dZ?)?")
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d)(?::\d\d(?:\.\d+)?)?Z")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A column as it would like to stand: its texts, title first."""

    texts: Sequence[str]
    wraps: bool  # its texts may go on in a further line
    gives_way: int = 0  # the highest is left out first; 0 never is

    @property
    def natural(self) -> int:
        """As wide as its longest line."""
        return max((len(line) for text in self.texts for line in text.split("\n")), default=0)

    @property
    def least(self) -> int:
        """As narrow as it can be read."""
        if not self.wraps:
            return self.natural
        longest = max((len(word) for text in self.texts for word in text.split()), default=0)
        return min(longest, WORD_MAX, self.natural)


def fitted(columns: Sequence[Wanted], width: int) -> dict[int, int] | None:
    """The columns that fit and how wide each is; None where those that must be shown do not fit.

    >>> fitted([Wanted(["Name", "support team"], True), Wanted(["Cost", "$14.98"], False)], 17)
    {0: 9, 1: 6}
    """
    kept = list(range(len(columns)))
    yielding = sorted(
        (at for at in kept if columns[at].gives_way), key=lambda at: (columns[at].gives_way, at)
    )
    while yielding and _room(columns[at].natural for at in kept) > width:
        kept.remove(yielding.pop())
    if _room(columns[at].least for at in kept) > width:
        return None
    widths = {at: columns[at].natural for at in kept}
    while _room(widths.values()) > width:
        widest = max(kept, key=lambda at: widths[at] - columns[at].least)
        widths[widest] -= 1
    return widths


def _room(widths: Iterable[int]) -> int:
    found = list(widths)
    return sum(found) + GAP * max(0, len(found) - 1)


def lines(pieces: Sequence[str], width: int, indent: int = 2) -> Iterator[list[str]]:
    """Pieces as many to a line as fit."""
    line: list[str] = []
    taken = indent
    for piece in pieces:
        if line and taken + GAP + len(piece) > width:
            yield line
            line, taken = [], indent
        taken += len(piece) + (GAP if line else 0)
        line.append(piece)
    if line:
        yield line


def is_day(text: str) -> bool:
    """A day, or a moment of one: it stays on one line.

    >>> is_day("2026-11-21 12:59Z"), is_day("every day")
    (True, False)
    """
    return _DAY.fullmatch(text) is not None


def read_moment(text: str) -> str:
    """A moment as a person reads it: to the minute, and still said to be in UTC.

    >>> read_moment("2026-11-21T12:59:31.171732Z")
    '2026-11-21 12:59Z'
    """
    found = _MOMENT.fullmatch(text)
    return f"{found[1]} {found[2]}Z" if found else text
