"""Reviews: what waits for a person's judgement, taken out blind one by one, and how far people agree."""

import json
import os

from flatfare.core.errors import BadInput, NotFound
from flatfare.core.moments import parse_moment
from flatfare.core.outcome import Judgement
from flatfare.service.access.secret_box import found_box
from flatfare.service.judging import review_reports, reviewing
from flatfare.service.judging.reviewing import Sheet
from flatfare.service.reporting.wording import percent
from flatfare.web.access import Right
from flatfare.web.pages.blocks import (
    Block,
    Cell,
    Column,
    Csv,
    Figure,
    Figures,
    Judge,
    Notes,
    Tab,
    Table,
    Take,
    View,
)
from flatfare.web.pages.page import Deed, Page, Sent, Visit
from flatfare.web.pages.rendering import moment_text

STATES = ("open", "decided", "withdrawn")
_CSV = (
    "id",
    "name",
    "task",
    "state",
    "reviewers",
    "answers",
    "is_disputed",
    "judgement",
    "opened",
    "due",
    "decided",
)
_TONES = {"pass": "good", "fail": "bad"}


def view(visit: Visit) -> View:
    """The queue, what was decided, and how far reviewers agree."""
    book, visitor = visit.books.book, visit.visitor
    state = visit.asking.more.get("state", "open")
    if state not in STATES:
        raise BadInput(f"Found the state {state[:20]!r}: expected {', '.join(STATES)}.")
    sees = visitor.scope.sees
    listed = review_reports.listed(book, sees, state=state, limit=visit.limit or 10_000)
    if not visitor.may(Right.MANAGE):
        listed = [review_reports.veiled(one) for one in listed]
    agreement = review_reports.agreement_of(book, sees=sees)
    waiting = reviewing.count_waiting(book, visitor.name, sees=sees)
    blocks: list[Block] = [Figures(_figures(waiting, agreement))]
    if visitor.may(Right.REVIEW):
        blocks.append(Take("/reviews/next", waiting, visitor.name))
    blocks.append(_table(listed, state, visit))
    people = agreement["reviewers"]
    assert isinstance(people, list)
    if people:
        blocks.append(_people(people))
    blocks.append(Notes(_NOTES))
    document = {"reviews": listed, "agreement": agreement, "waiting": waiting}
    return View("Reviews", tuple(blocks), document, has_period=False)


_NOTES = (
    "Two judge blind; where they differ, one further person is asked.",
    "What was said is shown once it is decided.",
)


def _figures(waiting: int, agreement: dict[str, object]) -> tuple[Figure, ...]:
    unanimous, alpha = agreement["unanimous"], agreement["alpha"]
    assert isinstance(unanimous, dict)
    share = unanimous["share"]
    interval = unanimous["interval"]
    beside = (
        "nothing was judged by two yet"
        if not interval
        else f"95 %: {100 * interval[0]:.0f}–{100 * interval[1]:.0f} %"
    )
    return (
        Figure("Waiting for you", f"{waiting:,}", "not judged by you yet", tone="lead" if waiting else ""),
        Figure("Judged blind", f"{agreement['judged_blind']:,}", "by two or more"),
        Figure("All said the same", percent(share) if share is not None else None, beside),
        Figure(
            "Agreement beyond chance",
            None if alpha is None else f"{alpha:.2f}",
            "Krippendorff's alpha; 1 is full, 0 is chance",
        ),
    )


def _table(listed: list[dict[str, object]], state: str, visit: Visit) -> Table:
    zone = visit.asking.zone
    rows = tuple(
        (
            Cell(str(one["name"]), str(one["question"] or "")),
            Cell(_answers(one), badge="disputed" if one["is_disputed"] else ""),
            Cell(str(one["judgement"] or ""), tone=_TONES.get(str(one["judgement"]), "quiet")),
            Cell(moment_text(parse_moment(str(one["opened"]))[0], zone), tone="when"),
            Cell(
                "" if one["due"] is None else moment_text(parse_moment(str(one["due"]))[0], zone), tone="when"
            ),
            # Who still judges must not be led to the task: its page has verdicts on it.
            Cell("the task", href=f"/tasks/{one['task']}") if state == "decided" else Cell(""),
        )
        for one in listed
    )
    columns = (
        Column("work", "left"),
        Column("Answers", "left"),
        Column("Judgement", "left"),
        Column("Asked", "left", gives_way=True),
        Column("Due", "left", gives_way=True),
        Column("", "left"),
    )
    tabs = tuple(Tab(one, f"/reviews?state={one}", one == state) for one in STATES)
    empty = {
        "open": "Nothing waits to be judged. Put work in by POST /api/reviews, or by a sampling plan.",
        "decided": "Nothing was decided yet.",
        "withdrawn": "Nothing was withdrawn.",
    }[state]
    return Table("reviews", f"Reviews: {state}", columns, rows, Csv(_CSV, listed), tabs=tabs, empty=empty)


