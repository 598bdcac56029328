"""Human review over HTTP: work is put in, taken out blind, judged; and how far reviewers agree.

Who reviews is who is signed in; the user of this machine may name the person who sits there.
"""

import json
import os
from typing import Any

import msgspec

from flatfare.core.checks.submission import Submission
from flatfare.core.currency import dollars
from flatfare.core.errors import BadInput, NotAuthorised, NotFound
from flatfare.core.identity import task_id
from flatfare.core.moments import DAY_US
from flatfare.core.outcome import Judgement
from flatfare.service.access.secret_box import found_box
from flatfare.service.judging import review_reports, reviewing, sampling
from flatfare.service.judging.reviewing import Wanted
from flatfare.service.judging.sampling import Drawn
from flatfare.service.tasks.recording import row_of
from flatfare.store.reviews import Review
from flatfare.web.access import Right
from flatfare.web.api.reports import moment
from flatfare.web.endpoint import Asked, Endpoint

LIMIT_MAX = 10_000


class ReviewsQuery(msgspec.Struct, forbid_unknown_fields=True):
    """Which reviews: open, decided or withdrawn; of one kind of work, or one task."""

    state: str | None = None
    name: str | None = None
    task: str | None = None
    since: str | None = None
    until: str | None = None
    limit: int = 1000


class AgreementQuery(msgspec.Struct, forbid_unknown_fields=True):
    """Of which kind of work, opened when."""

    name: str | None = None
    since: str | None = None
    until: str | None = None


class NewReview(msgspec.Struct, forbid_unknown_fields=True):
    """What people are to judge: what they are shown, or a link to where they can see it."""

    task: str
    output: str | None = None
    input: str = ""
    expected: Any = None
    link: str | None = None
    name: str = "task"
    question: str = reviewing.QUESTION
    reviewers: int = reviewing.WANTED
    verifier: str = reviewing.VERIFIER
    attempt: int | None = None
    labels: dict[str, str] = {}  # whose it is; those of the task, where it is known
    rate: str | None = None  # dollars an hour of a reviewer's time
    due: str | None = None
    keep_days: int = 30
    id: str | None = None
    plan: str | None = None  # the sampling plan that drew the task; it says what is asked, and of how many


class PlansQuery(msgspec.Struct, forbid_unknown_fields=True):
    """A task that was just done, and what kind of task it is."""

    task: str
    action: str = "task"


class Next(msgspec.Struct, forbid_unknown_fields=True):
    """What is taken: anything, or one kind of work."""

    reviewer: str | None = None
    name: str | None = None


class NewAnswer(msgspec.Struct, forbid_unknown_fields=True):
    """What a reviewer says."""

    judgement: Judgement
    reason: str | None = None
    minutes: str | None = None
    reviewer: str | None = None


class Back(msgspec.Struct, forbid_unknown_fields=True):
    """Who gives a place back."""

    reviewer: str | None = None


class Reason(msgspec.Struct, forbid_unknown_fields=True):
    """Why something is changed."""

    reason: str | None = None


def _list(asked: Asked) -> object:
    query: ReviewsQuery = asked.query
    if query.state not in (None, "open", "decided", "withdrawn"):
        raise BadInput(f"Found the state {query.state!r}: expected open, decided or withdrawn.")
    if not 1 <= query.limit <= LIMIT_MAX:
        raise BadInput(f"Found the limit {query.limit}: expected 1 to {LIMIT_MAX}.")
    found = review_reports.listed(
        asked.books.book,
        asked.visitor.scope.sees,
        state=query.state,
        name=query.name,
        task_id=None if query.task is None else str(task_id(None, query.task)),
        since_us=moment(query.since),
        until_us=moment(query.until),
        limit=query.limit,
    )
    if query.task is not None and not asked.visitor.may(Right.MANAGE):
        found = [
            one for one in found if one["state"] != "open"
        ]  # which task is before people is not theirs to ask
    return {"reviews": [_veiled(asked, one) for one in found]}


def _show(asked: Asked) -> object:
    _own(asked)
    return _veiled(asked, review_reports.whole_document_of(asked.books.book, asked.path["review"]))


def _own(asked: Asked) -> None:
    """``NotFound`` for a review of work that is not the visitor's to see."""
    review = reviewing.found(asked.books.book, asked.path["review"])
    if not asked.visitor.scope.sees(reviewing.labels_of(review)):
        raise NotFound(f"There is no review {asked.path['review'][:80]!r}: flatfare reviews list")


def _veiled(asked: Asked, document: dict[str, object]) -> dict[str, object]:
    """Of an open review only who manages sees whose work it is, or how many have judged it."""
    return document if asked.visitor.may(Right.MANAGE) else review_reports.veiled(document)


def _agreement(asked: Asked) -> object:
    query: AgreementQuery = asked.query
    return review_reports.agreement_of(
        asked.books.book,
        name=query.name,
        since_us=moment(query.since),
        until_us=moment(query.until),
        sees=asked.visitor.scope.sees,
    )


def _enqueue(asked: Asked) -> object:
    given: NewReview = asked.body
    books, key = asked.books, asked.visitor.key
    shown = None if given.output is None else Submission(given.output, given.input, given.expected)
    if given.plan is not None:
        return review_reports.document_of(_of_plan(asked, given, given.plan, shown))
    wanted = Wanted(
        task_id=str(task_id(None if key is None else key.project, given.task)),
        submission=shown,
        link=given.link,
        name=given.name,
        question=given.question,
        reviewers=given.reviewers,
        verifier=given.verifier,
        attempt=given.attempt,
        rate_nano_per_hour=None if given.rate is None else dollars(given.rate),
        due_at_us=moment(given.due),
        keep_us=given.keep_days * DAY_US,
        labels={**given.labels, **({} if key is None else key.labels)},
        id=given.id,
    )
    wanted = reviewing.with_own_labels(books.book, books.lake, wanted)
    review, _ = reviewing.enqueue(
        books.book, wanted, at_us=books.now_us, asked_by=asked.visitor.name, box=found_box(os.environ)
    )
    return review_reports.document_of(review)


