"""What is told of human reviews: their list, one of them, and how far reviewers agree.

What was said of a review is shown only once it is decided: who still judges it must not see it.
Agreement is measured on what was judged blind; those asked because others disagreed stand apart.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import median

from flatfare.core import agreement
from flatfare.core.moments import iso
from flatfare.core.outcome import Judgement
from flatfare.core.statistics import Interval, wilson
from flatfare.service.judging.reviewing import Sees, found, labels_of, sees_all
from flatfare.store import reviews
from flatfare.store.book import Book
from flatfare.store.reviews import Answer, Review

REVIEWS_MAX = 1_000_000
_VEILED = ("task", "attempt", "plan", "labels", "asked_by", "answers", "is_disputed")


def document_of(review: Review, answers: Sequence[Answer] = ()) -> dict[str, object]:
    """A review as JSON shows it to who does not review it: what was said only once it is decided."""
    document: dict[str, object] = {
        "id": review.id,
        "task": review.task_id,
        "attempt": review.attempt_number,
        "name": review.name,
        "verifier": review.verifier,
        "version": review.verifier_version,
        "question": review.question,
        "state": review.state,
        "reviewers": review.wanted,
        "answers": len(answers),
        "is_disputed": len(answers) >= review.wanted and any(one.is_further for one in answers),
        "judgement": None if review.judgement is None else str(review.judgement),
        "labels": labels_of(review),
        "plan": review.plan,
        "asked_by": review.asked_by,
        "opened": iso(review.opened_at_us),
        "due": iso(review.due_at_us),
        "decided": iso(review.decided_at_us),
    }
    return document


def veiled(document: dict[str, object]) -> dict[str, object]:
    """A review as who may still judge it sees it: not whose work it is, who asks, how many have judged."""
    if document["state"] != "open":
        return document
    return {**document, **dict.fromkeys(_VEILED)}


def whole_document_of(book: Book, review_id: str) -> dict[str, object]:
    """One review, with what each reviewer said once it is decided."""
    review = found(book, review_id)
    answers = reviews.answers_of(book, [review_id]).get(review_id, [])
    said = [
        {
            "reviewer": one.reviewer,
            "judgement": str(one.judgement),
            "reason": one.reason,
            "minutes": None if one.minutes_milli is None else one.minutes_milli / 1000,
            "is_further": one.is_further,
            "at": iso(one.at_us),
        }
        for one in answers
    ]
    return {**document_of(review, answers), "said": said if review.state == "decided" else None}


def listed(
    book: Book, sees: Sees = sees_all, *, limit: int = 1000, **which: object
) -> list[dict[str, object]]:
    """Reviews as documents, the newest first; ``which`` as in ``store.reviews.listed``."""
    every = reviews.listed(book, limit=limit if sees is sees_all else REVIEWS_MAX, **which)  # type: ignore[arg-type]
    found = [one for one in every if sees(labels_of(one))][:limit]
    answers = reviews.answers_of(book, [review.id for review in found])
    return [document_of(review, answers.get(review.id, [])) for review in found]


def agreement_of(
    book: Book,
    *,
    name: str | None = None,
    since_us: int | None = None,
    until_us: int | None = None,
    confidence: float = 0.95,
    sees: Sees = sees_all,
) -> dict[str, object]:
    """How far reviewers agree: on what they judged blind, those asked because of a disagreement apart."""
    found = reviews.listed(
        book, state="decided", name=name, since_us=since_us, until_us=until_us, limit=REVIEWS_MAX
    )
    decided = [review for review in found if sees(labels_of(review))]
    said = reviews.answers_of(book, [review.id for review in decided])
    blind = [
        {one.reviewer: one.judgement for one in said.get(review.id, []) if not one.is_further}
        for review in decided
        if review.wanted > 1
    ]
    alpha = agreement.krippendorffs_alpha([list(words.values()) for words in blind])
    unanimous = sum(len(set(words.values())) == 1 for words in blind)
    return {
        "name": name,
        "confidence": confidence,
        "reviews": len(decided),
        "judged_blind": len(blind),
        "unanimous": _share(unanimous, len(blind), confidence),
        "undecided": sum(review.judgement is Judgement.ABSTAIN for review in decided),
        "alpha": alpha.alpha,
        "pairs": _pairs(blind, confidence),
        "reviewers": _reviewers(decided, said, confidence),
    }


def _pairs(blind: Sequence[Mapping[str, Judgement]], confidence: float) -> list[dict[str, object]]:
    found = []
    for (one, other), words in agreement.pairwise(blind).items():
        kappa = agreement.cohens_kappa(words, confidence)
        found.append(
            {
                "reviewers": [one, other],
                "reviews": kappa.n,
                "agreed": kappa.agreed,
                "kappa": kappa.kappa,
                "interval": _ends(kappa.interval),
            }
        )
    return sorted(found, key=lambda row: (-int(str(row["reviews"])), str(row["reviewers"])))


def _reviewers(
    decided: Sequence[Review], said: Mapping[str, Sequence[Answer]], confidence: float
) -> list[dict[str, object]]:
    """Each reviewer beside what the others who saw the same, and not they, came to say."""
    answers: dict[str, list[tuple[Answer, bool | None]]] = {}
    for review in decided:
        for answer in said.get(review.id, []):
            others = Counter(one.judgement for one in said[review.id] if one.reviewer != answer.reviewer)
            most = [word for word, count in others.items() if count == max(others.values())]
            agrees = answer.judgement is most[0] if len(most) == 1 else None  # where they differ, nobody does
            answers.setdefault(answer.reviewer, []).append((answer, agrees))
    rows = []
    for reviewer, own in sorted(answers.items()):
        told = [agrees for _, agrees in own if agrees is not None]
        minutes = [one.minutes_milli / 1000 for one, _ in own if one.minutes_milli is not None]
        rows.append(
            {
                "reviewer": reviewer,
                "answers": len(own),
                "passed": sum(one.judgement is Judgement.PASS for one, _ in own),
                "abstained": sum(one.judgement is Judgement.ABSTAIN for one, _ in own),
                "as_the_others": _share(sum(told), len(told), confidence),
                "minutes_median": median(minutes) if minutes else None,
            }
        )
    return rows


def _share(count: int, n: int, confidence: float) -> dict[str, object]:
    return {
        "count": count,
        "n": n,
        "share": count / n if n else None,
        "interval": _ends(wilson(count, n, confidence)) if n else None,
    }


def _ends(interval: Interval | None) -> list[float | None] | None:
    return None if interval is None else [interval.low, interval.high]
