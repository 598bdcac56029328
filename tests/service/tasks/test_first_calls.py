"""A task opens no later than its first call, whatever of its calls and of what is told is booked first."""

import tempfile
import uuid
from collections.abc import Iterator
from itertools import permutations
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flatfare.core.errors import StoreFailure
from flatfare.core.identity import derived
from flatfare.core.moments import DAY_US, HOUR_US
from flatfare.service import adjusting
from flatfare.service.adjusting import Selection
from flatfare.service.outcomes.exporting import exported
from flatfare.service.reporting.report import report
from flatfare.service.tasks import telling
from flatfare.service.tasks.defining import define, of_document
from flatfare.service.tasks.recording import Teller, mature, record, row_of
from flatfare.store import calls, first_calls, sealing, sealing_tasks, segments
from flatfare.store.book import Book, open_book
from flatfare.store.home import Value
from flatfare.store.lake import Lake
from flatfare.store.reading import OpenLake
from tests.store.rows import NOON_US, call

HOUR = HOUR_US
DAY = DAY_US
LATER = NOON_US + 30 * DAY
TASK = str(derived("task", "import", "t"))
TELLER = Teller("the tests")


@pytest.fixture
def place(database: str, tmp_path: Path) -> Iterator[tuple[Book, Lake]]:
    with open_book(database) as book:
        yield book, Lake(tmp_path / "lake")


def told(place: tuple[Book, Lake], kind: str, at: int, **said: object) -> None:
    named = {"event": kind, "id": str(uuid.uuid4()), "task": "t", "at": NOON_US + at, **said}
    assert not record(*place, [named], TELLER, now_us=LATER).refused


def judged(place: tuple[Book, Lake], at: int, judgement: str = "pass", verifier: str = "tests") -> None:
    told(place, "judged", at, verifier=verifier, version="1", judgement=judgement, evidence="seen")


def called(place: tuple[Book, Lake], at: int, number: int = 0, **columns: Value) -> None:
    """Book a call as the booker does."""
    made = call(number, **{"at_us": NOON_US + at, "task_id": TASK, **columns})
    with place[0].writing():
        calls.insert(place[0], [made])
        first_calls.note_booked(place[0], [made])


def sealed(place: tuple[Book, Lake]) -> None:
    sealing.seal_calls(*place, before_us=LATER, now_us=LATER)


def opened_at(place: tuple[Book, Lake]) -> object:
    """When the task was opened, once all that is due was done."""
    mature(*place, now_us=LATER)
    assert not place[0].value("SELECT COUNT(*) FROM first_calls WHERE is_due = 1")
    row = row_of(*place, TASK)
    assert row is not None
    return int(str(row["opened_at_us"])) - NOON_US


