"""Verdicts and the outcome they add up to: the truth of a task, apart from its money.

Nothing is ``verified`` without a verdict that names its verifier and its evidence;
silence is ``assumed``, and assumed is not verified. How verdicts add up stands in
``core.definition``.
"""

from dataclasses import dataclass
from enum import StrEnum

from flatfare.core.errors import BadInput


class Outcome(StrEnum):
    """The truth of a task."""

    OPEN = "open"
    VERIFIED = "verified"
    FAILED = "failed"
    ASSUMED = "assumed"
    REVERSED = "reversed"


class Settlement(StrEnum):
    """The money of a task; a field of its own."""

    NONE = "none"
    HELD = "held"
    SETTLED = "settled"
    VOIDED = "voided"
    REVERSED = "reversed"


class VerifierKind(StrEnum):
    """Who judged."""

    CODE = "code"
    MODEL = "model"
    HUMAN = "human"
    CUSTOMER = "customer"
    SIGNAL = "signal"


class Judgement(StrEnum):
    """What a verdict says."""

    PASS = "pass"
    FAIL = "fail"
    ABSTAIN = "abstain"


MOVES: dict[Outcome, frozenset[Outcome]] = {
    Outcome.OPEN: frozenset({Outcome.VERIFIED, Outcome.FAILED, Outcome.ASSUMED}),
    Outcome.ASSUMED: frozenset({Outcome.VERIFIED, Outcome.FAILED, Outcome.REVERSED}),
    Outcome.FAILED: frozenset({Outcome.VERIFIED}),
    Outcome.VERIFIED: frozenset({Outcome.REVERSED}),
    Outcome.REVERSED: frozenset({Outcome.VERIFIED}),
}
"""Where an outcome may move from each state. A reversed task that passes again is verified again."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one verifier said of a task, and on what evidence."""

    verifier: str
    verifier_version: str
    kind: VerifierKind
    judgement: Judgement
    evidence_hash: str
    at_us: int
    attempt: int | None = None
    id: str = ""
    score: str | None = None  # decimal text, or what a signal said
    source: str | None = None  # by which way it came: no client says that of itself

    def __post_init__(self) -> None:
        if not self.verifier or not self.verifier_version:
            raise BadInput("Found a verdict without a verifier and its version: a verdict names who judged.")
        if not self.evidence_hash:
            raise BadInput(
                f"Found a verdict by {self.verifier!r} without evidence: give the hash of what was looked at."
            )