def _of_plan(asked: Asked, given: NewReview, name: str, shown: Submission | None) -> Review:
    """A task that a sampling plan drew, put before people as the plan says."""
    books = asked.books
    return sampling.ask_people(
        books.book,
        sampling.found(books.book, name),
        _drawn(asked, given.task, given.name),
        shown,
        at_us=books.now_us,
        asked_by=asked.visitor.name,
        box=found_box(os.environ),
    )


def _plans(asked: Asked) -> object:
    query: PlansQuery = asked.query
    one = _drawn(asked, query.task, query.action)
    plans = sampling.that_draw(asked.books.book, one.action, one.task_id, one.opened_at_us)
    return {"task": one.task_id, "plans": [sampling.document_of(plan) for plan in plans]}


def _drawn(asked: Asked, task: str, action: str) -> Drawn:
    """A task as it is known here, or as one that is opened now."""
    key = asked.visitor.key
    own = str(task_id(None if key is None else key.project, task))
    row = row_of(asked.books.book, asked.books.lake, own)
    if row is None:
        return Drawn(own, action, task, {}, asked.books.now_us)
    labels: dict[str, str] = json.loads(str(row["labels"]))
    return Drawn(own, str(row["name"]), task, labels, int(str(row["opened_at_us"])))


def _next(asked: Asked) -> object:
    given: Next = asked.body
    books, reviewer = asked.books, _reviewer(asked, given.reviewer)
    tell = reviewing.teller(books.book, books.lake, reviewer, now_us=books.now_us)
    reviewing.record_decided(books.book, tell, now_us=books.now_us)
    sees = asked.visitor.scope.sees
    sheet = reviewing.next_for(
        books.book, reviewer, now_us=books.now_us, name=given.name, box=found_box(os.environ), sees=sees
    )
    waiting = reviewing.count_waiting(books.book, reviewer, given.name, sees)
    return {"review": None if sheet is None else sheet.document(), "waiting": waiting}


def _answer(asked: Asked) -> object:
    given: NewAnswer = asked.body
    _own(asked)
    books, reviewer = asked.books, _reviewer(asked, given.reviewer)
    taken = reviewing.submit(
        books.book,
        reviewing.teller(books.book, books.lake, reviewer, now_us=books.now_us),
        asked.path["review"],
        reviewer,
        given.judgement,
        now_us=books.now_us,
        reason=given.reason,
        minutes=given.minutes,
    )
    return {"review": taken.review.id, "state": taken.review.state, "is_new": taken.is_new}


def _release(asked: Asked) -> object:
    given: Back = asked.body
    _own(asked)
    reviewing.release(asked.books.book, asked.path["review"], _reviewer(asked, given.reviewer))
    return {"review": asked.path["review"], "released": True}


def _withdraw(asked: Asked) -> object:
    given: Reason = asked.body
    books = asked.books
    review = reviewing.withdraw(books.book, asked.path["review"], **asked.on_record(given.reason))
    return review_reports.document_of(review)


def _reviewer(asked: Asked, named: str | None) -> str:
    """Who reviews; only who manages this machine may say that somebody else sits there."""
    if named is None or named == asked.visitor.name:
        return asked.visitor.name
    if not asked.visitor.may(Right.MANAGE):
        raise NotAuthorised(f"{asked.visitor.name} cannot review in the name of {named[:80]!r}.")
    return named


ENDPOINTS = (
    Endpoint(
        "GET",
        "/api/reviews",
        "list_reviews",
        "What people judge or judged",
        Right.READ,
        _list,
        query=ReviewsQuery,
        narrows=True,
    ),
    Endpoint(
        "GET",
        "/api/reviews/agreement",
        "review_agreement",
        "How far reviewers agree",
        Right.READ,
        _agreement,
        query=AgreementQuery,
        narrows=True,
    ),
    Endpoint(
        "GET",
        "/api/reviews/plans",
        "plans_that_draw",
        "The sampling plans that draw a task: who is drawn is put before people with what it says",
        Right.RECORD,
        _plans,
        query=PlansQuery,
    ),
    Endpoint(
        "GET",
        "/api/reviews/{review}",
        "show_review",
        "One review; who said what, once it is decided",
        Right.READ,
        _show,
        narrows=True,
    ),
    Endpoint(
        "POST",
        "/api/reviews",
        "create_review",
        "Put work before people to judge",
        Right.RECORD,
        _enqueue,
        takes=NewReview,
        writes=True,
        status=201,
    ),
    Endpoint(
        "POST",
        "/api/reviews/next",
        "next_review",
        "Take what waits, without sight of any verdict",
        Right.REVIEW,
        _next,
        takes=Next,
        writes=True,
        narrows=True,
    ),
    Endpoint(
        "POST",
        "/api/reviews/{review}/answers",
        "answer_review",
        "Say what you found",
        Right.REVIEW,
        _answer,
        takes=NewAnswer,
        writes=True,
        narrows=True,
    ),
    Endpoint(
        "POST",
        "/api/reviews/{review}/release",
        "release_review",
        "Give it back without an answer",
        Right.REVIEW,
        _release,
        takes=Back,
        writes=True,
        narrows=True,
    ),
    Endpoint(
        "POST",
        "/api/reviews/{review}/withdraw",
        "withdraw_review",
        "Ask nobody any more",
        Right.MANAGE,
        _withdraw,
        takes=Reason,
        writes=True,
    ),
)