def test_a_task_that_calls_alone_have_named_opens_at_the_first(place: tuple[Book, Lake]) -> None:
    called(place, 2 * HOUR, 1)
    called(place, HOUR, 2)
    called(place, HOUR // 2, 3, task_id=str(uuid.uuid4()))
    judged(place, DAY)
    assert opened_at(place) == HOUR


def test_it_does_so_a_day_after_its_calls_were_sealed(place: tuple[Book, Lake]) -> None:
    called(place, 2 * HOUR, 1)
    sealed(place)
    called(place, HOUR, 2)
    sealed(place)
    called(place, 3 * HOUR, 3)
    judged(place, DAY)
    assert opened_at(place) == HOUR


def test_a_call_that_is_booked_after_the_verdict_opens_its_task(place: tuple[Book, Lake]) -> None:
    judged(place, DAY)
    assert opened_at(place) == DAY
    called(place, HOUR)
    called(place, 2 * HOUR, 1)
    assert opened_at(place) == HOUR
    version = place[0].value("SELECT version FROM tasks")
    called(place, 3 * HOUR, 2)
    called(place, 2 * DAY, 3)
    assert opened_at(place) == HOUR
    assert place[0].value("SELECT version FROM tasks") == version


def test_a_call_that_is_booked_after_its_task_was_sealed_opens_it(place: tuple[Book, Lake]) -> None:
    judged(place, DAY)
    assert sealing_tasks.seal_tasks(*place, before_us=LATER, now_us=LATER) == 1
    called(place, HOUR)
    sealed(place)
    assert opened_at(place) == HOUR
    assert sealing_tasks.seal_tasks(*place, before_us=LATER, now_us=LATER) == 1
    told(place, "signalled", 2 * DAY, name="reopened")
    assert opened_at(place) == HOUR


def test_an_opening_that_was_told_stands_whatever_was_called_before(place: tuple[Book, Lake]) -> None:
    called(place, HOUR)
    told(place, "opened", 2 * HOUR)
    called(place, HOUR - 1, 1)
    assert place[0].value("SELECT COUNT(*) FROM first_calls") == 0
    judged(place, DAY)
    assert opened_at(place) == 2 * HOUR


def test_an_opening_that_is_told_late_takes_the_place_of_the_first_call(place: tuple[Book, Lake]) -> None:
    called(place, HOUR)
    judged(place, DAY)
    assert opened_at(place) == HOUR
    told(place, "opened", 3 * HOUR)
    assert opened_at(place) == 3 * HOUR


def test_the_definition_of_the_first_call_judges(place: tuple[Book, Lake]) -> None:
    one = of_document({"action": "task", "verifiers": ["tests"]})
    both = of_document({"action": "task", "verifiers": ["tests", "judge"]})
    define(place[0], one, by_whom="me", at_us=NOON_US)
    define(place[0], both, by_whom="me", at_us=NOON_US + 2 * HOUR)
    judged(place, DAY)
    assert place[0].value("SELECT outcome FROM tasks") == "open"
    called(place, HOUR)
    mature(*place, now_us=LATER)
    assert place[0].value("SELECT outcome FROM tasks") == "verified"


def test_a_call_that_is_linked_late_opens_its_task(place: tuple[Book, Lake]) -> None:
    called(place, HOUR, 1, task_id=None)
    sealed(place)
    judged(place, DAY)
    chosen = Selection(since_us=NOON_US)
    adjusting.link(*place, chosen, "t", source="import", reason="late", by_whom="ann", at_us=LATER)
    assert place[0].value("SELECT opened_at_us FROM tasks") == NOON_US + HOUR


def test_reports_records_and_the_page_say_the_day_of_the_first_call(database: str, tmp_path: Path) -> None:
    lake = OpenLake(tmp_path / "lake")
    with open_book(database) as book:
        place = (book, lake)
        judged(place, 3 * DAY)
        days = [row.keys for row in report(*place, now_us=LATER, by=("day",)).rows]
        assert days == [("2026-01-04",)]
        called(place, 0)
        mature(*place, now_us=LATER)
        found = report(*place, now_us=LATER, by=("day",))  # of an engine that was open before
        assert [(row.keys, row.n, row.figures.verified) for row in found.rows] == [(("2026-01-01",), 1, 1)]
        assert report(*place, now_us=LATER, until_us=NOON_US + 1).total.n == 1
        assert report(*place, now_us=LATER, since_us=NOON_US + 1).total.n == 0
        (exported_task,) = (one["task"] for one in exported(*place))
        assert exported_task["opened_at"] == "2026-01-01T12:00:00Z"  # type: ignore[index]
        task = telling.find(*place, "t", now_us=LATER)
        assert telling.story(*place, task, now_us=LATER)["opened_at"] == "2026-01-01T12:00:00Z"
    lake.close()


_STEPS = ("call", "earlier call", "verdict", "signal", *("seal", "seal tasks", "mature") * 2)


def take(place: tuple[Book, Lake], step: str) -> None:
    if step == "call":
        called(place, 2 * HOUR, 1)
    elif step == "earlier call":
        called(place, HOUR, 2)
    elif step == "verdict":
        judged(place, DAY)
    elif step == "signal":
        told(place, "signalled", 2 * DAY, name="accepted")
    elif step == "opened":
        told(place, "opened", 4 * HOUR, name="review")
    elif step == "seal":
        sealed(place)
    elif step == "seal tasks":
        sealing_tasks.seal_tasks(*place, before_us=LATER, now_us=LATER)
    else:
        mature(*place, now_us=LATER)


@settings(max_examples=30, deadline=None)
@given(st.permutations(_STEPS) | st.permutations((*_STEPS, "opened")))
def test_any_order_gives_one_task(steps: list[str]) -> None:
    """Calls, what is told, and sealing and maturing in between them, each where it happens to fall."""
    with tempfile.TemporaryDirectory() as name, open_book(f"{name}/flatfare.db") as book:
        place = (book, Lake(Path(name) / "lake"))
        for kind, verifiers, from_us in (
            ("task", ["tests"], 0),
            ("review", ["tests"], 0),
            ("task", ["tests", "judge"], HOUR + 1),
        ):
            defined = of_document({"action": kind, "verifiers": verifiers})
            define(book, defined, by_whom="me", at_us=NOON_US + from_us)
        for step in steps:
            take(place, step)
        assert opened_at(place) == (4 * HOUR if "opened" in steps else HOUR)
        row = row_of(*place, TASK)
        assert row is not None
        assert row["outcome"] == "verified"


@pytest.mark.parametrize("order", list(permutations(("earlier call", "verdict", "seal"))))
def test_any_order_on_either_database(place: tuple[Book, Lake], order: tuple[str, ...]) -> None:
    for step in order:
        take(place, step)
    assert opened_at(place) == HOUR


def test_a_note_is_kept_for_two_closes_of_a_month(place: tuple[Book, Lake]) -> None:
    called(place, HOUR, 1)
    called(place, 2 * HOUR, 2, task_id=str(uuid.uuid4()))
    sealed(place)
    assert place[0].value("SELECT COUNT(*) FROM first_calls") == 2
    called(place, 3 * HOUR, 3)
    end = NOON_US + HOUR + first_calls.KEPT_US + 1
    sealing.seal_calls(*place, before_us=LATER, now_us=end)
    assert place[0].rows("SELECT at_us FROM first_calls") == [(NOON_US + 2 * HOUR,)]
    judged(place, DAY)
    assert opened_at(place) == DAY


def test_a_seal_that_fails_leaves_what_is_so_anyway(
    place: tuple[Book, Lake], monkeypatch: pytest.MonkeyPatch
) -> None:
    called(place, HOUR, 1)

    def fail(*_: object) -> None:
        raise StoreFailure("the disk is full")

    monkeypatch.setattr(segments, "seal_file", fail)
    with pytest.raises(StoreFailure):
        sealed(place)
    monkeypatch.undo()
    called(place, HOUR // 2, 2)
    judged(place, DAY)
    assert opened_at(place) == HOUR // 2
    sealed(place)
    assert opened_at(place) == HOUR // 2
