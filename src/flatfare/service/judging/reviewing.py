"""Human review: work is put before people who judge it without sight of each other, or of any verdict.

A reviewer gets a place for a time and answers once. Where those asked first do not all say
the same, one more is asked. What they add up to becomes one verdict, recorded once; what
they were shown is erased then.
"""

import base64
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from flatfare.core import agreement
from flatfare.core import labels as label_rules
from flatfare.core.checks.submission import Json, Submission, canonical
from flatfare.core.definition import REVIEWS
from flatfare.core.errors import BadInput, Conflict, NotAuthorised, NotFound
from flatfare.core.identity import Id, derived
from flatfare.core.moments import DAY_US, MICROSECONDS, iso
from flatfare.core.money import decimal_text, half_even
from flatfare.core.outcome import Judgement
from flatfare.service.access.secret_box import SecretBox
from flatfare.service.tasks.recording import Teller, record, row_of
from flatfare.service.tasks.sampled import REVIEWERS_MAX
from flatfare.store import chains, reviews
from flatfare.store.book import Book
from flatfare.store.lake import Lake
from flatfare.store.reviews import Answer, Review

VERIFIER = "human-review"
SOURCE = REVIEWS
QUESTION = "Was the task done as it was asked for?"
RULE = "blind, then one more"
"""How answers add up; part of the verifier's version."""

WANTED, WANTED_MAX = 2, REVIEWERS_MAX
LEASE_US = 30 * 60 * MICROSECONDS
KEEP_US = 30 * DAY_US
"""What is to be judged is kept so long at most; a review that nobody decided is withdrawn then."""

REASON_LENGTH_MAX = 4000
MINUTES_MAX = 24 * 60

Sees = Callable[[Mapping[str, str]], bool]
"""Whether somebody sees work with these labels."""


def sees_all(labels: Mapping[str, str]) -> bool:
    """Who sees everybody's work."""
    return True


Tell = Callable[[Sequence[Mapping[str, object]]], None]
"""Records events; raises where one is refused. The same event told twice counts once."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What people are asked to judge."""

    task_id: str
    submission: Submission | None = None  # what they are shown
    link: str | None = None  # where they can see it instead
    name: str = "task"
    question: str = QUESTION
    reviewers: int = WANTED
    verifier: str = VERIFIER
    attempt: int | None = None
    rate_nano_per_hour: int | None = None
    plan: str | None = None
    due_at_us: int | None = None
    keep_us: int = KEEP_US
    labels: Mapping[str, str] = field(default_factory=dict)  # of the task: whose it is
    id: str | None = None  # made from what is asked where not given: asking twice asks once


def teller(book: Book, lake: Lake, name: str, *, now_us: int) -> Tell:
    """Tells the book of verdicts, in the name of whoever gave the last answer."""

    def tell(events: Sequence[Mapping[str, object]]) -> None:
        done = record(book, lake, events, Teller(name, source=SOURCE), now_us=now_us)
        if done.refused:
            raise Conflict(f"The verdict of a review was refused: {done.refused[0].reason}")

    return tell


# --- asking


def enqueue(
    book: Book, wanted: Wanted, *, at_us: int, asked_by: str, box: SecretBox | None = None
) -> tuple[Review, bool]:
    """Ask people to judge; with whether it is new. What is known already stays as it is.

    ``box`` seals what they are shown; without one it is kept as it is until the review ends.
    """
    _check_wanted(wanted)
    review_id = wanted.id or str(
        derived("review", wanted.task_id, str(wanted.attempt or ""), wanted.verifier, wanted.plan or "")
    )
    content = None if wanted.submission is None else _written(wanted.submission)
    review = Review(
        id=review_id,
        task_id=wanted.task_id,
        name=wanted.name,
        verifier=wanted.verifier,
        verifier_version=version_of(wanted.question, wanted.reviewers),
        question=wanted.question,
        wanted=wanted.reviewers,
        asked_by=asked_by,
        opened_at_us=at_us,
        attempt_number=wanted.attempt,
        link=wanted.link,
        content=None if content is None else _sealed(content, review_id, box),
        content_hash=None if content is None else hashlib.sha256(content.encode()).hexdigest(),
        content_until_us=at_us + wanted.keep_us,
        rate_nano_per_hour=wanted.rate_nano_per_hour,
        plan=wanted.plan,
        due_at_us=wanted.due_at_us,
        labels=label_rules.canonical(wanted.labels),
    )
    with book.writing():
        is_new = reviews.insert(book, review)
    known = review if is_new else found(book, review_id)
    if (known.task_id, known.verifier) != (review.task_id, review.verifier):
        raise Conflict(f"There is a review {review_id} of another task: give this one another id.")
    return known, is_new


