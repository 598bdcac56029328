"""A dispute is opened once and decided once, whoever comes at the same moment and whatever ends between."""

import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from flatfare.core.errors import BadInput, Conflict
from flatfare.core.outcome import Judgement
from flatfare.service import selling
from flatfare.service.invoicing import disputing
from flatfare.service.invoicing.disputing import Reverified
from flatfare.service.invoicing.issuing import Books
from flatfare.store import disputes, tasks
from flatfare.store.book import open_book
from flatfare.store.lake import Lake
from tests.service.invoicing.test_beside import AFTER, ME, settled_by_events
from tests.service.selling import shop

FAILED = Reverified("second pair of eyes", "1", "human", Judgement.FAIL, "ab12")
PASSED = Reverified("third pair of eyes", "1", "human", Judgement.PASS, "ab12")


@pytest.fixture
def books(database: str, tmp_path: Path) -> Iterator[Books]:
    with open_book(database) as book:
        shop.customer(book, "acme", terms="invoice")
        yield Books(book, Lake(tmp_path / "lake"), "UTC")


def opened(books: Books, task_id: str) -> disputing.Dispute:
    return disputing.open_dispute(
        books.book, books.lake, dispute_id=uuid.uuid4(), task_id=task_id, reason="no", at_us=AFTER, **ME
    )


def decided(books: Books, one: str, looked: Reverified | None, at_us: int = AFTER) -> disputing.Dispute:
    return disputing.decide(
        books.book,
        books.lake,
        one,
        is_upheld=looked is not PASSED,
        reason="so",
        at_us=at_us,
        reverified=looked,
        **ME,
    )


def at_once(database: str, lake: Lake, *does: Callable[[Books], object]) -> list[object]:
    barrier = Barrier(len(does))

    def run(do: Callable[[Books], object]) -> object:
        with open_book(database) as book:
            barrier.wait()
            try:
                return do(Books(book, lake, "UTC"))
            except (Conflict, BadInput) as problem:
                return problem

    with ThreadPoolExecutor(len(does)) as pool:
        return list(pool.map(run, does))


def test_two_who_dispute_at_once_open_one(books: Books, database: str) -> None:
    task_id = settled_by_events(books, "t")
    at_once(database, books.lake, *[lambda own: opened(own, task_id)] * 4)
    assert len(disputes.listed(books.book)) == 1


@pytest.mark.parametrize("upheld_on", [FAILED, None])
def test_two_who_decide_at_once_decide_it_one_way(
    books: Books, database: str, upheld_on: Reverified | None
) -> None:
    task_id = settled_by_events(books, "t")
    one = opened(books, task_id).id
    at_once(
        database,
        books.lake,
        lambda own: decided(own, one, upheld_on),
        lambda own: decided(own, one, PASSED),
    )
    state = disputing.one_of(books.book, one).state
    (row,) = tasks.rows_of(books.book, [task_id]).values()
    expected = ("reversed", "reversed") if state == "upheld" else ("verified", "settled")
    assert (row["outcome"], row["settlement"]) == expected


def test_a_decision_that_ended_in_between_is_made_again(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    task_id = settled_by_events(books, "t")
    one = opened(books, task_id).id
    with monkeypatch.context() as patch:
        patch.setattr(disputes, "decide", _ends)
        with pytest.raises(KeyboardInterrupt):
            decided(books, one, FAILED)
    (row,) = tasks.rows_of(books.book, [task_id]).values()
    assert (row["outcome"], row["is_disputed"]) == ("verified", 1)
    with monkeypatch.context() as patch:
        patch.setattr(selling, "reverse", _ends)
        with pytest.raises(KeyboardInterrupt):
            decided(books, one, FAILED, AFTER + 5)
    assert decided(books, one, FAILED, AFTER + 9).state == "upheld"
    (row,) = tasks.rows_of(books.book, [task_id]).values()
    assert (row["outcome"], row["settlement"], row["is_disputed"]) == ("reversed", "reversed", 0)


def test_the_bookkeeper_may_give_back_before_who_decided(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    task_id = settled_by_events(books, "t")
    one = opened(books, task_id).id
    sale_of, reads = selling.sale_of, iter(range(9))

    def followed(book, task):
        found = sale_of(book, task)
        if next(reads) == 0:
            selling.follow(book, now_us=AFTER)
        return found

    with monkeypatch.context() as patch:
        patch.setattr(selling, "sale_of", followed)
        assert decided(books, one, FAILED).state == "upheld"
    assert selling.sale_of(books.book, task_id).settlement == "reversed"
    assert selling.verify(books.book) == []


def test_a_decision_from_a_slower_clock_ends_the_dispute(books: Books) -> None:
    task_id = settled_by_events(books, "t")
    one = opened(books, task_id).id
    decided(books, one, PASSED, AFTER - 60_000_000)
    (row,) = tasks.rows_of(books.book, [task_id]).values()
    assert row["is_disputed"] == 0


def _ends(*_: object, **__: object) -> None:
    raise KeyboardInterrupt
