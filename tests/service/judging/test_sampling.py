"""Sampling: drawn by the id alone, in Python and SQL alike; only what was drawn calibrates a judge."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from flatfare.core.checks.submission import Submission
from flatfare.core.errors import BadInput, Conflict, NotFound
from flatfare.core.identity import derived, task_id
from flatfare.core.outcome import Judgement
from flatfare.service.judging import calibrating, reviewing, sampling
from flatfare.service.judging.sampling import Drawn
from flatfare.service.tasks import defining
from flatfare.service.tasks.recording import Teller, record
from flatfare.service.tasks.sampled import share_of
from flatfare.store import reading
from flatfare.store.book import Book, open_book
from flatfare.store.lake import Lake
from flatfare.store.reviews import listed
from flatfare.store.sampling import Plan

NOW_US = 1_790_000_000_000_000
TASKS = 400


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    with open_book(str(tmp_path / "book.db")) as book:
        yield book


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


def plan(book: Book, name: str = "weekly", share: str = "0.25", **more: object) -> Plan:
    terms = {"from_us": 0, **more.pop("terms", {})}  # type: ignore[dict-item]
    made = Plan(name, Decimal(share), "human-review", NOW_US, "qa", "judge", terms)
    for key, value in more.items():
        object.__setattr__(made, key, value)
    return sampling.create(book, made, by_whom="test")


def judged(task: str, verifier: str, passes: bool) -> dict[str, object]:
    return {
        "event": "judged",
        "id": str(derived("v", task, verifier)),
        "task": task,
        "at": NOW_US + 10,
        "verifier": verifier,
        "version": "1",
        "judgement": "pass" if passes else "fail",
        "evidence": {},
    }


def fill(book: Book, lake: Lake, *, truth_of: range = range(0)) -> None:
    """Tasks that the judge judged, right 4 times in 5; the truth of some is known."""
    events: list[dict[str, object]] = []
    for number in range(TASKS):
        name, is_done = f"T-{number}", number % 2 == 0
        opened = {"event": "opened", "id": str(derived("o", name)), "task": name, "at": NOW_US, "name": "qa"}
        events += [opened, judged(name, "judge", is_done if number % 5 else not is_done)]
        if number in truth_of:
            events.append(judged(name, "human-review", is_done))
    assert not record(book, lake, events, Teller("test"), now_us=NOW_US).refused


def test_python_and_sql_draw_the_same_tasks(book: Book, lake: Lake) -> None:
    fill(book, lake)
    for share in ("0.25", "0.001", "1", "0.5"):
        own = plan(book, f"plan-{share}", share)
        with reading.opened(book, lake, "tasks") as engine:
            rows = engine.execute(
                f"SELECT id::VARCHAR, {sampling.drawn_sql(own, 'id')} FROM tasks"
            ).fetchall()
        assert len(rows) == TASKS
        assert all(sampling.draws(own, task) is is_drawn for task, is_drawn in rows)
        count = sum(is_drawn for _, is_drawn in rows)
        assert abs(count - TASKS * float(share)) <= 40


def test_what_waits_is_drawn_covered_judged_and_not_seen_again(book: Book, lake: Lake) -> None:
    fill(book, lake, truth_of=range(100))
    own = plan(book)
    waiting = sampling.waiting(book, lake, own)
    assert waiting
    for one in waiting:
        assert sampling.draws(own, one.task_id)
        assert one.task_id not in {str(task_id(None, f"T-{number}")) for number in range(100)}
    assert sampling.waiting(book, lake, plan(book, "other", action="else")) == []
    assert sampling.waiting(book, lake, plan(book, "third", judge="nobody")) == []
    assert sampling.waiting(book, lake, plan(book, "later", terms={"from_us": NOW_US + 1})) == []
    sampling.ask_people(book, own, waiting[0], Submission("x"), at_us=NOW_US, asked_by="test")
    assert waiting[0] not in sampling.waiting(book, lake, own)


def test_nobody_adds_to_a_sample(book: Book, lake: Lake) -> None:
    own = plan(book, share="0.5")
    drawn = [sampling.draws(own, str(task_id(None, f"T-{number}"))) for number in range(20)]
    for number, is_drawn in enumerate(drawn):
        one = Drawn(str(task_id(None, f"T-{number}")), "qa", f"T-{number}", {}, NOW_US)
        if is_drawn:
            assert sampling.ask_people(book, own, one, Submission("x"), at_us=NOW_US, asked_by="t").plan
            assert sampling.that_draw(book, "qa", one.task_id, NOW_US) == [own]
        else:
            with pytest.raises(Conflict, match="has not drawn"):
                sampling.ask_people(book, own, one, Submission("x"), at_us=NOW_US, asked_by="t")
            assert sampling.that_draw(book, "qa", one.task_id, NOW_US) == []
    assert len(listed(book)) == sum(drawn) > 0


def test_people_are_asked_as_the_plan_says(book: Book) -> None:
    terms = {
        "question": "Is it right?",
        "reviewers": 3,
        "rate": "30.00",
        "link": "https://desk.example/{external_id}?c={label.customer}",
    }
    own = plan(book, share="1", terms=terms)
    one = Drawn(str(task_id(None, "T/1")), "qa", "T/1", {"customer": "acme & co"}, NOW_US)
    review = sampling.ask_people(book, own, one, None, at_us=NOW_US, asked_by="test")
    assert review.link == "https://desk.example/T%2F1?c=acme%20%26%20co"
    assert (review.question, review.wanted, review.rate_nano_per_hour) == ("Is it right?", 3, 30_000_000_000)
    with pytest.raises(BadInput, match="label"):
        sampling.ask_people(
            book, own, Drawn(one.task_id, "qa", "T", {}, NOW_US), None, at_us=NOW_US, asked_by="t"
        )


def test_only_what_the_plan_drew_calibrates_the_judge(book: Book, lake: Lake) -> None:
    fill(book, lake, truth_of=range(TASKS))
    own = plan(book)
    drawn = sum(sampling.draws(own, str(task_id(None, f"T-{number}"))) for number in range(TASKS))
    found = calibrating.of_book(book, lake, judge="judge", truth="human-review", by="action", plan=own)
    assert (found.whole.tasks, found.whole.labels, found.not_drawn) == (TASKS, drawn, TASKS - drawn)
    assert calibrating.document_of(found)["labels_not_drawn"] == TASKS - drawn
    everything = calibrating.of_book(book, lake, judge="judge", truth="human-review", by="action")
    assert (everything.whole.labels, everything.not_drawn) == (TASKS, 0)
    (part,) = found.parts
    assert part.errors.sensitivity.point == pytest.approx(0.8, abs=0.12)


def test_reviews_by_plan_end_up_as_labels(book: Book, lake: Lake) -> None:
    fill(book, lake)
    own = plan(book, terms={"reviewers": 1})
    waiting = sampling.waiting(book, lake, own)
    tell = reviewing.teller(book, lake, "ann", now_us=NOW_US + 20)
    for one in waiting:
        sampling.ask_people(book, own, one, Submission("work"), at_us=NOW_US, asked_by="test")
        sheet = reviewing.next_for(book, "ann", now_us=NOW_US)
        assert sheet is not None
        number = int(one.name.removeprefix("T-")) if one.external_id else 0
        word = Judgement.PASS if number % 2 == 0 else Judgement.FAIL
        reviewing.submit(book, tell, sheet.review.id, "ann", word, now_us=NOW_US + 20)
    found = calibrating.of_book(book, lake, judge="judge", truth="human-review", by="action", plan=own)
    assert found.whole.labels == len(waiting)
    assert sampling.waiting(book, lake, own) == []


def test_a_plan_ends_and_its_name_may_be_used_again_for_another_draw(book: Book) -> None:
    own = plan(book)
    with pytest.raises(Conflict, match="already"):
        plan(book)
    sampling.end(book, "weekly", at_us=NOW_US, by_whom="test")
    with pytest.raises(NotFound):
        sampling.found(book, "weekly")
    assert sampling.found(book, "weekly", with_ended=True).name == "weekly"
    again = sampling.create(
        book, Plan("weekly", Decimal("0.25"), "human-review", NOW_US + 1, "qa"), by_whom="test"
    )
    ids = [str(task_id(None, str(number))) for number in range(200)]
    assert [sampling.draws(own, one) for one in ids] != [sampling.draws(again, one) for one in ids]


@pytest.mark.parametrize("share", ["0", "1.5", "-0.1", "NaN", "five", "200%"])
def test_what_is_no_share_is_refused(share: str) -> None:
    with pytest.raises(BadInput, match="share"):
        share_of(share)


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "no/name"},
        {"judge": "human-review"},
        {"terms": {"reviewers": 0}},
        {"terms": {"link": "https://x/{secret}"}},
        {"terms": {"rate": "much"}},
        {"terms": {"rate": "€30"}},
    ],
)
def test_what_is_no_plan_is_refused(book: Book, wrong: dict[str, object]) -> None:
    with pytest.raises(BadInput):
        plan(book, **{"share": "0.5", **wrong})  # type: ignore[arg-type]


def defined(book: Book, at_us: int, **sampling_says: object) -> None:
    rule: dict[str, object] = {"action": "qa", "verifiers": ["judge", "human-review"]}
    rule |= {"sampling": sampling_says} if sampling_says else {}
    defining.define(book, defining.of_document(rule), by_whom="test", at_us=at_us)


def test_a_definition_that_demands_people_sends_each_task_to_them_by_itself(book: Book, lake: Lake) -> None:
    defined(book, NOW_US - 5, link="https://desk.example/{external_id}", reviewers=1)
    fill(book, lake)
    still = {"event": "opened", "id": str(derived("o", "still")), "task": "still", "at": NOW_US, "name": "qa"}
    record(book, lake, [still], Teller("test"), now_us=NOW_US)
    assert sampling.ask_people_of_all(book, lake, now_us=NOW_US) == 0  # nothing has ended
    ended = [
        {"event": "closed", "id": str(derived("c", str(n))), "task": f"T-{n}", "at": NOW_US + 20}
        for n in (1, 2, 4, 5)
    ]
    record(book, lake, ended, Teller("test"), now_us=NOW_US + 20)
    assert sampling.ask_people_of_all(book, lake, now_us=NOW_US + 30) == 3
    assert sampling.ask_people_of_all(book, lake, now_us=NOW_US + 31) == 0
    assert {one.link for one in listed(book)} == {
        f"https://desk.example/T-{n}" for n in (2, 4, 5)
    }  # T-1 has failed
    first = str(task_id(None, "T-2"))
    outcome = "SELECT outcome FROM tasks WHERE id = ?"
    assert book.value(outcome, (first,)) == "assumed"  # the judge alone does not verify it
    tell = reviewing.teller(book, lake, "ann", now_us=NOW_US + 40)
    for _ in range(3):
        sheet = reviewing.next_for(book, "ann", now_us=NOW_US + 40)
        assert sheet is not None
        reviewing.submit(book, tell, sheet.review.id, "ann", Judgement.PASS, now_us=NOW_US + 40)
    assert book.value(outcome, (first,)) == "verified"


def test_a_task_is_sampled_by_the_definition_in_force_when_it_was_opened(book: Book, lake: Lake) -> None:
    defined(book, NOW_US - 5, share="25%", judge="judge", question="Is it right?")
    defined(book, NOW_US + 500)
    defined(book, NOW_US + 600, share="50%")
    fill(book, lake)
    own, later = sampling.plans(book)
    assert [own.name, later.name] == ["qa@1", "qa@3"]
    assert (own.judge, own.until_us, later.from_us, later.until_us) == (
        "judge",
        NOW_US + 500,
        NOW_US + 600,
        None,
    )
    assert sampling.found(book, "qa@1") == own
    drawn = {one.task_id for one in sampling.waiting(book, lake, own)}
    assert drawn == {
        task for task in (str(task_id(None, f"T-{n}")) for n in range(TASKS)) if sampling.draws(own, task)
    }
    assert sampling.waiting(book, lake, later) == []
    with pytest.raises(Conflict, match="put one in force"):
        sampling.end(book, "qa@1", at_us=NOW_US, by_whom="test")


def test_what_says_the_same_of_sampling_stays_one_plan(book: Book) -> None:
    rule = {"action": "qa", "sampling": {"share": 0.1}}
    for number, window in enumerate(("1h", "2h", "3h")):
        document = {**rule, "window": window}
        defining.define(book, defining.of_document(document), by_whom="test", at_us=NOW_US + number)
    (own,) = sampling.plans(book)
    assert (own.name, own.share, own.from_us, own.until_us) == ("qa@1", Decimal("0.1"), NOW_US, None)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"to": "human-review"}, "without a share"),
        ({"share": 2}, "share"),
        ({"share": 1, "reviewers": 10}, "1 to 9"),
        ({"share": 1, "link": "https://x/{nothing}"}, "nothing"),
        ({"share": 1, "link": "javascript:x"}, "https://"),
        ({"share": 1, "judge": "human-review"}, "somebody better"),
        ({"share": 1, "to": "model-judge", "link": "https://x"}, "of people"),
        ({"share": 1, "whom": "ann"}, "whom"),
        ("5%", "expected a share"),
    ],
)
def test_sampling_that_cannot_be_is_refused(given: object, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        defining.of_document({"action": "qa", "sampling": given})


def test_a_definition_with_sampling_is_shown_as_it_was_given() -> None:
    sampled = {
        "share": "0.05",
        "to": "model-judge",
        "as": "second",
        "judge": "first",
        "parameters": {"models": ["a/b"]},
    }
    document = {"action": "qa", "sampling": sampled}
    found = defining.of_document(document)
    assert defining.document_of(found)["sampling"] == sampled
    assert defining.of_document(defining.document_of(found)) == found


def test_one_task_that_cannot_be_linked_to_keeps_no_other_from_people(book: Book, lake: Lake) -> None:
    defined(book, NOW_US - 5, link="https://desk.example/{label.place}")
    events: list[dict[str, object]] = []
    for name, labels in (("a", {}), ("b", {"place": "x"})):
        shared = {"task": name, "at": NOW_US}
        events += [
            {**shared, "event": "opened", "id": str(derived("o", name)), "name": "qa", "labels": labels},
            {**shared, "event": "closed", "id": str(derived("c", name))},
        ]
    record(book, lake, events, Teller("test"), now_us=NOW_US)
    with pytest.raises(BadInput, match="place"):
        sampling.ask_people_of_all(book, lake, now_us=NOW_US)
    assert [one.link for one in listed(book)] == ["https://desk.example/x"]