def _answers(review: dict[str, object]) -> str:
    """How many have judged it, of how many; of how many alone where that is not for the visitor to know."""
    given = review["answers"]
    return f"{review['reviewers']} asked" if given is None else f"{given} of {review['reviewers']}"


def _people(found: list[dict[str, object]]) -> Table:
    rows = []
    for one in found:
        same = one["as_the_others"]
        assert isinstance(same, dict)
        rows.append(
            (
                Cell(str(one["reviewer"])),
                Cell(f"{one['answers']:,}"),
                Cell(f"{one['passed']:,}"),
                Cell(percent(same["share"]) if same["share"] is not None else ""),
                Cell("" if one["minutes_median"] is None else f"{one['minutes_median']:g}"),
            )
        )
    columns = (
        Column("reviewer", "left"),
        Column("Answers"),
        Column("Passed"),
        Column("Said as the others"),
        Column("Minutes, median", gives_way=True),
    )
    names = ("reviewer", "answers", "passed", "abstained", "minutes_median")
    return Table("reviewers", "Reviewers", columns, tuple(rows), Csv(names, found))


def _next(sent: Sent) -> str | View:
    """What is next for whom it is asked, or the list where nothing waits."""
    books, who = sent.books, sent.visitor.name
    tell = reviewing.teller(books.book, books.lake, who, now_us=books.now_us)
    reviewing.record_decided(books.book, tell, now_us=books.now_us)
    sees = sent.visitor.scope.sees
    sheet = reviewing.next_for(books.book, who, now_us=books.now_us, box=found_box(os.environ), sees=sees)
    if sheet is None:
        return "/reviews"
    waiting = reviewing.count_waiting(books.book, who, sees=sees)
    return _shown(sheet, waiting, books.settings.time_zone)


def _shown(sheet: Sheet, waiting: int, zone: str) -> View:
    document = sheet.document()
    shown = document["shown"]
    parts = dict(shown) if isinstance(shown, dict) else {}
    link = str(document["link"] or "")
    judge = Judge(
        str(document["review"]),
        str(document["question"]),
        tuple((title, _text(parts[key])) for key, title in _PARTS if parts.get(key)),
        link if link.startswith(("https://", "http://")) else "",
        f"Yours until {moment_text(sheet.until_us, zone)} {zone}",
        waiting,
    )
    return View(str(document["name"]), (judge,), None, eyebrow=("Reviews", "/reviews"), has_period=False)


_PARTS = (
    ("input", "What was asked"),
    ("output", "What came of it"),
    ("expected", "What was expected"),
    ("files", "Files"),
)


def _text(value: object) -> str:
    if isinstance(value, str):
        return value

    return json.dumps(value, ensure_ascii=False, indent=2)


def _answer(sent: Sent) -> str | View:
    books, who = sent.books, sent.visitor.name
    given = sent.text("judgement") or ""
    if given not in tuple(Judgement):
        raise BadInput(f"Found the judgement {given[:20]!r}: it is {', '.join(Judgement)}.")
    _check_own(sent)
    reviewing.submit(
        books.book,
        reviewing.teller(books.book, books.lake, who, now_us=books.now_us),
        sent.path["review"],
        who,
        Judgement(given),
        now_us=books.now_us,
        reason=sent.text("reason"),
        minutes=sent.text("minutes"),
    )
    return _next(sent)


def _check_own(sent: Sent) -> None:
    """``NotFound`` for a review of work that is not the visitor's to see."""
    review = sent.path["review"]
    if not sent.visitor.scope.sees(reviewing.labels_of(reviewing.found(sent.books.book, review))):
        raise NotFound(f"There is no review {review[:80]!r} here: take the next one that waits.")


def _release(sent: Sent) -> str:
    _check_own(sent)
    reviewing.release(sent.books.book, sent.path["review"], sent.visitor.name)
    return "/reviews"


PAGE = Page(
    "/reviews",
    "reviews",
    "Reviews",
    Right.READ,
    view,
    takes=("state",),
    narrows=True,
    is_personal=True,
    deeds=(
        Deed("/reviews/next", "next_review_here", Right.REVIEW, _next, narrows=True),
        Deed("/reviews/{review}/answers", "answer_review_here", Right.REVIEW, _answer, narrows=True),
        Deed("/reviews/{review}/release", "release_review_here", Right.REVIEW, _release, narrows=True),
    ),
)
