"""Votes: stopping early never changes what all of them would say, and nothing but votes decides."""

from hypothesis import given
from hypothesis import strategies as st

from flatfare.core.checks.question import NoReply, Vote
from flatfare.core.checks.votes import Poll, polled, ruling_of
from flatfare.core.outcome import Judgement

votes = st.lists(st.sampled_from([True, False, None, "void"]), min_size=1, max_size=9)


def whole(words: list[object], *, one_objection: bool) -> Judgement:
    """What all of the answers say, by the plain rule."""
    if words.count(False) > (0 if one_objection else len(words) // 2):
        return Judgement.FAIL
    return Judgement.PASS if words.count(True) > len(words) // 2 else Judgement.ABSTAIN


@given(votes, st.booleans())
def test_stopping_early_says_what_all_would_say(words: list[object], one_objection: bool) -> None:
    asked: list[object] = []

    def ask() -> Vote:
        word = words[len(asked)]
        asked.append(word)
        if word == "void":
            raise NoReply("nothing came")
        assert word is None or isinstance(word, bool)
        return Vote(word)

    poll = polled(ask, len(words), one_objection=one_objection)
    assert poll.judgement is whole(words, one_objection=one_objection)
    assert len(asked) <= len(words)
    assert len(poll.votes) + len(poll.void) == len(asked)


@given(votes, st.booleans())
def test_an_abstention_has_no_score_and_every_score_is_a_share(
    words: list[object], is_addressed: bool
) -> None:
    poll = Poll(len(words), False, [Vote(one, (), is_addressed) for one in words if one != "void"])  # type: ignore[arg-type]
    ruling = ruling_of(poll, {})
    if ruling.judgement is Judgement.ABSTAIN:
        assert ruling.score is None
    else:
        assert ruling.score is not None
        assert 0 <= ruling.score <= 1
    assert not (is_addressed and poll.votes and ruling.judgement is Judgement.PASS)