def with_own_labels(book: Book, lake: Lake, wanted: Wanted) -> Wanted:
    """What is wanted, with the labels of its task where that is known here."""
    row = row_of(book, lake, wanted.task_id)
    return wanted if row is None else replace(wanted, labels=json.loads(str(row["labels"])))


def version_of(question: str, reviewers: int) -> str:
    """The version of human review: it changes with the question, how many are asked, and how they add up."""
    content = canonical({"question": question, "reviewers": reviewers, "rule": RULE})
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def withdraw(book: Book, review_id: str, *, at_us: int, by_whom: str, reason: str | None = None) -> Review:
    """Ask nobody any more, and erase what was to be judged. ``Conflict`` where it is not open."""
    with book.writing():
        review = found(book, review_id)
        if not reviews.set_withdrawn(book, review_id, at_us):
            raise Conflict(f"The review {review_id} is {review.state}: only an open one can be withdrawn.")
        chains.record_change(
            book,
            "review.withdrawn",
            review_id,
            {"task": review.task_id, "verifier": review.verifier},
            at_us=at_us,
            by_whom=by_whom,
            reason=reason,
        )
    return replace(review, withdrawn_at_us=at_us, content=None)


def expire(book: Book, *, now_us: int) -> int:
    """Withdraw open reviews that are older than what they show may be kept; how many there were."""
    with book.writing():
        return reviews.expire(book, now_us)


def tidy(book: Book, lake: Lake, *, now_us: int) -> None:
    """Withdraw what is too old, and record what was decided and left unrecorded. Idle, it writes nothing."""
    if reviews.count_expired(book, now_us):
        expire(book, now_us=now_us)
    record_decided(book, teller(book, lake, "the bookkeeper", now_us=now_us), now_us=now_us)


# --- reviewing


@dataclass(frozen=True, slots=True)
class Sheet:
    """What one reviewer has before them: nothing of other reviewers, verdicts, or who did the work."""

    review: Review
    shown: Mapping[str, object] | None
    until_us: int

    def document(self) -> dict[str, object]:
        """As JSON shows it. The task is not named: its page has verdicts on it."""
        due = self.review.due_at_us
        return {
            "review": self.review.id,
            "name": self.review.name,
            "question": self.review.question,
            "shown": self.shown,
            "link": self.review.link,
            "due": iso(due),
            "yours_until": iso(self.until_us),
        }


def next_for(
    book: Book,
    reviewer: str,
    *,
    now_us: int,
    name: str | None = None,
    box: SecretBox | None = None,
    sees: Sees = sees_all,
) -> Sheet | None:
    """What this reviewer is to judge next, held for them for a time; None where nothing waits for them.

    Who asks again before answering gets the same, held anew.
    """
    _check_reviewer(reviewer)
    with book.writing():
        if reviews.count_expired(book, now_us):
            reviews.expire(book, now_us)
        review = reviews.held_by(book, reviewer, now_us) or next(
            (one for one in reviews.waiting_for(book, reviewer, now_us, name) if sees(labels_of(one))), None
        )
        if review is None:
            return None
        until_us = now_us + LEASE_US
        reviews.lease(book, review.id, reviewer, now_us, until_us)
    return Sheet(
        review, None if review.content is None else _opened(review.content, review.id, box), until_us
    )


def count_waiting(book: Book, reviewer: str, name: str | None = None, sees: Sees = sees_all) -> int:
    """Open reviews that this reviewer has not judged, and may see."""
    return sum(sees(json.loads(labels)) for labels in reviews.not_judged_by(book, reviewer, name))


def labels_of(review: Review) -> dict[str, str]:
    """The labels of a review's task."""
    labels: dict[str, str] = json.loads(review.labels)
    return labels


def release(book: Book, review_id: str, reviewer: str) -> None:
    """Give a place back without an answer. ``NotFound`` where none was held."""
    with book.writing():
        if not reviews.release(book, review_id, reviewer):
            raise NotFound(f"{reviewer} does not hold the review {review_id}.")


