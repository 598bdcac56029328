"""Definitions: what makes a task of one kind verified, and what may still turn it.

A task's standing is a fold over its verdicts by their moments under the definition that
was in force when it was opened, so that events which come late, twice or shuffled give
the same outcome. Each move of the outcome is one of ``MOVES`` and names its cause.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from itertools import groupby
from types import MappingProxyType

from flatfare.core.outcome import MOVES, Judgement, Outcome, Verdict

SIGNAL = "signal:"
"""What the verifier of a verdict is called that is a signal of the world, before the signal's name."""

REVIEWS, RUNS = "review", "actions"
"""The sources of verdicts that the review queue gives, and that a run of an action gives."""

SILENCE = "silence"
"""The cause of a move that no verdict made: the window closed and nobody had spoken."""


class Reopening(StrEnum):
    """What it does to a task when its work is taken up again."""

    REVERSED = "reversed"
    KEPT = "kept"


@dataclass(frozen=True, slots=True)
class SignalRule:
    """What a signal says of the work; with a bound, only a value on that side of it says so."""

    says: Judgement
    below: Decimal | None = None
    above: Decimal | None = None

    def judgement(self, value: str | None) -> Judgement:
        """What this signal says with this value; it abstains where the bound is not passed."""
        if self.below is None and self.above is None:
            return self.says
        number = _number(value)
        if number is None:
            return Judgement.ABSTAIN
        is_told = (self.below is not None and number < self.below) or (
            self.above is not None and number > self.above
        )
        return self.says if is_told else Judgement.ABSTAIN


DISPUTE_UPHELD = "dispute_upheld"
"""The signal that a dispute was decided for who opened it: it turns a task at any time, whatever holds."""

USUAL_SIGNALS: Mapping[str, SignalRule] = MappingProxyType(
    {
        "accepted": SignalRule(Judgement.PASS),
        "reopened": SignalRule(Judgement.FAIL),
        "rejected": SignalRule(Judgement.FAIL),
        "chargeback": SignalRule(Judgement.FAIL),
        "refund": SignalRule(Judgement.FAIL),
    }
)
"""What signals say where a definition does not say otherwise; any other says nothing."""


@dataclass(frozen=True, slots=True)
class Sampled:
    """Which share of the tasks of a kind somebody better looks at again, and who that is."""

    share: Decimal
    sends_to: str  # people, or a kind of verifier
    verifier: str  # under which name its verdicts stand
    judge: str | None = None  # whose error is to be known: only tasks that it judged
    terms: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Definition:
    """When a task of this kind is verified."""

    action: str = ""
    version: int = 0  # 0 is the one that nobody declared
    required: Mapping[str, Decimal] = field(default_factory=lambda: MappingProxyType({}))
    needed: Decimal | None = None  # weight that must pass; None: all of it
    window_us: int | None = None  # in which signals can turn it; None: at any time
    silence: Outcome = Outcome.ASSUMED  # or failed
    reopening: Reopening = Reopening.REVERSED
    signals: Mapping[str, SignalRule] = field(default_factory=lambda: MappingProxyType({}))
    rework_rate_nano: int | None = None  # for an hour of a person's work
    sampled: Sampled | None = None
    reviewed: frozenset[str] = frozenset()  # verifiers whose word counts from the review queue alone

    def counts(self, verdict: Verdict) -> bool:
        """Whether a verdict says anything here; a run may say for reviewers that it has nothing."""
        if verdict.verifier not in self.reviewed or verdict.source == REVIEWS:
            return True
        return verdict.source == RUNS and verdict.judgement is Judgement.FAIL

    def decided(self, words: Mapping[str, Judgement]) -> Judgement | None:
        """What the words that stand add up to; None while they could still do either."""
        if not self.required:
            if not words:
                return None
            return Judgement.PASS if all(w is Judgement.PASS for w in words.values()) else Judgement.FAIL
        total = sum(self.required.values(), Decimal(0))
        needed = total if self.needed is None else self.needed
        if self._weight(words, Judgement.PASS) >= needed:
            return Judgement.PASS
        return Judgement.FAIL if total - self._weight(words, Judgement.FAIL) < needed else None

    def signal_says(self, name: str, value: str | None) -> Judgement:
        """What a signal of this name and value says of the work."""
        if name == DISPUTE_UPHELD:
            return Judgement.FAIL
        if name == "reopened" and self.reopening is Reopening.KEPT:
            return Judgement.ABSTAIN
        rule = self.signals.get(name) or USUAL_SIGNALS.get(name)
        return Judgement.ABSTAIN if rule is None else rule.judgement(value)

    def missing(self, words: Mapping[str, Judgement]) -> tuple[str, ...]:
        """The verifiers that must speak and have not."""
        return tuple(name for name in self.required if name not in words)

    def _weight(self, words: Mapping[str, Judgement], judgement: Judgement) -> Decimal:
        weights = (weight for name, weight in self.required.items() if words.get(name) is judgement)
        return sum(weights, Decimal(0))


