"""Votes: several answers to one question, asked for until they cannot turn any more.

More than half of all that may be asked must say one thing; an answer that does not count, or
cannot tell, is a vote for neither. Stopping early never changes what all of them would say.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from flatfare.core.checks.finding import Ruling
from flatfare.core.checks.question import NoReply, Vote
from flatfare.core.checks.submission import Json
from flatfare.core.outcome import Judgement


@dataclass(slots=True)
class Poll:
    """The votes so far, and why others did not count."""

    wanted: int
    one_objection: bool = False  # suffices to fail
    votes: list[Vote] = field(default_factory=list)
    void: list[str] = field(default_factory=list)

    def count(self, holds: bool | None) -> int:
        """Votes of one kind."""
        return sum(vote.holds is holds for vote in self.votes)

    @property
    def needed(self) -> int:
        """More than half."""
        return self.wanted // 2 + 1

    @property
    def judgement(self) -> Judgement:
        """What the votes say as they stand."""
        if self.count(False) >= (1 if self.one_objection else self.needed):
            return Judgement.FAIL
        return Judgement.PASS if self.count(True) >= self.needed else Judgement.ABSTAIN

    @property
    def is_over(self) -> bool:
        """Nothing that is still to be asked can turn it."""
        left = self.wanted - len(self.votes) - len(self.void)
        if self.judgement is Judgement.FAIL or not left:
            return True
        if self.one_objection:
            return False
        return self.judgement is Judgement.PASS or (
            self.count(True) + left < self.needed and self.count(False) + left < self.needed
        )


def polled(ask: Callable[[], Vote], wanted: int, *, one_objection: bool = False) -> Poll:
    """Ask until it is decided; an answer that does not count is a vote for neither."""
    poll = Poll(wanted, one_objection)
    while not poll.is_over:
        try:
            poll.votes.append(ask())
        except NoReply as problem:
            poll.void.append(str(problem))
            if problem.lasts:
                break
    return poll


def ruling_of(
    poll: Poll, details: Mapping[str, Json], *, notes: Sequence[str] = (), addressed_abstains: bool = True
) -> Ruling:
    """The ruling of a poll; where the work spoke to its judge, it is not passed on that judge's word."""
    judgement, reasons = poll.judgement, [_told(poll)]
    addressed = sum(vote.is_addressed for vote in poll.votes)
    if addressed and judgement is Judgement.PASS and addressed_abstains:
        judgement = Judgement.ABSTAIN
        reasons.append("The work speaks to whoever judges it: a pass on this judge's word is not taken.")
    kept = {True: Judgement.PASS, False: Judgement.FAIL, None: Judgement.ABSTAIN}
    reasons += [text for vote in poll.votes if kept[vote.holds] is judgement for text in vote.because]
    reasons += [f"An answer did not count: {reason}" for reason in dict.fromkeys(poll.void)]
    decided = poll.count(True) + poll.count(False)
    found: dict[str, Json] = {
        **details,
        "votes": {
            "wanted": poll.wanted,
            "yes": poll.count(True),
            "no": poll.count(False),
            "unsure": poll.count(None),
            "void": len(poll.void),
        },
        "addressed": addressed,
        "swayed_by_order": sum(vote.is_swayed for vote in poll.votes),
    }
    if any(vote.parts for vote in poll.votes):
        found["criteria"] = _criteria(poll.votes)
    score = (Decimal(poll.count(True)) / decided).quantize(Decimal("0.001")) if decided else None
    texts = tuple(dict.fromkeys([*reasons, *notes]))
    return Ruling(judgement, texts, None if judgement is Judgement.ABSTAIN else score, found)


def _told(poll: Poll) -> str:
    asked = len(poll.votes) + len(poll.void)
    parts = [
        f"{count} {word}"
        for count, word in (
            (poll.count(True), "yes"),
            (poll.count(False), "no"),
            (poll.count(None), "unsure"),
            (len(poll.void), "without an answer that counts"),
        )
        if count
    ]
    enough = "one no suffices" if poll.one_objection else f"{poll.needed} of {poll.wanted} decide"
    return f"Asked {asked} times: {', '.join(parts)} ({enough})."


def _criteria(votes: Sequence[Vote]) -> list[Json]:
    length = max(len(vote.parts) for vote in votes)
    return [
        {
            "yes": sum(vote.parts[place] is True for vote in votes if vote.parts),
            "no": sum(vote.parts[place] is False for vote in votes if vote.parts),
            "unsure": sum(vote.parts[place] is None for vote in votes if vote.parts),
        }
        for place in range(length)
    ]
