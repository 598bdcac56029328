"""Human review: blind, double, one more where two differ, one verdict, nothing kept afterwards."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from flatfare.core.checks.submission import Submission
from flatfare.core.errors import BadInput, Conflict, FlatfareError, NotAuthorised, NotFound
from flatfare.core.identity import derived
from flatfare.core.outcome import Judgement
from flatfare.service.access.secret_box import SecretBox
from flatfare.service.judging import review_reports, reviewing
from flatfare.service.judging.reviewing import LEASE_US, Wanted
from flatfare.service.tasks.recording import Teller, record
from flatfare.store import sealing_tasks
from flatfare.store.book import Book, open_book
from flatfare.store.lake import Lake

PASS, FAIL, ABSTAIN = Judgement.PASS, Judgement.FAIL, Judgement.ABSTAIN
NOW_US = 1_790_000_000_000_000
TASK = str(derived("task", "import", "17"))
SHOWN = Submission("The notice period is three months.", input="How long is it?", expected="three months")


@pytest.fixture
def book(database: str) -> Iterator[Book]:
    with open_book(database) as book:
        yield book


class Told:
    """Takes events, or fails as often as told; the same id twice counts once."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.events: dict[str, Mapping[str, object]] = {}

    def __call__(self, events: Sequence[Mapping[str, object]]) -> None:
        if self.failures:
            self.failures -= 1
            raise Conflict("not now")
        for event in events:
            assert self.events.setdefault(str(event["id"]), event) == event


def ask(book: Book, task: str = TASK, **more: object) -> str:
    wanted = replace(Wanted(task, SHOWN, name="contract-review"), **more)  # type: ignore[arg-type]
    return reviewing.enqueue(book, wanted, at_us=NOW_US, asked_by="test")[0].id


def say(book: Book, told: Told, reviewer: str, judgement: Judgement, at_us: int = NOW_US) -> str:
    sheet = reviewing.next_for(book, reviewer, now_us=at_us)
    assert sheet is not None
    return reviewing.submit(book, told, sheet.review.id, reviewer, judgement, now_us=at_us).review.state


@pytest.mark.parametrize("is_sealed", [False, True])
def test_a_review_has_the_labels_of_its_task_wherever_that_lies(tmp_path: Path, is_sealed: bool) -> None:
    """Whose work it is decides who may see it."""
    with open_book(str(tmp_path / "flatfare.db")) as book:
        lake = Lake(tmp_path / "lake")
        opened = {"event": "opened", "id": TASK, "task": "17", "at": NOW_US, "labels": {"team": "search"}}
        closed = {"event": "judged", "id": str(derived("e", "2")), "task": "17", "at": NOW_US, "evidence": 1}
        closed |= {"verifier": "v", "version": "1", "kind": "code", "judgement": "pass"}
        ended = {"event": "closed", "id": str(derived("e", "3")), "task": "17", "at": NOW_US}
        assert not record(book, lake, [opened, closed, ended], Teller("t"), now_us=NOW_US).refused
        if is_sealed:
            assert sealing_tasks.seal_tasks(book, lake, before_us=10**18, now_us=10**18) == 1
        wanted = reviewing.with_own_labels(book, lake, Wanted(TASK, SHOWN, name="contract-review"))
        assert wanted.labels == {"team": "search"}


def test_two_who_agree_make_one_verdict_of_a_person(book: Book) -> None:
    told = Told()
    review = ask(book)
    assert say(book, told, "ann", PASS) == "open"
    assert told.events == {}
    assert say(book, told, "bob", PASS, NOW_US + 5) == "decided"
    (event,) = told.events.values()
    assert event == {
        "event": "judged",
        "id": str(derived("verdict of review", review)),
        "task": TASK,
        "at": NOW_US + 5,
        "verifier": "human-review",
        "version": reviewing.version_of(reviewing.QUESTION, 2),
        "kind": "human",
        "judgement": "pass",
        "score": "1",
        "evidence": event["evidence"],
    }
    assert event["evidence"]["answers"] == [  # type: ignore[index]
        {"reviewer": "ann", "judgement": "pass", "at": NOW_US},
        {"reviewer": "bob", "judgement": "pass", "at": NOW_US + 5},
    ]