@dataclass(frozen=True, slots=True)
class Taken:
    """An answer was taken; what others said stays unsaid."""

    review: Review
    is_new: bool


def submit(
    book: Book,
    tell: Tell,
    review_id: str,
    reviewer: str,
    judgement: Judgement,
    *,
    now_us: int,
    reason: str | None = None,
    minutes: str | None = None,
) -> Taken:
    """Take what a reviewer says; where that decides the review, its verdict is recorded.

    The same answer twice is taken once; another one, or one by somebody who was not given this
    review, is refused.
    """
    _check_reviewer(reviewer)
    minutes_milli = None if minutes is None else _milli(minutes)
    if reason is not None and len(reason) > REASON_LENGTH_MAX:
        raise BadInput(f"Found a reason of {len(reason)} characters: at most {REASON_LENGTH_MAX}.")
    with book.writing():
        review = found(book, review_id)
        given = reviews.answers_of(book, [review_id]).get(review_id, [])
        own = next((one for one in given if one.reviewer == reviewer), None)
        is_new = own is None
        if own is not None:
            if own.judgement is not judgement:
                raise Conflict(f"{reviewer} has judged {review_id} already, otherwise: an answer stands.")
        else:
            _check_place(book, review, reviewer, len(given), now_us)
            is_further = len(given) >= review.wanted
            answer = Answer(review_id, reviewer, judgement, reason, minutes_milli, is_further, now_us)
            reviews.add_answer(book, answer)
            review = _decided(book, review, [*given, answer], now_us)
    record_decided(book, tell, now_us=now_us)
    return Taken(review, is_new)


def _check_place(book: Book, review: Review, reviewer: str, given: int, now_us: int) -> None:
    if review.state != "open":
        raise Conflict(f"The review {review.id} is {review.state}: nothing more is asked of it.")
    leases = reviews.leases_of(book, review.id)
    if reviewer not in leases:
        raise NotAuthorised(
            f"The review {review.id} was not given to {reviewer}: flatfare reviews next --as {reviewer}"
        )
    others = sum(until_us > now_us for who, until_us in leases.items() if who != reviewer)
    places = review.wanted if given < review.wanted else review.wanted + 1
    if leases[reviewer] <= now_us and given + others >= places:
        raise Conflict(
            f"The review {review.id} was {reviewer}'s until {iso(leases[reviewer])}: somebody else "
            "has it now."
        )


def _decided(book: Book, review: Review, answers: Sequence[Answer], now_us: int) -> Review:
    """The review as it stands after an answer."""
    judgement = agreement.settled([answer.judgement for answer in answers], review.wanted)
    if judgement is None:
        return review
    reviews.set_decided(book, review.id, judgement, now_us)
    return replace(review, decided_at_us=now_us, judgement=judgement, content=None)


def record_decided(book: Book, tell: Tell, *, now_us: int) -> int:
    """Record the verdict of every review that was decided and has none yet; how many there were.

    Who is stopped between deciding and recording leaves it to whoever comes next. One that cannot
    be recorded keeps no other from it; it is told at the end.
    """
    waiting = reviews.not_recorded(book)
    answers = reviews.answers_of(book, [review.id for review in waiting])
    problems = []
    for review in waiting:
        try:
            tell([verdict_of(review, answers[review.id])])
        except Conflict as problem:
            problems.append(problem)
        else:
            reviews.set_recorded(book, review.id, now_us)
    if problems:
        raise problems[0]
    return len(waiting)


def verdict_of(review: Review, answers: Sequence[Answer]) -> dict[str, object]:
    """The verdict of a decided review, as an event; its id is made from the review's."""
    assert review.judgement is not None
    assert review.decided_at_us is not None
    passes = sum(answer.judgement is Judgement.PASS for answer in answers)
    said = sum(answer.judgement is not Judgement.ABSTAIN for answer in answers)
    event: dict[str, object] = {
        "event": "judged",
        "id": str(derived("verdict of review", review.id)),
        "task": review.task_id,
        "at": review.decided_at_us,
        "verifier": review.verifier,
        "version": review.verifier_version,
        "kind": "human",
        "judgement": str(review.judgement),
        "evidence": evidence_of(review, answers),
    }
    if said and review.judgement is not Judgement.ABSTAIN:
        event["score"] = f"{passes / said:.4g}"
    if review.attempt_number is not None:
        event["attempt_number"] = review.attempt_number
    cost_nano = _cost_nano(review, answers)
    if cost_nano is not None:
        event["cost"] = decimal_text(cost_nano)
    return event


