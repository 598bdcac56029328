"""Verdicts and the outcome they add up to: the truth of a task, apart from its money.

An outcome is a fold over verdicts and signals in the order of their moments, so
that events which come late, twice or shuffled give the same outcome. Nothing is
``verified`` without a verdict that names its verifier and its evidence; silence is
``assumed``, and assumed is not verified.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from flatfare.core.errors import BadInput


class Purpose(StrEnum):
    """Why a call was made; only work and verification count in the headline."""

    WORK = "work"
    VERIFICATION = "verification"
    SIMULATION = "simulation"
    TEST = "test"


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

    def __post_init__(self) -> None:
        if not self.verifier or not self.verifier_version:
            raise BadInput("Found a verdict without a verifier and its version: a verdict names who judged.")
        if not self.evidence_hash:
            raise BadInput(
                f"Found a verdict by {self.verifier!r} without evidence: give the hash of what was looked at."
            )


def outcome_of(verdicts: Iterable[Verdict], *, closed_as_assumed: bool = False) -> Outcome:
    """The outcome that verdicts add up to, whatever order they came in.

    Folded by moment: each verifier's latest word stands, except an abstention,
    which says nothing. With every standing word a pass the task is verified; with
    any a fail it is failed, or reversed if it had been verified. With no word at all
    it is open, or assumed once it was closed in silence.

    >>> seen = Verdict("tests", "1", VerifierKind.CODE, Judgement.PASS, "ab12", at_us=1)
    >>> outcome_of([seen]), outcome_of([])
    (<Outcome.VERIFIED: 'verified'>, <Outcome.OPEN: 'open'>)
    """
    standing: dict[str, Judgement] = {}
    outcome = Outcome.ASSUMED if closed_as_assumed else Outcome.OPEN
    for verdict in sorted(verdicts, key=_order):
        if verdict.judgement is Judgement.ABSTAIN:
            continue
        standing[verdict.verifier] = verdict.judgement
        outcome = _moved(outcome, all(word is Judgement.PASS for word in standing.values()))
    return outcome


def _moved(outcome: Outcome, passes: bool) -> Outcome:
    if passes:
        return Outcome.VERIFIED
    return Outcome.REVERSED if outcome in (Outcome.VERIFIED, Outcome.REVERSED) else Outcome.FAILED


def _order(verdict: Verdict) -> tuple[int, str, str, str, str]:
    return (
        verdict.at_us,
        verdict.verifier,
        verdict.verifier_version,
        verdict.evidence_hash,
        verdict.judgement,
    )