def test_where_two_differ_a_third_decides_and_is_not_told_so(book: Book) -> None:
    told = Told()
    ask(book)
    first = reviewing.next_for(book, "ann", now_us=NOW_US)
    say(book, told, "ann", PASS)
    assert say(book, told, "bob", FAIL) == "open"
    third = reviewing.next_for(book, "cid", now_us=NOW_US)
    assert first is not None
    assert third is not None
    assert third.document() == first.document()
    assert say(book, told, "cid", FAIL) == "decided"
    (event,) = told.events.values()
    assert (event["judgement"], event["score"]) == ("fail", "0.3333")
    assert reviewing.next_for(book, "dan", now_us=NOW_US) is None


def test_what_nobody_can_tell_is_an_abstention(book: Book) -> None:
    told = Told()
    ask(book)
    for reviewer, word in (("ann", PASS), ("bob", FAIL), ("cid", ABSTAIN)):
        say(book, told, reviewer, word)
    (event,) = told.events.values()
    assert event["judgement"] == "abstain"
    assert "score" not in event


def test_a_sheet_shows_the_work_and_nothing_else(book: Book) -> None:
    review = ask(book, due_at_us=NOW_US + 10**9, plan="monthly")
    say(book, Told(), "ann", FAIL)
    sheet = reviewing.next_for(book, "bob", now_us=NOW_US)
    assert sheet is not None
    document = sheet.document()
    assert set(document) == {"review", "name", "question", "shown", "link", "due", "yours_until"}
    assert document["review"] == review
    assert document["shown"] == {
        "output": "The notice period is three months.",
        "input": "How long is it?",
        "expected": "three months",
    }
    assert TASK not in str(document)
    assert "fail" not in str(document)
    assert review_reports.whole_document_of(book, review)["said"] is None


def test_a_place_is_held_for_a_time_and_then_another_s(book: Book) -> None:
    review = ask(book, reviewers=1)
    told = Told()
    assert reviewing.next_for(book, "ann", now_us=NOW_US) is not None
    assert reviewing.next_for(book, "bob", now_us=NOW_US) is None
    again = reviewing.next_for(book, "ann", now_us=NOW_US + 5)
    assert again is not None
    assert again.until_us == NOW_US + 5 + LEASE_US
    late_us = NOW_US + 2 * LEASE_US
    assert reviewing.next_for(book, "bob", now_us=late_us) is not None
    with pytest.raises(Conflict, match="somebody else has it now"):
        reviewing.submit(book, told, review, "ann", PASS, now_us=late_us)
    reviewing.release(book, review, "bob")
    taken = reviewing.submit(book, told, review, "ann", PASS, now_us=late_us)
    assert taken.review.state == "decided"
    with pytest.raises(NotFound):
        reviewing.release(book, review, "bob")


def test_an_answer_stands_and_counts_once(book: Book) -> None:
    told = Told()
    review = ask(book)
    say(book, told, "ann", PASS)
    assert not reviewing.submit(book, told, review, "ann", PASS, now_us=NOW_US).is_new
    with pytest.raises(Conflict, match="an answer stands"):
        reviewing.submit(book, told, review, "ann", FAIL, now_us=NOW_US)
    assert reviewing.next_for(book, "ann", now_us=NOW_US) is None


def test_nobody_judges_what_they_were_not_given(book: Book) -> None:
    review = ask(book)
    with pytest.raises(NotAuthorised, match="was not given to eve"):
        reviewing.submit(book, Told(), review, "eve", PASS, now_us=NOW_US)
    with pytest.raises(NotFound):
        reviewing.submit(book, Told(), "none", "eve", PASS, now_us=NOW_US)


def test_a_verdict_that_could_not_be_recorded_is_recorded_later_once(book: Book) -> None:
    told = Told(failures=1)
    review = ask(book, reviewers=1)
    assert reviewing.next_for(book, "ann", now_us=NOW_US) is not None
    with pytest.raises(Conflict, match="not now"):
        reviewing.submit(book, told, review, "ann", PASS, now_us=NOW_US)
    assert not reviewing.submit(book, told, review, "ann", PASS, now_us=NOW_US).is_new
    assert len(told.events) == 1
    assert reviewing.record_decided(book, told, now_us=NOW_US) == 0


