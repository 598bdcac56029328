"""Rows held against one another, and the funnel: what can be said, and what cannot yet."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from flatfare.core.errors import BadUsage
from flatfare.core.identity import derived
from flatfare.service.adjusting import Selection, relabel
from flatfare.service.reporting.comparing import compared
from flatfare.service.reporting.funnel import funnel
from flatfare.service.reporting.listing import listed
from flatfare.service.reporting.report import report
from flatfare.service.tasks.recording import Teller, record
from flatfare.store import calls
from flatfare.store.book import Book, open_book
from flatfare.store.lake import Lake

NOW = 1_800_000_000_000_000


@pytest.fixture
def place(tmp_path: Path) -> Iterator[tuple[Book, Lake]]:
    with open_book(str(tmp_path / "book.db")) as book:
        yield book, Lake(tmp_path / "lake")


def tell(place: tuple[Book, Lake], path: str, n: int, verified: int, cost: str) -> None:
    """Tasks of a path, each of which cost so much rework and nothing else that is unknown."""
    events = []
    for number in range(n):
        task = f"{path}-{number}"
        said: list[dict[str, object]] = [
            {"event": "opened", "name": "review", "path": path},
            {
                "event": "judged",
                "verifier": "tests",
                "version": "1",
                "judgement": "pass" if number < verified else "fail",
                "evidence": "seen",
            },
            {"event": "reworked", "minutes": "60", "rate": cost},
        ]
        events += [{**one, "id": str(uuid.uuid4()), "task": task, "at": NOW} for one in said]
    assert not record(*place, events, Teller("test"), now_us=NOW).refused


def test_a_cheaper_path_is_said_to_be_so_with_its_interval(place: tuple[Book, Lake]) -> None:
    tell(place, "a", 400, 260, "10")
    tell(place, "b", 412, 268, "4")
    found = compared(report(*place, now_us=NOW + 1), "a")
    assert [one.name for one in found] == ["b"]
    assert found[0].cheaper == pytest.approx(0.6, abs=0.01)
    assert found[0].interval is not None
    assert 0.4 < found[0].interval.low < 0.6
    assert found[0].sentence.startswith("b is 60 % cheaper per verified outcome than a, 95 % interval")
    assert "n = 412 and 400" in found[0].sentence


def test_a_small_difference_cannot_be_told_yet(place: tuple[Book, Lake]) -> None:
    tell(place, "a", 30, 20, "10")
    tell(place, "b", 30, 21, "10")
    assert "cannot be told apart yet" in compared(report(*place, now_us=NOW + 1), "a")[0].sentence


def test_without_a_verified_outcome_nothing_is_compared(place: tuple[Book, Lake]) -> None:
    tell(place, "a", 30, 20, "10")
    tell(place, "b", 3, 0, "10")
    found = compared(report(*place, now_us=NOW + 1), "a")[0]
    assert (found.cheaper, found.interval) == (None, None)
    assert "none was verified" in found.sentence


def test_a_row_that_is_not_there_is_named(place: tuple[Book, Lake]) -> None:
    tell(place, "a", 3, 2, "10")
    with pytest.raises(BadUsage, match=r"no row 'c'.*Rows: a"):
        compared(report(*place, now_us=NOW + 1), "c")


def test_the_funnel_counts_every_task_once(place: tuple[Book, Lake]) -> None:
    tell(place, "a", 10, 6, "1")
    back = {"event": "signalled", "id": str(uuid.uuid4()), "task": "a-0", "at": NOW + 5, "name": "reopened"}
    disputed = {"event": "disputed", "id": str(uuid.uuid4()), "task": "a-1", "at": NOW + 5}
    record(*place, [back, disputed], Teller("test"), now_us=NOW)
    groups, total = funnel(*place, now_us=NOW + 10, by="path")
    assert [one.key for one in groups] == ["a"]
    assert groups[0].as_json("path") | {"path": None} == total.as_json("path")
    assert (total.attempted, total.verified_ever, total.verified, total.reversed) == (10, 6, 5, 1)
    assert (total.failed, total.disputed, total.open, total.assumed) == (4, 1, 0, 0)
    assert total.attempted == sum((total.verified, total.reversed, total.failed, total.assumed, total.open))


def test_a_key_of_calls_counts_no_tasks(place: tuple[Book, Lake]) -> None:
    with pytest.raises(BadUsage, match="'model'"):
        funnel(*place, now_us=NOW, by="model")


def test_a_task_that_names_no_path_went_the_way_of_its_calls(place: tuple[Book, Lake]) -> None:
    book, _ = place
    opened = {"event": "opened", "id": str(uuid.uuid4()), "task": "t", "name": "review", "at": NOW}
    verdict = {"verifier": "tests", "version": "1", "judgement": "pass", "evidence": "seen"}
    judged = {"event": "judged", "id": str(uuid.uuid4()), "task": "t", "at": NOW, **verdict}
    record(*place, [opened, judged], Teller("test"), now_us=NOW)
    for at, (model, purpose) in enumerate((("small", "work"), ("large", "work"), ("judge", "verification"))):
        row = {"id": str(uuid.uuid4()), "at_us": NOW + at, "source": "gateway", "cost_nano": 5}
        more = {"task_id": str(derived("task", "import", "t")), "model": model, "purpose": purpose}
        with book.writing():
            calls.insert(book, [{**row, **more, "cost_state": "measured"}])
    found = report(*place, now_us=NOW + 9)
    assert [(row.keys, row.figures.tasks, row.figures.cost_nano) for row in found.rows] == [
        (("large + small",), 1, 15)
    ]
    assert listed(*place, now_us=NOW + 9)[0].as_json()["path"] == "large + small"
    assert len(listed(*place, now_us=NOW + 9, filters=[("path", "large + small")])) == 1


def test_a_task_that_only_calls_named_keeps_their_labels_when_it_is_judged(place: tuple[Book, Lake]) -> None:
    book, _ = place
    for number, task in enumerate(("judged", "not yet")):
        row = {"id": str(uuid.uuid4()), "at_us": NOW + number, "source": "gateway", "cost_nano": 5}
        more = {"task_id": str(derived("task", "import", task)), "model": "small", "session": "s-1"}
        said = {"cost_state": "measured", "purpose": "work", "labels": '{"team":"search"}'}
        with book.writing():
            calls.insert(book, [{**row, **more, **said}])
    verdict = {"verifier": "tests", "version": "1", "judgement": "pass", "evidence": "seen"}
    judged = {"event": "judged", "id": str(uuid.uuid4()), "task": "judged", "at": NOW + 3, **verdict}
    record(*place, [judged], Teller("test"), now_us=NOW + 3)
    found = listed(*place, now_us=NOW + 9, filters=[("team", "search")])
    assert [(one.labels, one.columns["session"]) for one in found] == [({"team": "search"}, "s-1")] * 2
    groups, _ = funnel(*place, now_us=NOW + 9, by="team")
    assert [(one.key, one.attempted, one.verified) for one in groups] == [("search", 2, 1)]
    groups, _ = funnel(*place, now_us=NOW + 9, by="path")
    assert [(one.key, one.attempted) for one in groups] == [("small", 2)]


def test_tasks_of_a_period_that_ends_within_a_day_are_listed_beside_calls_of_no_task(
    place: tuple[Book, Lake],
) -> None:
    book, lake = place
    tell(place, "a", 2, 1, "1")
    row = {"id": str(uuid.uuid4()), "at_us": NOW, "source": "gateway", "cost_nano": 5, "purpose": "work"}
    with book.writing():
        calls.insert(book, [{**row, "model": "small", "cost_state": "measured"}])
    for _ in range(2):
        found = listed(*place, now_us=NOW + 9, since_us=NOW - 7, until_us=NOW + 7)
        assert sorted(str(one.columns["external_id"]) for one in found) == ["a-0", "a-1"]
        assert not listed(*place, now_us=NOW + 9, since_us=NOW + 1)
        # a correction may move when a task's first call was made
        chosen = Selection(equal={"model": "small"})
        relabel(book, lake, chosen, {"team": "b"}, reason="late", by_whom="me", at_us=NOW + 8)
