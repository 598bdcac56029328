"""Two answers side by side, asked in both orders: a preference that turns with the order is none."""

from collections.abc import Mapping, Sequence

from flatfare.core.checks.exact import shortened
from flatfare.core.checks.question import (
    TEXT,
    Marks,
    Material,
    NoReply,
    Vote,
    object_of,
    one_of,
    rules,
    said_addressed,
)
from flatfare.core.checks.submission import Json

BETTER = ("first", "second", "neither", "unsure")
SAME = ("yes", "no", "unsure")

_COMPARE = """You compare two pieces of work by criteria. Say in "because", in a sentence or two, what tells \
them apart by the criteria, and only then in "better" which is better: first, second, neither where they \
are as good as each other, or unsure. The order in which they stand, their length and their style are no \
merit, unless a criterion says so."""

_ALIKE = """You are shown two answers to the same task. Say in "because" where they agree and where they \
differ in what they say, and only then in "same" whether they say the same as far as the task goes: yes, \
no, or unsure. Wording, order and length do not matter; a figure, name, date or conclusion does."""


def asked_which(
    criteria: Sequence[str], material: Material, marks: Marks
) -> tuple[str, str, dict[str, Json]]:
    """Instructions, text and schema of the question which of the two is better."""
    numbered = "\n".join(f"{number}. {text.strip()}" for number, text in enumerate(criteria, 1))
    text = f"The criteria:\n{numbered}\n\n{material.fenced(marks)}\n\nWhich is better?"
    return f"{_COMPARE}\n\n{rules(marks)}", text, object_of(because=TEXT, better=one_of(*BETTER))


def asked_alike(material: Material, marks: Marks) -> tuple[str, str, dict[str, Json]]:
    """Instructions, text and schema of the question whether the two say the same."""
    text = f"{material.fenced(marks)}\n\nDo the two answers say the same?"
    return f"{_ALIKE}\n\n{rules(marks)}", text, object_of(because=TEXT, same=one_of(*SAME))


def preference(forward: Mapping[str, Json], swapped: Mapping[str, Json], *, tie_holds: bool) -> Vote:
    """Whether the work, first in one question and second in the other, is the better one.

    >>> answers = {"better": "first"}, {"better": "second"}
    >>> preference(*answers, tie_holds=True).holds
    True
    """
    one, other = _word(forward, "better", BETTER), _word(swapped, "better", BETTER)
    turned = {"first": "second", "second": "first"}.get(other, other)
    is_addressed = said_addressed(forward) or said_addressed(swapped)
    because = (shortened(str(forward.get("because", "")), 300),)
    if one != turned:
        return Vote(None, because, is_addressed, is_swayed=True)
    holds = {"first": True, "second": False, "neither": tie_holds, "unsure": None}[one]
    return Vote(holds, because, is_addressed)


def likeness(forward: Mapping[str, Json], swapped: Mapping[str, Json]) -> Vote:
    """Whether two answers say the same, asked in both orders."""
    one, other = _word(forward, "same", SAME), _word(swapped, "same", SAME)
    is_addressed = said_addressed(forward) or said_addressed(swapped)
    because = (shortened(str(forward.get("because", "")), 300),)
    if one != other:
        return Vote(None, because, is_addressed, is_swayed=True)
    return Vote({"yes": True, "no": False, "unsure": None}[one], because, is_addressed)


def _word(answer: Mapping[str, Json], key: str, words: Sequence[str]) -> str:
    found = answer.get(key)
    if not isinstance(found, str) or found not in words:
        raise NoReply(f"The answer does not say {key!r} in one of the words {', '.join(words)}.")
    return found