def test_asking_twice_asks_once_and_what_is_known_stays(book: Book) -> None:
    first, is_new = reviewing.enqueue(book, Wanted(TASK, SHOWN), at_us=NOW_US, asked_by="one")
    again, is_new_again = reviewing.enqueue(
        book, Wanted(TASK, SHOWN, question="Else?"), at_us=NOW_US + 1, asked_by="two"
    )
    assert (is_new, is_new_again) == (True, False)
    assert again == first
    with pytest.raises(Conflict, match="another task"):
        reviewing.enqueue(
            book, Wanted(str(derived("task", "x", "2")), SHOWN, id=first.id), at_us=NOW_US, asked_by="x"
        )


@pytest.mark.parametrize("is_sealed", [True, False])
def test_what_was_shown_is_erased_with_the_decision(book: Book, is_sealed: bool) -> None:
    box = SecretBox(bytes(32)) if is_sealed else None
    review, _ = reviewing.enqueue(
        book, Wanted(TASK, SHOWN, reviewers=1), at_us=NOW_US, asked_by="test", box=box
    )
    assert ("three months" in str(review.content)) is not is_sealed
    if is_sealed:
        with pytest.raises(BadInput, match="sealed"):
            reviewing.next_for(book, "ann", now_us=NOW_US)
    sheet = reviewing.next_for(book, "ann", now_us=NOW_US, box=box)
    assert sheet is not None
    assert sheet.shown is not None
    assert sheet.shown["output"] == SHOWN.output
    reviewing.submit(book, Told(), review.id, "ann", PASS, now_us=NOW_US)
    assert book.value("SELECT content FROM reviews WHERE id = ?", (review.id,)) is None


def test_what_nobody_judged_in_time_is_withdrawn_and_erased(book: Book) -> None:
    review = ask(book, keep_us=1000)
    assert reviewing.next_for(book, "ann", now_us=NOW_US + 1000) is None
    assert reviewing.found(book, review).state == "withdrawn"
    assert reviewing.found(book, review).content is None
    other = ask(book, str(derived("task", "import", "18")))
    reviewing.withdraw(book, other, at_us=NOW_US, by_whom="ann", reason="wrong")
    with pytest.raises(Conflict, match="withdrawn"):
        reviewing.withdraw(book, other, at_us=NOW_US, by_whom="ann")


def test_reviewers_time_has_its_cost_where_both_are_stated(book: Book) -> None:
    told = Told()
    review = ask(book, rate_nano_per_hour=60_000_000_000)
    for reviewer, minutes in (("ann", "3.5"), ("bob", "1")):
        reviewing.next_for(book, reviewer, now_us=NOW_US)
        reviewing.submit(book, told, review, reviewer, PASS, now_us=NOW_US, minutes=minutes)
    (event,) = told.events.values()
    assert event["cost"] == "4.500000000"
    with pytest.raises(BadInput, match="minutes"):
        reviewing.submit(book, told, review, "cid", PASS, now_us=NOW_US, minutes="nan")


def test_what_is_due_comes_first_then_what_somebody_judged_already(book: Book) -> None:
    tasks = [str(derived("task", "import", str(number))) for number in range(3)]
    ask(book, tasks[0])
    half = ask(book, tasks[1])
    due = ask(book, tasks[2], due_at_us=NOW_US + 1)
    reviewing.next_for(book, "zoe", now_us=NOW_US)
    reviewing.submit(book, Told(), due, "zoe", PASS, now_us=NOW_US)
    sheet = reviewing.next_for(book, "yan", now_us=NOW_US)
    assert sheet is not None
    assert sheet.review.id == due
    reviewing.submit(book, Told(), due, "yan", PASS, now_us=NOW_US)
    book.execute(
        "INSERT INTO review_answers (review_id, reviewer, judgement, is_further, at_us) "
        "VALUES (?, ?, ?, 0, 1)",
        (half, "zoe", "pass"),
    )
    sheet = reviewing.next_for(book, "yan", now_us=NOW_US)
    assert sheet is not None
    assert sheet.review.id == half


