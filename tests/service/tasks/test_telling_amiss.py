"""Events that would do harm are refused alone: nobody's batch, task or row is lost to somebody else's."""

import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from flatfare.service.tasks.recording import Teller, record
from flatfare.store import tasks
from flatfare.store.book import Book, open_book
from flatfare.store.lake import Lake
from tests.service.tasks.test_recording import NOW, event, judged

SHOP, RIVAL = Teller("shop", project="shop"), Teller("rival", project="rival")


@pytest.fixture
def book(database: str) -> Iterator[Book]:
    with open_book(database) as opened:
        yield opened


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


def test_an_attempt_that_another_project_named_first_stands_in_both(book: Book, lake: Lake) -> None:
    attempt = str(uuid.uuid4())
    for teller in (RIVAL, SHOP):
        done = record(book, lake, [event("attempt_started", "t", 1, attempt=attempt)], teller, now_us=NOW + 5)
        assert (done.recorded, done.refused) == (1, ())
    assert book.rows("SELECT id, number FROM attempts") == [(attempt, 1), (attempt, 1)]
    assert len(book.rows("SELECT DISTINCT task_id FROM attempts")) == 2


def test_an_id_that_told_of_another_kind_is_refused(book: Book, lake: Lake) -> None:
    closed = event("closed", "t", 1)
    disputed = {**closed, "event": "disputed"}
    assert record(book, lake, [closed], SHOP, now_us=NOW).recorded == 1
    again = record(book, lake, [disputed], SHOP, now_us=NOW)
    assert (again.known, len(again.refused)) == (0, 1)
    fresh = event("closed", "u", 1)
    both = record(book, lake, [fresh, {**fresh, "event": "disputed"}], SHOP, now_us=NOW)
    assert (both.recorded, both.known, len(both.refused)) == (1, 0, 1)


@pytest.mark.parametrize(
    "given",
    [
        event("opened", "t", 0, path="a\x00b"),
        event("opened", "t", 0, session="a\x00b"),
        event("opened", "t", 0, action_version="\x00"),
        event("attempt_started", "t", 0, attempt="a", rung="a\x00b"),
        event("reworked", "t", 0, minutes="1", by_whom="a\x00b"),
        event("closed", "t", 0, path="a\x00b"),
        event("disputed", "t", 0, reason="a\x00b"),
    ],
)
def test_what_no_database_can_keep_is_refused_alone(book: Book, lake: Lake, given: dict[str, object]) -> None:
    done = record(book, lake, [given, judged("u", 1)], SHOP, now_us=NOW + 5)
    assert (done.recorded, [one.index for one in done.refused]) == (1, [0])


@pytest.mark.parametrize("text", ["1e-999999", "1e-9999"])
def test_numbers_that_take_long_to_reckon_with_are_refused(book: Book, lake: Lake, text: str) -> None:
    begun = time.monotonic()
    given = [
        event("reworked", "t", 0, minutes=text, rate="60"),
        event("opened", "t", 0, value=text),
        judged("t", 0, cost=text),
    ]
    assert len(record(book, lake, given, SHOP, now_us=NOW).refused) == 3
    assert time.monotonic() - begun < 1


def test_only_a_decided_dispute_says_that_it_was_upheld(book: Book, lake: Lake) -> None:
    record(book, lake, [judged("t", 1)], SHOP, now_us=NOW)
    done = record(book, lake, [event("signalled", "t", 2, name="dispute_upheld")], SHOP, now_us=NOW + 5)
    assert "flatfare disputes decide" in done.refused[0].reason
    (row,) = tasks.rows_of(book, [str(book.value("SELECT id FROM tasks"))]).values()
    assert row["outcome"] == "verified"
