"""Neighbours: what makes one task dearer than others of its kind and path, in figures that multiply out."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from flatfare.service.reporting.neighbours import ATTEMPTS, CALLS, COST, EACH, Neighbours, neighbours
from flatfare.service.tasks import telling
from flatfare.store.book import Book
from flatfare.store.lake import Lake
from tests.builders import NOW_US, book_in, call, id_of, task, write_calls, write_tasks

Place = tuple[Book, Lake]
DOLLAR = 1_000_000_000


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    book, lake = book_in(tmp_path)
    with book:
        yield book, lake


def among(place: Place, name: str) -> Neighbours | None:
    found = telling.find(*place, id_of(name), now_us=NOW_US)
    story = telling.story(*place, found, now_us=NOW_US)
    calls = story["calls"]
    assert isinstance(calls, list)
    return neighbours(*place, found, calls, now_us=NOW_US)


def enter(place: Place, task_name: str, calls: int, each_nano: int, **columns: object) -> None:
    write_tasks(place[0], [task(task_name, "verified", **columns)])  # type: ignore[arg-type]
    write_calls(place[0], [call(f"{task_name}.{at}", task_name, each_nano) for at in range(calls)])


def test_many_calls_and_dear_calls_are_told_apart(place: Place) -> None:
    for name in ("one", "two", "three", "four"):
        enter(place, name, 2, DOLLAR)
    enter(place, "lost", 20, 2 * DOLLAR)
    found = among(place, "lost")
    assert found is not None
    assert found.n == 4
    assert [found.of(name).own for name in (COST, CALLS, EACH)] == [40 * DOLLAR, 20, 2 * DOLLAR]
    assert [found.of(name).mean for name in (COST, CALLS, EACH)] == [2 * DOLLAR, 2, DOLLAR]
    assert found.sentence == (
        "It cost 20 times what its 4 neighbours cost on average: 10.0 times as many calls, "
        "each call 2.0 times as dear."
    )


def test_a_task_like_the_others_says_so(place: Place) -> None:
    for name in ("one", "two"):
        enter(place, name, 3, DOLLAR)
    found = among(place, "one")
    assert found is not None
    assert found.sentence == "It cost about as much as its one neighbour on average."
    assert found.reasons == ()


def test_people_s_work_afterwards_is_named_where_it_is_most_of_it(place: Place) -> None:
    for name in ("one", "two"):
        enter(place, name, 1, DOLLAR)
    enter(place, "mended", 1, DOLLAR, rework_nano=9 * DOLLAR, rework_ms=600_000)
    found = among(place, "mended")
    assert found is not None
    assert found.sentence == (
        "It cost 10.0 times what its 2 neighbours cost on average: $9.00 of it is people's work afterwards."
    )


def test_others_of_another_path_or_kind_are_no_neighbours(place: Place) -> None:
    enter(place, "alone", 1, DOLLAR)
    enter(place, "elsewhere", 1, DOLLAR, path="large")
    write_tasks(place[0], [task("other") | {"name": "another kind"}])
    assert among(place, "alone") is None


def test_without_calls_only_what_is_known_is_compared(place: Place) -> None:
    for name, nano in (("one", DOLLAR), ("two", DOLLAR), ("dear", 5 * DOLLAR)):
        write_tasks(place[0], [task(name, given_nano=nano)])
    found = among(place, "dear")
    assert found is not None
    assert found.of(CALLS).own is None
    assert found.of(EACH).factor is None
    assert found.of(ATTEMPTS).factor == 1.0
    assert found.sentence == "It cost 5.0 times what its 2 neighbours cost on average."
