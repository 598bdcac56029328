"""What a verifier found: a judgement, why, and on what evidence.

Evidence names what was looked at by its digest and holds no word of it, so that it may be
kept where prompts and answers may not. The same submission judged by the same version gives
the same finding, and the same hash.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from types import MappingProxyType

from flatfare.core.checks.submission import Json, Submission, canonical
from flatfare.core.outcome import Judgement, Verdict, VerifierKind

REASONS_MAX = 50
_NONE: Mapping[str, Json] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Ruling:
    """What a rule says of a submission.

    ``reasons`` are sentences and may quote the output; ``details`` go into the evidence and may
    not. ``score`` runs from 0 to 1. ``attachment`` is for a person to read (a test run's output);
    it is no part of the evidence, since it may differ from run to run.
    """

    judgement: Judgement
    reasons: tuple[str, ...]
    score: Decimal | None = None
    details: Mapping[str, Json] = field(default_factory=lambda: _NONE)
    attachment: bytes = field(default=b"", compare=False, repr=False)


def passed(reason: str, *, score: Decimal | None = None, details: Mapping[str, Json] = _NONE) -> Ruling:
    """It is as it should be."""
    return Ruling(Judgement.PASS, (reason,), score, details)


def failed(*reasons: str, score: Decimal | None = None, details: Mapping[str, Json] = _NONE) -> Ruling:
    """It is not as it should be, and why."""
    return Ruling(Judgement.FAIL, _first(reasons), score, details)


def abstained(*reasons: str, details: Mapping[str, Json] = _NONE) -> Ruling:
    """It cannot be told, and why."""
    return Ruling(Judgement.ABSTAIN, _first(reasons), None, details)


def _first(reasons: tuple[str, ...]) -> tuple[str, ...]:
    if len(reasons) <= REASONS_MAX:
        return reasons
    return (*reasons[:REASONS_MAX], f"And {len(reasons) - REASONS_MAX} more.")


@dataclass(frozen=True, slots=True)
class Finding:
    """A ruling with the name of who judged and the evidence for it."""

    verifier: str
    version: str
    kind: VerifierKind
    judgement: Judgement
    reasons: tuple[str, ...]
    score: Decimal | None
    evidence: bytes
    attachment: bytes = field(default=b"", compare=False, repr=False)

    @property
    def evidence_hash(self) -> str:
        """SHA-256 of the evidence, in hexadecimal."""
        return hashlib.sha256(self.evidence).hexdigest()

    def verdict(self, at_us: int, attempt: int | None = None) -> Verdict:
        """The verdict to keep of it."""
        return Verdict(
            self.verifier, self.version, self.kind, self.judgement, self.evidence_hash, at_us, attempt
        )


def finding(
    verifier: str, version: str, kind: VerifierKind, submission: Submission, ruling: Ruling
) -> Finding:
    """The ruling of a verifier on a submission, with its evidence: canonical JSON."""
    evidence: dict[str, Json] = {
        "verifier": verifier,
        "version": version,
        "kind": str(kind),
        "submission": submission.digests(),
        "judgement": str(ruling.judgement),
        "details": dict(ruling.details),
    }
    if ruling.score is not None:
        evidence["score"] = ruling.score
    written = canonical(evidence).encode()
    return Finding(
        verifier, version, kind, ruling.judgement, ruling.reasons, ruling.score, written, ruling.attachment
    )