def evidence_of(review: Review, answers: Sequence[Answer]) -> dict[str, object]:
    """What the verdict rests on: what was shown (its hash), what was asked, who said what and when."""
    return {
        "review": review.id,
        "question": review.question,
        "reviewers": review.wanted,
        "shown": review.content_hash,
        "link": review.link,
        "answers": [
            {"reviewer": one.reviewer, "judgement": str(one.judgement), "at": one.at_us} for one in answers
        ],
    }


def _cost_nano(review: Review, answers: Sequence[Answer]) -> int | None:
    """What the reviewers' time cost; None where a rate or a time is not stated."""
    milli = [answer.minutes_milli for answer in answers]
    if review.rate_nano_per_hour is None or any(one is None for one in milli):
        return None
    return half_even(sum(one or 0 for one in milli) * review.rate_nano_per_hour, 60_000)


# --- what is shown


def _written(submission: Submission) -> str:
    """What reviewers are shown, as canonical JSON."""
    shown: dict[str, Json] = {"output": submission.output}
    if submission.input:
        shown["input"] = submission.input
    if submission.expected is not None:
        shown["expected"] = submission.expected
    if submission.files:
        shown["files"] = {
            path: content.decode("utf-8", "replace") for path, content in sorted(submission.files.items())
        }
    return canonical(shown)


def _sealed(content: str, review_id: str, box: SecretBox | None) -> str:
    if box is None:
        return f"open:{content}"
    return "sealed:" + base64.b64encode(box.seal(content.encode(), _place(review_id))).decode()


def _opened(kept: str, review_id: str, box: SecretBox | None) -> Mapping[str, object]:
    how, _, content = kept.partition(":")
    if how == "sealed":
        if box is None:
            raise BadInput("What is to be judged is sealed, and the key to it is not here.")
        content = box.open(base64.b64decode(content), _place(review_id)).decode()
    shown: Mapping[str, object] = json.loads(content)
    return shown


def _place(review_id: str) -> str:
    return f"review {review_id}"


# --- what is refused


def found(book: Book, review_id: str) -> Review:
    """The review of that id; ``NotFound`` where there is none."""
    review = reviews.find(book, review_id)
    if review is None:
        raise NotFound(f"There is no review {review_id[:80]!r}: flatfare reviews list")
    return review


def _check_wanted(wanted: Wanted) -> None:
    if wanted.id is not None and not _is_id(wanted.id):
        raise BadInput(f"Found the id {wanted.id[:80]!r} of a review: expected a UUID.")
    if not 1 <= wanted.reviewers <= WANTED_MAX:
        raise BadInput(f"Found {wanted.reviewers} reviewers: expected 1 to {WANTED_MAX}.")
    if wanted.submission is None and not wanted.link:
        raise BadInput("There is nothing to judge: give the output, or a link to where it can be seen.")
    if wanted.link is not None and not wanted.link.startswith(("https://", "http://")):
        raise BadInput(f"Found the link {wanted.link[:80]!r}: expected one that begins with https://.")
    if not wanted.question.strip() or not wanted.verifier.strip():
        raise BadInput("Reviewers are asked a question under a verifier's name: neither may be empty.")
    if wanted.keep_us <= 0:
        raise BadInput("What reviewers are shown is kept for a time: state one, such as 30d.")


def _is_id(text: str) -> bool:
    try:
        return str(Id(text)) == text
    except ValueError:
        return False


def _check_reviewer(reviewer: str) -> None:
    if not reviewer.strip() or len(reviewer) > 200 or not reviewer.isprintable():
        raise BadInput(f"Found the reviewer {reviewer[:80]!r}: expected a name.")


def _milli(minutes: str) -> int:
    try:
        milli = round(float(minutes) * 1000)
    except (ValueError, OverflowError):
        milli = -1
    if not 0 <= milli <= MINUTES_MAX * 1000:
        raise BadInput(f"Found {minutes[:40]!r} minutes: expected 0 to {MINUTES_MAX}.")
    return milli