UNDECLARED = Definition()
"""For a task whose kind nobody has defined: every verifier that spoke must pass."""


@dataclass(frozen=True, slots=True)
class Move:
    """One step of an outcome: from what to what, when, and which verdict (its id) or silence made it."""

    before: Outcome
    after: Outcome
    at_us: int
    cause: str

    def __post_init__(self) -> None:
        if self.after not in MOVES[self.before]:
            raise ValueError(f"no outcome moves from {self.before} to {self.after}")


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a task stands, and how it came there."""

    outcome: Outcome
    moves: tuple[Move, ...]
    matures_at_us: int | None  # None: it is neither closed nor decided
    missing: tuple[str, ...]  # verifiers that must speak and have not
    late: tuple[str, ...]  # ids of signals that came after the window

    @property
    def at_us(self) -> int | None:
        """When it came to this outcome."""
        return self.moves[-1].at_us if self.moves else None

    @property
    def cause(self) -> str | None:
        """What made it so: a verdict's id, or silence."""
        return self.moves[-1].cause if self.moves else None


def standing_of(
    verdicts: Iterable[Verdict],
    definition: Definition = UNDECLARED,
    *,
    begins: Outcome = Outcome.OPEN,
    closes_at_us: int | None = None,
    now_us: int | None = None,
) -> Standing:
    """The standing that verdicts add up to, whatever order they came in.

    ``closes_at_us`` is when the work was closed, or its deadline; ``now_us`` says how far
    silence reaches (None: it is not asked about). Each verifier's latest word of the
    latest attempt stands; an abstention says nothing, nor does a word that does not count where the
    definition asks for the review queue. Words of one moment are heard together,
    since none came before the other. A signal that says fail takes all
    words back: to be verified again, the verifiers must speak again.

    >>> from flatfare.core.outcome import VerifierKind
    >>> seen = Verdict("tests", "1", VerifierKind.CODE, Judgement.PASS, "ab12", at_us=1)
    >>> standing_of([seen]).outcome, standing_of([]).outcome
    (<Outcome.VERIFIED: 'verified'>, <Outcome.OPEN: 'open'>)
    """
    fold = _Fold(definition, begins, closes_at_us)
    for at_us, moment in groupby(sorted(verdicts, key=_order), key=lambda verdict: verdict.at_us):
        fold.fall_silent(at_us - 1 if now_us is None else min(at_us - 1, now_us), now_us)
        for verdict in moment:
            fold.hear(verdict)
        fold.decide()
    fold.fall_silent(now_us, now_us)
    return Standing(
        fold.outcome, tuple(fold.moves), fold.matures_at_us, definition.missing(fold.words), tuple(fold.late)
    )


