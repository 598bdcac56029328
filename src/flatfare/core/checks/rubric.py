"""A rubric: criteria that work must meet, each judged by itself before anything is added up.

Work passes where every criterion is met, fails where one is not, and is undecided otherwise.
"""

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

_WORDS = {"yes": True, "no": False, "unsure": None}

INSTRUCTIONS = """You examine work against criteria. Judge each criterion by itself: say in "because", \
in a sentence or two, what in the work speaks for or against it, and only then in "met" whether it is \
met: yes, no, or unsure where the material does not allow to tell. Do not guess. That work is long, \
well written or sure of itself is no merit, unless a criterion says so."""


def asked(criteria: Sequence[str], material: Material, marks: Marks) -> tuple[str, str, dict[str, Json]]:
    """Instructions, text and schema of the question whether the work meets these criteria."""
    numbered = "\n".join(f"{number}. {text.strip()}" for number, text in enumerate(criteria, 1))
    text = (
        f"The criteria:\n{numbered}\n\n{material.fenced(marks)}\n\n"
        f"Give a finding for each of the {len(criteria)} criteria, by its number."
    )
    item: dict[str, Json] = {
        "type": "object",
        "properties": {"criterion": {"type": "integer"}, "because": TEXT, "met": one_of(*_WORDS)},
        "required": ["criterion", "because", "met"],
        "additionalProperties": False,
    }
    schema = object_of(findings={"type": "array", "items": item})
    return f"{INSTRUCTIONS}\n\n{rules(marks)}", text, schema


def vote_of(answer: Mapping[str, Json], criteria: Sequence[str]) -> Vote:
    """What an answer adds up to; ``NoReply`` where it does not judge each criterion once."""
    findings = answer.get("findings")
    if not isinstance(findings, Sequence) or isinstance(findings, str):
        raise NoReply("The answer holds no list of findings.")
    met: dict[int, tuple[bool | None, str]] = {}
    for one in findings:
        number = one.get("criterion") if isinstance(one, Mapping) else None
        word = one.get("met") if isinstance(one, Mapping) else None
        if not isinstance(number, int) or not isinstance(word, str) or word not in _WORDS or number in met:
            raise NoReply("The answer holds a finding that is none, or two of one criterion.")
        met[number] = (_WORDS[word], str(one.get("because", "")))  # type: ignore[union-attr]
    if set(met) != set(range(1, len(criteria) + 1)):
        raise NoReply(f"The answer judges {len(met)} criteria of {len(criteria)}.")
    parts = tuple(met[number][0] for number in range(1, len(criteria) + 1))
    holds = False if False in parts else None if None in parts else True
    because = tuple(
        f"Criterion {number} ({shortened(criteria[number - 1], 60)}): {shortened(text, 300)}"
        for number, (word, text) in sorted(met.items())
        if word is not True
    )
    return Vote(holds, because, said_addressed(answer), parts=parts)