def test_agreement_is_of_what_was_judged_blind(book: Book) -> None:
    told = Told()
    words = [(PASS, PASS)] * 6 + [(FAIL, FAIL)] * 3 + [(PASS, FAIL)] * 1
    for number, (one, other) in enumerate(words):
        ask(book, str(derived("task", "import", str(number))))
        say(book, told, "ann", one)
        say(book, told, "bob", other)
        if one is not other:
            say(book, told, "cid", FAIL)
    found = review_reports.agreement_of(book, name="contract-review")
    assert (found["reviews"], found["judged_blind"], found["undecided"]) == (10, 10, 0)
    assert found["unanimous"]["count"] == 9  # type: ignore[index]
    (pair,) = found["pairs"]  # type: ignore[misc]
    assert pair["reviewers"] == ["ann", "bob"]
    assert pair["kappa"] == pytest.approx((0.9 - 0.54) / 0.46)
    reviewers = {row["reviewer"]: row for row in found["reviewers"]}  # type: ignore[attr-defined]
    assert reviewers["cid"]["answers"] == 1
    assert reviewers["cid"]["as_the_others"]["n"] == 0  # the others differ: nobody is out of line
    assert reviewers["ann"]["as_the_others"]["count"] == 9
    assert review_reports.agreement_of(book, name="other")["alpha"] is None


def test_many_reviewers_at_once_never_hold_one_place_twice(database: str) -> None:
    with open_book(database) as book:
        for number in range(6):
            ask(book, str(derived("task", "import", str(number))))
    held: list[tuple[str, str]] = []
    problems: list[FlatfareError] = []

    def review(name: str) -> None:
        try:
            with open_book(database) as own:
                sheet = reviewing.next_for(own, name, now_us=NOW_US)
                if sheet is not None:
                    held.append((sheet.review.id, name))
        except FlatfareError as problem:
            problems.append(problem)

    threads = [threading.Thread(target=review, args=(f"r{number}",)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert len(held) == 12
    counts = {review: sum(one == review for one, _ in held) for review, _ in held}
    assert set(counts.values()) == {2}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"reviewers": 0}, "reviewers"),
        ({"reviewers": 10}, "reviewers"),
        ({"submission": None}, "nothing to judge"),
        ({"submission": None, "link": "javascript:alert(1)"}, "link"),
        ({"question": " "}, "question"),
        ({"id": "one"}, "a UUID"),
        ({"keep_us": 0}, "kept for a time"),
    ],
)
def test_what_cannot_be_asked_is_refused(book: Book, wrong: dict[str, object], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        ask(book, **wrong)
    with pytest.raises(BadInput, match="expected a name"):
        reviewing.next_for(book, "\n", now_us=NOW_US)


def test_what_is_left_over_is_tidied_up(book: Book, tmp_path: Path) -> None:
    old = ask(book, keep_us=1000)
    review = ask(book, str(derived("task", "import", "18")), reviewers=1)
    reviewing.next_for(book, "ann", now_us=NOW_US, name="contract-review")
    held = reviewing.next_for(book, "bob", now_us=NOW_US)
    assert held is not None
    reviewing.release(book, held.review.id, "bob")
    book.execute("DELETE FROM review_leases")
    reviewing.next_for(book, "ann", now_us=NOW_US + 2000)
    with pytest.raises(Conflict, match="not now"):
        reviewing.submit(book, Told(failures=1), review, "ann", PASS, now_us=NOW_US + 2000)
    lake = Lake(tmp_path / "lake")
    for _ in range(2):
        reviewing.tidy(book, lake, now_us=NOW_US + 3000)
    assert reviewing.found(book, old).state == "withdrawn"
    assert book.rows("SELECT verifier, judgement FROM verdicts") == [("human-review", "pass")]


def test_one_verdict_that_is_refused_keeps_no_other_from_the_record(book: Book) -> None:
    told: list[str] = []

    def refuse(events: Sequence[Mapping[str, object]]) -> None:
        (event,) = events
        if event["task"] == TASK:
            raise Conflict("refused")
        told.append(str(event["task"]))

    other = str(derived("task", "import", "18"))
    for task in (TASK, other):
        review = ask(book, task, reviewers=1)
        reviewing.next_for(book, "ann", now_us=NOW_US)
        with pytest.raises(Conflict, match="refused"):
            reviewing.submit(book, refuse, review, "ann", PASS, now_us=NOW_US)
    assert told == [other]
    assert reviewing.record_decided(book, Told(), now_us=NOW_US) == 1