class _Fold:
    """The state of a task between one verdict and the next."""

    def __init__(self, definition: Definition, begins: Outcome, closes_at_us: int | None) -> None:
        self.outcome = begins
        self.moves: list[Move] = []
        self.words: dict[str, Judgement] = {}
        self.late: list[str] = []
        self._definition = definition
        self._closes_at_us = closes_at_us
        self._attempt = 0
        self._heard: list[Verdict] = []  # words of this moment, on which nothing was decided yet
        self._attempts: dict[str, int | None] = {}  # the attempt that each standing word is about

    @property
    def matures_at_us(self) -> int | None:
        """When its window closes; decided work that nobody closed counts from its first decision."""
        from_us = self._closes_at_us
        if from_us is None and self.moves and self.moves[0].cause != SILENCE:
            from_us = self.moves[0].at_us
        return None if from_us is None else from_us + (self._definition.window_us or 0)

    def fall_silent(self, until_us: int | None, now_us: int | None) -> None:
        """Let the window close in silence, if it closed by then."""
        matures_at_us = self.matures_at_us
        if now_us is None or until_us is None or matures_at_us is None or self.outcome is not Outcome.OPEN:
            return
        if matures_at_us <= until_us:
            self._move(self._definition.silence, matures_at_us, SILENCE)

    def hear(self, verdict: Verdict) -> None:
        """Take one verdict in, the moments in order."""
        if verdict.verifier.startswith(SIGNAL):
            self._hear_signal(verdict)
        elif verdict.judgement is not Judgement.ABSTAIN and self._definition.counts(verdict):
            self._hear_word(verdict, verdict.judgement)

    def _hear_signal(self, verdict: Verdict) -> None:
        name = verdict.verifier.removeprefix(SIGNAL)
        judgement = self._definition.signal_says(name, verdict.score)
        if judgement is Judgement.ABSTAIN:
            return
        matures_at_us = self.matures_at_us
        if (
            name != DISPUTE_UPHELD
            and self._definition.window_us is not None
            and matures_at_us is not None
            and verdict.at_us > matures_at_us
        ):
            self.late.append(verdict.id)
        elif judgement is Judgement.PASS:
            self._hear_word(verdict, judgement)
        else:
            self.words.clear()
            self._attempts.clear()
            self._heard.clear()
            self._fail(verdict, turns_assumed=True)

    def _hear_word(self, verdict: Verdict, judgement: Judgement) -> None:
        if verdict.attempt is not None:
            if verdict.attempt < self._attempt:
                return  # a word about work that was done anew since
            if verdict.attempt > self._attempt:
                self._attempt = verdict.attempt
                for name in [name for name, about in self._attempts.items() if about is not None]:
                    del self.words[name], self._attempts[name]
        self.words[verdict.verifier] = judgement
        self._attempts[verdict.verifier] = verdict.attempt
        self._heard.append(verdict)

    def decide(self) -> None:
        """Let the words of a moment move the outcome; the last that says so is the cause."""
        heard, self._heard = self._heard, []
        decided = self._definition.decided(self.words) if heard else None
        if decided is None:
            return
        cause = next((verdict for verdict in reversed(heard) if verdict.judgement is decided), heard[-1])
        if decided is Judgement.PASS:
            self._move(Outcome.VERIFIED, cause.at_us, cause.id)
        else:
            self._fail(cause, turns_assumed=False)

    def _fail(self, verdict: Verdict, *, turns_assumed: bool) -> None:
        had = (Outcome.VERIFIED, Outcome.REVERSED, *((Outcome.ASSUMED,) if turns_assumed else ()))
        failed = Outcome.REVERSED if self.outcome in had else Outcome.FAILED
        self._move(failed, verdict.at_us, verdict.id)

    def _move(self, after: Outcome, at_us: int, cause: str) -> None:
        if after is not self.outcome:
            self.moves.append(Move(self.outcome, after, at_us, cause))
            self.outcome = after


def _order(verdict: Verdict) -> tuple[int, bool, int, str, str, str, str, str]:
    """Words of one moment: of the earlier attempt first, and signals last, since they take words back."""
    return (
        verdict.at_us,
        verdict.verifier.startswith(SIGNAL),
        verdict.attempt or 0,
        verdict.verifier,
        verdict.verifier_version,
        verdict.evidence_hash,
        verdict.judgement,
        verdict.id,
    )


def _number(value: str | None) -> Decimal | None:
    try:
        number = Decimal(value) if value is not None else None
    except ArithmeticError:
        return None
    return number if number is not None and number.is_finite() else None
