"""Published versions: each holds from its moment on, and none is ever changed."""

from collections.abc import Iterator

import pytest

from flatfare.core.action import Action
from flatfare.core.errors import BadInput, Conflict, NotFound
from flatfare.service import settled_terms
from flatfare.service.actions import documents
from flatfare.service.actions.publishing import listed, publish, shown, valid
from flatfare.service.actions.reading import read
from flatfare.service.tasks import defining
from flatfare.store.book import Book, open_book
from tests.runner.rig import EXAMPLES

TEXT = (EXAMPLES / "names-and-dates.yaml").read_text()
NAME = "names-and-dates"
NOW_US = 1_790_000_000_000_000
DAY_US = 86_400_000_000


@pytest.fixture
def book(database: str) -> Iterator[Book]:
    with open_book(database) as book:
        yield book


def version(number: int, price: str = "1.00", window: str = "24h") -> Action:
    text = TEXT.replace("version: 1", f"version: {number}").replace('"1.00"', f'"{price}"')
    return read(text.replace("window: 24h", f"window: {window}"))


def published(book: Book, action: Action, at_us: int = NOW_US, from_us: int | None = None) -> None:
    publish(book, action, at_us=at_us, by_whom="test", from_us=from_us)


def sold(book: Book, at_us: int) -> int:
    return valid(book, NAME, at_us=at_us).action.version


def test_each_moment_sells_the_version_that_holds_then(book: Book) -> None:
    published(book, version(1))
    published(book, version(2, "2.00"), from_us=NOW_US + DAY_US)
    published(book, version(3, "3.00"), from_us=NOW_US + 2 * DAY_US)
    moments = (0, DAY_US - 1, DAY_US, 2 * DAY_US - 1, 2 * DAY_US)
    assert [sold(book, NOW_US + after) for after in moments] == [1, 1, 2, 2, 3]
    assert valid(book, NAME, 1, at_us=NOW_US + 9 * DAY_US).action.version == 1
    with pytest.raises(Conflict, match=r"Version 3 .* holds from .* cannot be sold yet"):
        valid(book, NAME, 3, at_us=NOW_US)


def test_its_definition_comes_with_it(book: Book) -> None:
    published(book, version(1))
    published(book, version(2, window="48h"), from_us=NOW_US + DAY_US)
    windows = [defining.in_force(book, NAME, NOW_US + after).window_us for after in (0, DAY_US)]
    assert windows == [24 * 3_600_000_000, 48 * 3_600_000_000]


def test_an_action_that_is_still_to_come_is_shown_and_not_sold(book: Book) -> None:
    published(book, version(1), from_us=NOW_US + DAY_US)
    assert shown(book, NAME, at_us=NOW_US).action.version == 1
    with pytest.raises(Conflict, match="cannot be sold yet"):
        valid(book, NAME, at_us=NOW_US)
    with pytest.raises(NotFound, match="No action 'other' is published"):
        valid(book, "other", at_us=NOW_US)


def test_the_same_again_changes_nothing_and_another_day_is_another_version(book: Book) -> None:
    published(book, version(1))
    for _ in range(2):
        published(book, version(2, "2.00"), from_us=NOW_US + DAY_US)
    published(book, version(2, "2.00"))
    published(book, version(2, "2.00"), at_us=NOW_US + 3 * DAY_US, from_us=NOW_US + DAY_US)  # long after
    assert len(listed(book)) == 2
    with pytest.raises(Conflict, match="publish it under the number 3"):
        published(book, version(2, "2.00"), from_us=NOW_US + 2 * DAY_US)


def test_what_has_passed_keeps_its_version_and_none_overtakes_one_to_come(book: Book) -> None:
    published(book, version(1))
    with pytest.raises(BadInput, match="what has passed keeps its version"):
        published(book, version(2), from_us=NOW_US - 1)
    published(book, version(2, "2.00"), from_us=NOW_US + DAY_US)
    with pytest.raises(Conflict, match="the next cannot begin before it"):
        published(book, version(3, "3.00"))


def test_the_catalogue_says_what_is_sold_and_what_is_to_come(book: Book) -> None:
    published(book, version(1))
    published(book, version(2, "2.00"), from_us=NOW_US + DAY_US)
    (entry,) = documents.catalogue(listed(book), NOW_US)
    assert (entry["version"], entry["price"]) == (1, "1.00 USD per verified outcome")
    (coming,) = entry["to_come"]  # type: ignore[misc]
    assert (coming["version"], coming["price"]) == (2, "2.00 USD per verified outcome")
    (later,) = documents.catalogue(listed(book), NOW_US + DAY_US)
    assert (later["version"], later["to_come"]) == (2, [])


def test_a_beginning_that_is_edited_is_found(book: Book) -> None:
    published(book, version(1))
    published(book, version(2, "2.00"), from_us=NOW_US + DAY_US)
    assert list(settled_terms.problems(book)) == []
    book.execute("UPDATE actions SET from_us = ? WHERE version = 2", (NOW_US,))
    assert [whose for whose, _ in settled_terms.problems(book)] == [f"action/{NAME} 2"]
